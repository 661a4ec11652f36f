// Numbers as clients write and read them. Parsing is strict, as in Redis: the text of an integer is accepted only when it is
// the one that formatting would give, so "01", "+1", " 1", "-0" and "1 " are strings, not integers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lsmkv {

/// The whole of `text` as a decimal integer, or nothing. No allocation.
std::optional<std::int64_t> ParseInt64(std::string_view text);
/// The same without a sign and up to 2^64-1.
std::optional<std::uint64_t> ParseUint64(std::string_view text);

/// The whole of `text` as a floating-point number in any form strtold knows ("1e3", "0x10", "inf"); no NaN, no leading space,
/// no overflow to infinity and no underflow to zero. At most 5 KB are looked at.
std::optional<long double> ParseLongDouble(std::string_view text);
std::optional<double> ParseDouble(std::string_view text);

/// As INCRBYFLOAT stores it: 17 digits after the point, trailing zeros and a trailing point removed, never an exponent.
std::string FormatLongDouble(long double value);

inline constexpr std::size_t kDoubleTextBytes = 32;
/// The shortest digits that read back the same, laid out as Redis 7.2 does ("0.1", "1e+25", "inf"). The view is into `buffer`.
std::string_view FormatDouble(double value, std::span<char, kDoubleTextBytes> buffer);

}  // namespace lsmkv
