// What the process takes, as the allocator and the kernel see it, and how the allocator is set up for a budget.
#pragma once

#include <cstdint>
#include <string>

namespace lsmkv {

struct MemoryUse {
  // The allocator. Of memory it hands out, the pages that has, and all of its pages: with what was freed and is not given
  // back to the system yet, and its own bookkeeping.
  std::uint64_t allocated_bytes = 0;
  std::uint64_t active_bytes = 0;
  std::uint64_t allocator_resident_bytes = 0;
  std::string allocator;
  std::uint64_t mapped_bytes = 0;          ///< of memtables' indexes, past the allocator
  // The kernel.
  std::uint64_t resident_bytes = 0;
  std::uint64_t resident_file_bytes = 0;   ///< of these, pages of files: the program and its libraries
  std::uint64_t peak_resident_bytes = 0;
  std::uint64_t system_bytes = 0;          ///< of the machine

  std::uint64_t used_bytes() const { return allocated_bytes + mapped_bytes; }
};
/// Asks jemalloc when it is linked in, else the C library, and /proc. Some tens of microseconds.
MemoryUse ReadMemoryUse();
/// used_bytes() alone, for sampling.
std::uint64_t ReadUsedBytes();

/// Sets how long the allocator keeps what was freed: the less the smaller the budget. Nothing without jemalloc.
void TuneAllocator(std::uint64_t budget_bytes);

}  // namespace lsmkv
