#include "base/machine_memory.h"

#include <fstream>
#include <optional>
#include <string_view>

#include "base/control_groups.h"
#include "base/numbers.h"

namespace lsmkv {
namespace {

constexpr int kMostLines = 1000;     // of a file of the kernel's

/// The first word of a file that has one number in it; nullopt: no file, or no number ("max").
std::optional<std::uint64_t> ReadNumber(const std::string& path) {
  std::string word;
  std::ifstream(path) >> word;
  return ParseUint64(word);
}

std::uint64_t ReadMachineBytes(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  std::string name;
  std::uint64_t kilobytes = 0;
  for (int i = 0; i < kMostLines && file >> name; ++i) {
    if (name == "MemTotal:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

void TakeLimit(const std::string& file, MachineMemory* memory) {
  const std::optional<std::uint64_t> limit = ReadNumber(file);
  if (!limit || *limit == 0) return;
  if (memory->machine_bytes != 0 && *limit >= memory->machine_bytes) return;
  if (memory->cgroup_bytes != 0 && *limit >= memory->cgroup_bytes) return;
  memory->cgroup_bytes = *limit;
  memory->cgroup_file = file;
}

}  // namespace

MachineMemory ReadMachineMemory(const std::string& root) {
  MachineMemory memory;
  memory.machine_bytes = ReadMachineBytes(root);
  for (const ControlGroup& group : ControlGroupsAround(root, "memory")) {
    if (group.v2) {
      TakeLimit(group.directory + "/memory.max", &memory);
      TakeLimit(group.directory + "/memory.high", &memory);
    } else {
      TakeLimit(group.directory + "/memory.limit_in_bytes", &memory);
    }
  }
  return memory;
}

}  // namespace lsmkv
