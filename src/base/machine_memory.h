// How much memory this process may use: what the machine has, and what the control groups around the process allow
// (memory.max, memory.high, memory.limit_in_bytes): the smallest of them. What is no number ("max"), or more than the machine
// has, is no limit.
#pragma once

#include <cstdint>
#include <string>

namespace lsmkv {

struct MachineMemory {
  std::uint64_t machine_bytes = 0;   ///< 0: unknown
  std::uint64_t cgroup_bytes = 0;    ///< the smallest limit of a control group; 0: none
  std::string cgroup_file;           ///< where that limit stands

  /// The smaller of the two; 0: nothing is known.
  std::uint64_t usable_bytes() const { return cgroup_bytes != 0 ? cgroup_bytes : machine_bytes; }
};

/// @param root  what stands for "/": a directory with proc/ and sys/ below it, for tests.
MachineMemory ReadMachineMemory(const std::string& root = "");

}  // namespace lsmkv
