#include "base/machine_memory.h"

#include <fstream>
#include <optional>
#include <string_view>

#include "base/numbers.h"

namespace lsmkv {
namespace {

constexpr int kMostLines = 1000;     // of a file of the kernel's
constexpr int kMostNesting = 100;    // of control groups

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

bool HasWord(std::string_view words, std::string_view wanted) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(','), words.size());
    if (words.substr(0, end) == wanted) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

/// Where this process stands in a hierarchy: "/a/b", or nullopt when it is in none of that kind.
std::optional<std::string> GroupPath(const std::string& root, bool v2) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::string line;
  for (int i = 0; i < kMostLines && std::getline(file, line); ++i) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (v2 ? line.starts_with("0:") && controllers.empty() : HasWord(controllers, "memory")) return line.substr(second + 1);
  }
  return std::nullopt;
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
  for (const bool v2 : {true, false}) {
    std::optional<std::string> group = GroupPath(root, v2);
    if (!group) continue;
    const std::string mount = root + (v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory");
    for (int level = 0; level < kMostNesting; ++level) {
      while (group->ends_with('/')) group->pop_back();
      const std::string directory = mount + *group;
      if (v2) {
        TakeLimit(directory + "/memory.max", &memory);
        TakeLimit(directory + "/memory.high", &memory);
      } else {
        TakeLimit(directory + "/memory.limit_in_bytes", &memory);
      }
      if (group->empty()) break;
      group->resize(group->find_last_of('/') == std::string::npos ? 0 : group->find_last_of('/'));
    }
  }
  return memory;
}

}  // namespace lsmkv
