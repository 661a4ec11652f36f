// Strings in part, and as numbers: APPEND, STRLEN, GETRANGE, SETRANGE, INCR and its kin.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/numbers.h"
#include "commands/generic_access.h"
#include "config/config.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {
namespace {

/// A string may become as long as one that could be sent.
bool IsTooLong(CommandContext& context, std::uint64_t bytes) {
  constexpr std::uint64_t kLeastLimit = 1u << 20;   // of the directive: shorter ones need not ask for it
  if (bytes <= kLeastLimit) return false;
  return bytes > std::min<std::uint64_t>(context.server.config().Current()->proto_max_bulk_bytes, kMaxValueBytes - 1);
}
constexpr std::string_view kStringTooLong = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

Outcome AddInteger(CommandContext& context, std::int64_t increment) {
  const std::string_view key = context.args[1];
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  const Result<StringRead> old = operation.ReadString(key);
  if (!old) return Fail(context, old.error());
  if (old->wrong_type()) return Fail(context, kWrongType);
  const std::optional<std::int64_t> number = old->found() ? ParseInt64(old->value()) : 0;
  if (!number) return Fail(context, kNotAnInteger);
  std::int64_t sum = 0;
  if (__builtin_add_overflow(*number, increment, &sum)) return Fail(context, kOverflow);
  char text[24];
  const auto end = std::to_chars(std::begin(text), std::end(text), sum).ptr;
  operation.PutString(key, {text, static_cast<std::size_t>(end - text)}, old->expire_at_ms());
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Integer(sum);
  return Outcome::kDone;
}

}  // namespace

Outcome HandleIncr(CommandContext& context) { return AddInteger(context, 1); }
Outcome HandleDecr(CommandContext& context) { return AddInteger(context, -1); }

Outcome HandleIncrby(CommandContext& context) {
  const std::optional<std::int64_t> increment = IntegerOrReply(context, context.args[2]);
  if (!increment) return Outcome::kDone;
  return AddInteger(context, *increment);
}

Outcome HandleDecrby(CommandContext& context) {
  const std::optional<std::int64_t> decrement = IntegerOrReply(context, context.args[2]);
  if (!decrement) return Outcome::kDone;
  if (*decrement == std::numeric_limits<std::int64_t>::min()) return Fail(context, "ERR decrement would overflow");
  return AddInteger(context, -*decrement);
}

Outcome HandleIncrbyfloat(CommandContext& context) {
  const std::string_view key = context.args[1];
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  const Result<StringRead> old = operation.ReadString(key);
  if (!old) return Fail(context, old.error());
  if (old->wrong_type()) return Fail(context, kWrongType);
  const std::optional<long double> number = old->found() ? ParseLongDouble(old->value()) : 0.0L;
  const std::optional<long double> increment = ParseLongDouble(context.args[2]);
  if (!number || !increment) return Fail(context, kNotAFloat);
  const long double sum = *number + *increment;
  if (!std::isfinite(sum)) return Fail(context, "ERR increment would produce NaN or Infinity");
  const std::string text = FormatLongDouble(sum);
  operation.PutString(key, text, old->expire_at_ms());
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Bulk(text);
  return Outcome::kDone;
}

Outcome HandleAppend(CommandContext& context) {
  const std::string_view key = context.args[1];
  const std::string_view suffix = context.args[2];
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  const Result<StringRead> old = operation.ReadString(key);
  if (!old) return Fail(context, old.error());
  if (old->wrong_type()) return Fail(context, kWrongType);
  const std::uint64_t bytes = old->value().size() + suffix.size();
  if (old->found() && IsTooLong(context, bytes)) return Fail(context, kStringTooLong);
  if (!old->found()) operation.PutString(key, suffix);
  if (old->found()) operation.PutEditedString(key, old->value(), suffix, old->expire_at_ms());
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Integer(static_cast<std::int64_t>(bytes));
  return Outcome::kDone;
}

Outcome HandleStrlen(CommandContext& context) {
  Operation operation = Begin(context);
  const Result<std::optional<Record>> record = operation.Read(context.args[1]);
  if (!record) return Fail(context, record.error());
  if (*record && (*record)->type() != ValueType::kString) return Fail(context, kWrongType);
  context.reply.Integer(*record ? static_cast<std::int64_t>((*record)->payload().size()) : 0);
  return Outcome::kDone;
}

namespace {

/// The bytes from `start` to `end`, both included, negative ones counted from the end of the value; as GETRANGE in 7.2.
std::string_view Slice(std::string_view value, std::int64_t start, std::int64_t end) {
  if (start < 0 && end < 0 && start > end) return {};
  const auto size = static_cast<std::int64_t>(value.size());
  if (start < 0) start = std::max<std::int64_t>(0, size + start);
  if (end < 0) end = std::max<std::int64_t>(0, size + end);
  end = std::min(end, size - 1);
  if (start > end) return {};
  return value.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start) + 1);
}

}  // namespace

Outcome HandleGetrange(CommandContext& context) {
  const std::optional<std::int64_t> start = IntegerOrReply(context, context.args[2]);
  if (!start) return Outcome::kDone;
  const std::optional<std::int64_t> end = IntegerOrReply(context, context.args[3]);
  if (!end) return Outcome::kDone;
  Operation operation = Begin(context);
  const Result<StringRead> read = operation.ReadString(context.args[1]);
  if (!read) return Fail(context, read.error());
  if (read->wrong_type()) return Fail(context, kWrongType);
  const std::string_view slice = Slice(read->value(), *start, *end);
  const bool most_of_it = slice.size() >= read->value().size() / 2;
  most_of_it ? context.reply.Bulk(slice, read->block()) : context.reply.Bulk(slice);
  return Outcome::kDone;
}

Outcome HandleSubstr(CommandContext& context) { return HandleGetrange(context); }

Outcome HandleSetrange(CommandContext& context) {
  const std::string_view key = context.args[1];
  const std::string_view piece = context.args[3];
  const std::optional<std::int64_t> offset = IntegerOrReply(context, context.args[2]);
  if (!offset) return Outcome::kDone;
  if (*offset < 0) return Fail(context, "ERR offset is out of range");
  const auto begin = static_cast<std::uint64_t>(*offset);
  Operation operation = Begin(context);
  if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
  const Result<StringRead> old = operation.ReadString(key);
  if (!old) return Fail(context, old.error());
  if (old->wrong_type()) return Fail(context, kWrongType);
  if (piece.empty()) {
    context.reply.Integer(static_cast<std::int64_t>(old->value().size()));
    return Outcome::kDone;
  }
  if (IsTooLong(context, begin + piece.size())) return Fail(context, kStringTooLong);
  const std::uint64_t bytes = std::max<std::uint64_t>(old->value().size(), begin + piece.size());
  if (!context.may_block && bytes > Operation::kLongBytes) return Outcome::kWouldBlock;   // before making it
  if (Status status = operation.AdmitMade(bytes); !status.ok()) return Fail(context, status);       // however few were sent
  std::string value(old->value());
  value.resize(static_cast<std::size_t>(bytes));
  std::ranges::copy(piece, value.begin() + *offset);
  operation.PutEditedString(key, value, {}, old->expire_at_ms());
  if (Status status = operation.Commit(); !status.ok()) return Fail(context, status);
  context.reply.Integer(static_cast<std::int64_t>(bytes));
  return Outcome::kDone;
}

}  // namespace lsmkv
