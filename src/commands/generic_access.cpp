#include "commands/generic_access.h"

#include <limits>

#include "base/numbers.h"

namespace lsmkv {

std::optional<std::int64_t> IntegerOrReply(CommandContext& context, std::string_view text) {
  const std::optional<std::int64_t> number = ParseInt64(text);
  if (!number) context.reply.Error(kNotAnInteger);
  return number;
}

std::optional<std::uint32_t> DatabaseOrReply(CommandContext& context, std::string_view text) {
  using Int = std::numeric_limits<int>;
  const std::optional<std::int64_t> number = ParseInt64(text);
  if (!number || *number < Int::min() || *number > Int::max()) {
    constexpr std::string_view kNotAnInt = "ERR value is out of range, value must between -2147483648 and 2147483647";
    context.reply.Error(number ? kNotAnInt : kNotAnInteger);
    return std::nullopt;
  }
  if (*number < 0 || *number >= context.keyspace.databases()) {
    context.reply.Error(kDatabaseOutOfRange);
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(*number);
}

}  // namespace lsmkv
