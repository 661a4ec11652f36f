// How many processor cores this process may keep busy: those it may run on (its affinity mask, which taskset, systemd and cpusets
// set), or as many as the processor time that the control groups around it grant (cpu.max, cpu.cfs_quota_us), rounded up.
#pragma once

#include <cstdint>
#include <string>

namespace lsmkv {

/// 1 or more. @param root  as in ReadMachineMemory.
std::uint32_t UsableCores(const std::string& root = "");

}  // namespace lsmkv
