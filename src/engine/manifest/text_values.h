// Keys and times as people read them, exact in both directions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lsmkv/status.h"

namespace lsmkv {

/// Printable ASCII as it is, a backslash doubled, every other byte as \xNN.
std::string EscapeKey(std::string_view key);
/// Errors   kCorruption: a backslash that is neither doubled nor followed by xNN, or a byte that should be escaped.
Result<std::string> UnescapeKey(std::string_view text);

/// The largest time that has an ISO-8601 text: 9999-12-31T23:59:59.999Z.
inline constexpr std::uint64_t kLastIsoMillis = 253'402'300'799'999;
/// "2026-03-01T12:00:07.123Z". @param ms  since 1970, at most kLastIsoMillis.
std::string FormatIsoTime(std::uint64_t ms);
/// Errors   kCorruption: not such a text (the fraction may be missing), or no such day or hour.
Result<std::uint64_t> ParseIsoTime(std::string_view text);

}  // namespace lsmkv
