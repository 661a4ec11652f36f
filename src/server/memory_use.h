#pragma once

#include <cstdint>
#include <string>

namespace lsmkv {

struct MemoryUse {
  std::uint64_t allocated_bytes = 0;       ///< handed out by the allocator
  std::uint64_t resident_bytes = 0;
  std::uint64_t peak_resident_bytes = 0;
  std::uint64_t system_bytes = 0;          ///< of the machine
  std::string allocator;
};
/// Asks jemalloc when it is linked in, else the C library, and /proc. Some tens of microseconds.
MemoryUse ReadMemoryUse();

}  // namespace lsmkv
