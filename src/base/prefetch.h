#pragma once

namespace lsmkv {

inline constexpr unsigned kCacheLineBytes = 64;

/// Starts loading the cache line of `address`, which may be anything: nothing is read, nothing can fail.
inline void Prefetch(const void* address) { __builtin_prefetch(address); }

}  // namespace lsmkv
