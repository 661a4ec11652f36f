// What a key is made of: OBJECT and MEMORY USAGE.
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/numbers.h"
#include "commands/generic_access.h"

namespace lsmkv {
namespace {

constexpr std::size_t kLongestEmbeddedString = 44;   // Redis's: object header, sds header and text in 64 bytes
constexpr std::size_t kLongestInteger = 20;

/// Beside key and value: sequence number, deadline, lengths, the memtable's links and index slot.
constexpr std::size_t kEntryOverheadBytes = 64;

std::string_view StringEncoding(std::string_view value) {
  if (value.size() <= kLongestInteger && ParseInt64(value)) return "int";
  return value.size() <= kLongestEmbeddedString ? "embstr" : "raw";
}

/// Writes what `describe(record)` does, or null for no key.
template <typename Describe>
Outcome DescribeKey(CommandContext& context, std::string_view key, Describe describe) {
  Operation operation = Begin(context);
  const Result<std::optional<Record>> record = operation.Read(key);
  if (!record) return Fail(context, record.error());
  if (*record) {
    describe(**record);
  } else {
    context.reply.Null();
  }
  return Outcome::kDone;
}

}  // namespace

std::string_view EncodingOf(const Record& record) { return record.edited() ? "raw" : StringEncoding(record.payload()); }

Outcome HandleObjectEncoding(CommandContext& context) {
  return DescribeKey(context, context.args[2], [&](const Record& record) {
    context.reply.Bulk(EncodingOf(record));
  });
}

Outcome HandleObjectRefcount(CommandContext& context) {
  return DescribeKey(context, context.args[2], [&](const Record&) { context.reply.Integer(1); });
}

/// Idle times are not kept: what is idle sinks to the disk by itself.
Outcome HandleObjectIdletime(CommandContext& context) {
  return DescribeKey(context, context.args[2], [&](const Record&) { context.reply.Integer(0); });
}

Outcome HandleObjectFreq(CommandContext& context) {
  return DescribeKey(context, context.args[2], [&](const Record&) {
    context.reply.Error(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching "
        "between policies at runtime LRU and LFU data will take some time to adjust.");
  });
}

Outcome HandleObjectHelp(CommandContext& context) {
  static constexpr std::string_view kLines[] = {
      "ENCODING <key>",
      "    Return the kind of internal representation used in order to store the value",
      "    associated with a <key>.",
      "FREQ <key>",
      "    Return the access frequency index of the <key>. The returned integer is",
      "    proportional to the logarithm of the recent access frequency of the key.",
      "IDLETIME <key>",
      "    Return the idle time of the <key>, that is the approximated number of",
      "    seconds elapsed since the last access to the key.",
      "REFCOUNT <key>",
      "    Return the number of references of the value associated with the specified",
      "    <key>.",
  };
  ReplyHelp(context.reply, "object", kLines);
  return Outcome::kDone;
}

/// MEMORY USAGE key [SAMPLES n]: what the entry takes in a memtable. On disk it takes less, in the block cache perhaps more
/// at first; a string has nothing to sample.
Outcome HandleMemoryUsage(CommandContext& context) {
  for (std::size_t i = 3; i < context.args.size(); ++i) {
    if (!EqualsIgnoringCase(context.args[i], "samples") || i + 1 == context.args.size()) return Fail(context, kSyntaxError);
    const std::optional<std::int64_t> samples = IntegerOrReply(context, context.args[++i]);
    if (!samples) return Outcome::kDone;
    if (*samples < 0) return Fail(context, kSyntaxError);
  }
  const std::string_view key = context.args[2];
  return DescribeKey(context, key, [&](const Record& record) {
    context.reply.Integer(static_cast<std::int64_t>(key.size() + record.payload().size() + kEntryOverheadBytes));
  });
}

Outcome HandleMemoryHelp(CommandContext& context) {
  static constexpr std::string_view kLines[] = {
      "USAGE <key> [SAMPLES <count>]",
      "    Return memory in bytes used by <key> and its value. Nested values are",
      "    sampled up to <count> times (default: 5, 0 means sample all).",
  };
  ReplyHelp(context.reply, "memory", kLines);
  return Outcome::kDone;
}

}  // namespace lsmkv
