#pragma once

#include <cstddef>

namespace lsmkv::resp {

inline constexpr std::size_t kLineEndBytes = 2;

/// 1 to 9 digits and CR LF at `at`; returns what is behind them, or null when it is anything else (not there whole, longer,
/// malformed).
inline const char* QuickNumber(const char* at, const char* end, std::size_t* value) {
  constexpr std::ptrdiff_t kMostDigits = 9;
  if (end - at < 3) return nullptr;
  const char* const begin = at;
  std::size_t number = static_cast<unsigned char>(*at++ - '0');
  if (number > 9 || (number == 0 && *at != '\r')) return nullptr;
  for (unsigned char digit; at < end && (digit = static_cast<unsigned char>(*at - '0')) <= 9; ++at) number = number * 10 + digit;
  if (at - begin > kMostDigits || end - at < 2 || *at != '\r') return nullptr;
  *value = number;
  return at + kLineEndBytes;
}

}  // namespace lsmkv::resp
