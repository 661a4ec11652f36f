#include "server/memory_use.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

// Weak: the sanitizer builds and the tests run without jemalloc.
extern "C" int mallctl(const char* name, void* old_value, size_t* old_bytes, void* new_value, size_t new_bytes)
    __attribute__((weak));

namespace lsmkv {
namespace {

void AskAllocator(MemoryUse* use) {
  if (mallctl != nullptr) {
    std::uint64_t epoch = 1;   // refreshes jemalloc's figures
    mallctl("epoch", nullptr, nullptr, &epoch, sizeof(epoch));
    std::size_t allocated = 0;
    std::size_t bytes = sizeof(allocated);
    if (mallctl("stats.allocated", &allocated, &bytes, nullptr, 0) == 0) {
      use->allocated_bytes = allocated;
      use->allocator = "jemalloc";
      return;
    }
  }
  const struct mallinfo2 info = ::mallinfo2();
  use->allocated_bytes = info.uordblks + info.hblkhd;
  use->allocator = "libc";
}

}  // namespace

MemoryUse ReadMemoryUse() {
  MemoryUse use;
  AskAllocator(&use);
  const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::uint64_t pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident_pages;
  use.resident_bytes = resident_pages * page_bytes;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  use.peak_resident_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  use.system_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * page_bytes;
  return use;
}

}  // namespace lsmkv
