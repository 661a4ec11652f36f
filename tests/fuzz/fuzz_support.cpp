#include "fuzz_support.h"

#include <cstdio>
#include <cstdlib>
#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LSMKV_FUZZ_HOOKS
#elif __has_feature(thread_sanitizer)
#define LSMKV_FUZZ_UNBOUNDED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define LSMKV_FUZZ_HOOKS
#elif defined(__SANITIZE_THREAD__)
#define LSMKV_FUZZ_UNBOUNDED
#endif
#ifdef LSMKV_FUZZ_HOOKS
// As clang's sanitizer/allocator_interface.h has it; g++ comes with the function and without the header.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                                         void (*on_free)(const volatile void*));
#endif

namespace lsmkv::fuzz {
namespace {

thread_local std::size_t allocation_bound = SIZE_MAX;

#ifndef LSMKV_FUZZ_UNBOUNDED
void CheckBound(std::size_t bytes) {
  if (bytes <= allocation_bound) return;
  const std::size_t bound = allocation_bound;
  allocation_bound = SIZE_MAX;
  std::fprintf(stderr, "%zu bytes were asked for\n", bytes);
  PromiseBroken(__FILE__, __LINE__, "no more than " + std::to_string(bound) + " bytes are allocated at once");
}
#endif

#ifdef LSMKV_FUZZ_HOOKS
// The address sanitizer's allocator is left in its place, and tells.
void SeeAllocation(const volatile void*, std::size_t bytes) { CheckBound(bytes); }
void SeeFree(const volatile void*) {}
[[maybe_unused]] const int hooks_installed = __sanitizer_install_malloc_and_free_hooks(&SeeAllocation, &SeeFree);
#elif !defined(LSMKV_FUZZ_UNBOUNDED)
void* Allocate(std::size_t bytes, std::size_t alignment) {
  CheckBound(bytes);
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* const memory = alignment <= alignof(std::max_align_t) ? std::malloc(bytes == 0 ? 1 : bytes)
                                                              : std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) PromiseBroken(__FILE__, __LINE__, "memory suffices");
  return memory;
}
#endif

}  // namespace

void PromiseBroken(const char* file, int line, std::string_view promise) {
  std::fprintf(stderr, "%s:%d: broken: %.*s\n", file, line, static_cast<int>(promise.size()), promise.data());
  std::abort();
}

void WriteFile(FileSystem& fs, const std::string& path, std::string_view bytes) {
  auto file = fs.NewWritableFile(path);
  const bool written = file && (*file)->Append(bytes).ok() && (*file)->Sync().ok() && (*file)->Close().ok();
  FUZZ_REQUIRE(written, "files in memory can be written");
}

AllocationBound::AllocationBound(std::size_t bytes) { allocation_bound = bytes; }
AllocationBound::~AllocationBound() { allocation_bound = SIZE_MAX; }

}  // namespace lsmkv::fuzz

#if !defined(LSMKV_FUZZ_HOOKS) && !defined(LSMKV_FUZZ_UNBOUNDED)
// Every allocation of the program; what the compressors take from malloc they bound themselves.
void* operator new(std::size_t bytes) { return lsmkv::fuzz::Allocate(bytes, alignof(std::max_align_t)); }
void* operator new[](std::size_t bytes) { return lsmkv::fuzz::Allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return lsmkv::fuzz::Allocate(bytes, static_cast<std::size_t>(alignment)); }
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return lsmkv::fuzz::Allocate(bytes, static_cast<std::size_t>(alignment)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif
