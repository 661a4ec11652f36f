#pragma once

#include <string_view>

namespace lsmkv {

inline constexpr std::string_view kServerVersion = "0.1.0";
/// What HELLO and INFO name as redis_version: clients choose their commands by it.
inline constexpr std::string_view kRedisVersion = "7.2.0";

}  // namespace lsmkv
