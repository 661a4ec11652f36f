// Walks over the keys of a database: SCAN, KEYS, RANDOMKEY.
//
// SCAN goes in key order, so what it guarantees is simple: a key that is there throughout lies either before the cursor's
// position, and was returned, or behind it, and will be. A pattern that starts with plain bytes ("user:*") walks only the
// keys that start so.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "base/glob.h"
#include "base/numbers.h"
#include "commands/generic_access.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kDefaultCount = 10;
constexpr std::uint64_t kMinExamined = 1000;

/// As strtoul reads it, which is what Redis does: a sign is allowed, nothing at all is 0. Nothing: not a cursor.
std::optional<std::uint64_t> ParseCursor(std::string_view text) {
  const bool negative = text.starts_with('-');
  std::string_view digits = text;
  if (negative || text.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty()) return text.empty() ? std::optional<std::uint64_t>(0) : std::nullopt;
  std::uint64_t cursor = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    if (__builtin_mul_overflow(cursor, 10, &cursor)) return std::nullopt;
    if (__builtin_add_overflow(cursor, static_cast<std::uint64_t>(digit - '0'), &cursor)) return std::nullopt;
  }
  return negative ? 0 - cursor : cursor;
}

struct ScanOptions {
  std::uint64_t count = kDefaultCount;
  std::optional<std::string_view> pattern;
  std::optional<std::string_view> type;

  bool Matches(std::string_view key, ValueType key_type) const {
    // An unknown type is no error in Redis 7.2: no key has it.
    return (!pattern || GlobMatch(*pattern, key)) && (!type || EqualsIgnoringCase(*type, ValueTypeName(key_type)));
  }
};

/// Nothing when they make no sense, and the error has been written.
std::optional<ScanOptions> ScanOptionsOrReply(CommandContext& context) {
  ScanOptions options;
  for (std::size_t i = 2; i < context.args.size(); i += 2) {
    const std::string_view word = context.args[i];
    const bool has_value = i + 1 < context.args.size();
    if (has_value && EqualsIgnoringCase(word, "count")) {
      const std::optional<std::int64_t> count = IntegerOrReply(context, context.args[i + 1]);
      if (!count) return std::nullopt;
      options.count = static_cast<std::uint64_t>(std::max<std::int64_t>(0, *count));
    } else if (has_value && EqualsIgnoringCase(word, "match")) {
      options.pattern = context.args[i + 1];
    } else if (has_value && EqualsIgnoringCase(word, "type")) {
      options.type = context.args[i + 1];
    } else {
      options.count = 0;
    }
    if (options.count == 0) {
      context.reply.Error(kSyntaxError);
      return std::nullopt;
    }
  }
  return options;
}

/// An array of the keys that a walk returns: how many they are is known only afterwards.
class KeyList {
 public:
  explicit KeyList(const CommandContext& context) : writer_(buffer_, context.client.protocol) {}
  void Add(std::string_view key) {
    writer_.Bulk(key);
    ++count_;
  }
  void WriteTo(resp::Writer& reply) const {
    reply.Array(count_);
    reply.out().Append(buffer_.view());
  }

 private:
  resp::OutputBuffer buffer_;
  resp::Writer writer_;
  std::size_t count_ = 0;
};

std::uint64_t Random() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return random();
}

}  // namespace

Outcome HandleScan(CommandContext& context) {
  const std::optional<std::uint64_t> cursor = ParseCursor(context.args[1]);
  if (!cursor) return Fail(context, kInvalidCursor);
  const std::optional<ScanOptions> options = ScanOptionsOrReply(context);
  if (!options) return Outcome::kDone;
  if (!context.may_block) return Outcome::kWouldBlock;
  ScanCursors& cursors = context.keyspace.cursors();
  const std::optional<std::string> after = *cursor == 0 ? std::nullopt : cursors.Find(*cursor);
  ScanRequest request;
  request.database = context.client.database;
  request.now_ms = context.now_ms;
  if (after) request.after = *after;
  if (options->pattern) request.prefix = GlobPrefix(*options->pattern);
  request.max_keys = options->count;
  request.max_examined = std::max(kMinExamined, options->count > UINT64_MAX / 10 ? UINT64_MAX : options->count * 10);
  KeyList keys(context);
  const Result<std::optional<std::string>> position =
      context.keyspace.Scan(request, [&](std::string_view key, ValueType type) {
        if (!options->Matches(key, type)) return false;
        keys.Add(key);
        return true;
      }, context.transaction);
  if (!position) return Fail(context, position.error());
  const std::uint64_t physical = PhysicalHere(context);
  const std::uint64_t next = *position ? cursors.Remember(physical, **position, *cursor) : 0;
  context.reply.Array(2);
  context.reply.Bulk(std::to_string(next));
  keys.WriteTo(context.reply);
  return Outcome::kDone;
}

Outcome HandleKeys(CommandContext& context) {
  if (!context.may_block) return Outcome::kWouldBlock;
  const std::string_view pattern = context.args[1];
  ScanRequest request;
  request.database = context.client.database;
  request.now_ms = context.now_ms;
  request.prefix = GlobPrefix(pattern);
  request.fill_cache = false;
  KeyList keys(context);
  const Result<std::optional<std::string>> end = context.keyspace.Scan(request, [&](std::string_view key, ValueType) {
    if (GlobMatch(pattern, key)) keys.Add(key);
    return true;
  }, context.transaction);
  if (!end) return Fail(context, end.error());
  keys.WriteTo(context.reply);
  return Outcome::kDone;
}

Outcome HandleRandomkey(CommandContext& context) {
  if (!context.may_block) return Outcome::kWouldBlock;
  const Result<std::optional<std::string>> key =
      context.keyspace.RandomKey(context.client.database, context.now_ms, Random(), context.transaction);
  if (!key) return Fail(context, key.error());
  if (*key) {
    context.reply.Bulk(**key);
  } else {
    context.reply.Null();
  }
  return Outcome::kDone;
}

}  // namespace lsmkv
