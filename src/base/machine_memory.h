// How much memory this process may use: what the machine has, and what the control groups around the process allow.
//
//   v2   /proc/self/cgroup has "0::/a/b": memory.max and memory.high of /sys/fs/cgroup/a/b, of /a, and of the mount itself
//   v1   it has "7:memory:/a/b": memory.limit_in_bytes below /sys/fs/cgroup/memory, likewise
//
// A limit holds for everything below it, so the smallest on the way up counts. In a container the path may be the host's,
// which is not there; the mount's own directory then has the container's limit, and it is on the way up as well. What is
// no number ("max"), or more than the machine has, is no limit.
// Source   the kernel's admin-guide: cgroup-v2.rst, cgroup-v1/memory.rst.
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
