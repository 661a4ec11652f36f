// Deadlines as clients give them: in seconds or milliseconds, from now or since 1970.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "commands/command.h"

namespace lsmkv {

enum class TimeUnit : std::uint8_t { kSeconds, kMilliseconds };
enum class TimeBase : std::uint8_t { kNow, kEpoch };

/// For SET and its kin: a time of 1 or more. Nothing when it is not one, and the error has been written.
std::optional<std::uint64_t> PositiveDeadlineOrReply(CommandContext& context, std::string_view text, TimeUnit unit,
                                                     TimeBase base);
/// For EXPIRE and its kin, where the past is allowed: milliseconds since 1970, or before.
std::optional<std::int64_t> DeadlineOrReply(CommandContext& context, std::string_view text, TimeUnit unit, TimeBase base);

}  // namespace lsmkv
