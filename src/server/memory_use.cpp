#include "server/memory_use.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "base/arena.h"
#include "base/log.h"
#include "base/mapped_memory.h"

// Weak: the sanitizer builds and the tests run without jemalloc.
extern "C" int mallctl(const char* name, void* old_value, size_t* old_bytes, void* new_value, size_t new_bytes)
    __attribute__((weak));

namespace lsmkv {
namespace {

constexpr std::uint64_t kSmallBudgetBytes = 256ull << 20;
constexpr ssize_t kSmallDecayMillis = 200;
constexpr ssize_t kDecayMillis = 1000;

void RefreshAllocatorStats() {
  std::uint64_t epoch = 1;
  mallctl("epoch", nullptr, nullptr, &epoch, sizeof(epoch));
}

std::uint64_t AskAllocator(const char* name) {
  std::size_t value = 0;
  std::size_t bytes = sizeof(value);
  return mallctl(name, &value, &bytes, nullptr, 0) == 0 ? value : 0;
}

void ReadAllocator(MemoryUse* use) {
  use->mapped_bytes = Arena::mapped_bytes() + MappedMemory::total_bytes();
  if (mallctl != nullptr) {
    RefreshAllocatorStats();
    use->allocated_bytes = AskAllocator("stats.allocated");
    use->active_bytes = AskAllocator("stats.active");
    use->allocator_resident_bytes = AskAllocator("stats.resident");
    use->allocator = "jemalloc";
    return;
  }
  const struct mallinfo2 info = ::mallinfo2();
  use->allocated_bytes = info.uordblks + info.hblkhd;
  use->active_bytes = use->allocator_resident_bytes = info.arena + info.hblkhd;
  use->allocator = "libc";
}

/// Not getrusage's: that one begins with what the parent had when it started us.
std::uint64_t ReadHighWaterMark() {
  std::ifstream status("/proc/self/status");
  std::string name;
  std::uint64_t kilobytes = 0;
  while (status >> name) {
    if (name == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

}  // namespace

std::uint64_t ReadUsedBytes() {
  MemoryUse use;
  ReadAllocator(&use);
  return use.used_bytes();
}

MemoryUse ReadMemoryUse() {
  MemoryUse use;
  ReadAllocator(&use);
  const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::uint64_t pages = 0, resident_pages = 0, file_pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident_pages >> file_pages;
  use.resident_bytes = resident_pages * page_bytes;
  use.resident_file_bytes = file_pages * page_bytes;
  use.peak_resident_bytes = std::max(ReadHighWaterMark(), use.resident_bytes);
  use.system_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * page_bytes;
  return use;
}

void TuneAllocator(std::uint64_t budget_bytes) {
  if (mallctl == nullptr) return;
  ssize_t millis = budget_bytes < kSmallBudgetBytes ? kSmallDecayMillis : kDecayMillis;
  if (mallctl("arenas.dirty_decay_ms", nullptr, nullptr, &millis, sizeof(millis)) != 0)
    LogWarning("server", "the allocator cannot be told to give memory back sooner; it keeps its own pace");
  unsigned arenas = 0;
  std::size_t bytes = sizeof(arenas);
  if (mallctl("arenas.narenas", &arenas, &bytes, nullptr, 0) != 0) return;
  for (unsigned i = 0; i < arenas; ++i) {      // those that are there already; a later one takes the new default
    const std::string name = "arena." + std::to_string(i) + ".dirty_decay_ms";
    mallctl(name.c_str(), nullptr, nullptr, &millis, sizeof(millis));
  }
}

}  // namespace lsmkv
