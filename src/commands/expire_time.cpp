#include "commands/expire_time.h"

#include <string>

#include "commands/generic_access.h"

namespace lsmkv {
namespace {

void ReplyInvalidTime(CommandContext& context) {
  std::string text = "ERR invalid expire time in '";
  context.reply.Error(text.append(context.spec.name).append("' command"));
}

/// Nothing when it does not fit 63 bits and a sign.
std::optional<std::int64_t> ToMillis(std::int64_t time, TimeUnit unit, std::int64_t base_ms) {
  std::int64_t millis = time;
  if (unit == TimeUnit::kSeconds && __builtin_mul_overflow(time, 1000, &millis)) return std::nullopt;
  if (__builtin_add_overflow(millis, base_ms, &millis)) return std::nullopt;
  return millis;
}

std::int64_t BaseMillis(const CommandContext& context, TimeBase base) {
  return base == TimeBase::kNow ? static_cast<std::int64_t>(context.now_ms) : 0;
}

}  // namespace

std::optional<std::uint64_t> PositiveDeadlineOrReply(CommandContext& context, std::string_view text, TimeUnit unit,
                                                     TimeBase base) {
  const std::optional<std::int64_t> time = IntegerOrReply(context, text);
  if (!time) return std::nullopt;
  const std::optional<std::int64_t> deadline =
      *time > 0 ? ToMillis(*time, unit, BaseMillis(context, base)) : std::nullopt;
  if (!deadline) {
    ReplyInvalidTime(context);
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(*deadline);
}

std::optional<std::int64_t> DeadlineOrReply(CommandContext& context, std::string_view text, TimeUnit unit, TimeBase base) {
  const std::optional<std::int64_t> time = IntegerOrReply(context, text);
  if (!time) return std::nullopt;
  const std::optional<std::int64_t> deadline = ToMillis(*time, unit, BaseMillis(context, base));
  if (!deadline) ReplyInvalidTime(context);
  return deadline;
}

}  // namespace lsmkv
