#pragma once

#include <cstddef>
#include <string>

namespace lsmkv {

inline constexpr std::size_t kHexIdBytes = 40;
/// 40 random hexadecimal digits, as Redis names a run of a server. From the system's random source.
std::string RandomHexId();

}  // namespace lsmkv
