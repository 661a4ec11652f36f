// LSMKV_ASSERT is cheap and stays in release builds; LSMKV_INVARIANT may walk a structure and runs in checked builds.
// Both are for our own bugs: bytes from a disk, a socket or a file become a Status instead.
#pragma once

namespace lsmkv {
[[noreturn]] void AssertionFailed(const char* expression, const char* file, int line);
}  // namespace lsmkv

#define LSMKV_ASSERT(condition) \
  (__builtin_expect(static_cast<bool>(condition), 1) ? void() : ::lsmkv::AssertionFailed(#condition, __FILE__, __LINE__))

#ifdef LSMKV_CHECKED
#define LSMKV_INVARIANT(condition) LSMKV_ASSERT(condition)
#else
#define LSMKV_INVARIANT(condition) ((void)0)
#endif
