#include "base/control_groups.h"

#include <algorithm>
#include <fstream>
#include <optional>

namespace lsmkv {
namespace {

constexpr int kMostLines = 1000;     // of a file of the kernel's
constexpr int kMostNesting = 100;

bool HasWord(std::string_view words, std::string_view wanted) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(','), words.size());
    if (words.substr(0, end) == wanted) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

/// Where this process stands in a hierarchy: "/a/b", or nullopt when it is in none of that kind.
std::optional<std::string> GroupPath(const std::string& root, bool v2, std::string_view controller) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::string line;
  for (int i = 0; i < kMostLines && std::getline(file, line); ++i) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (v2 ? line.starts_with("0:") && controllers.empty() : HasWord(controllers, controller)) return line.substr(second + 1);
  }
  return std::nullopt;
}

}  // namespace

std::vector<ControlGroup> ControlGroupsAround(const std::string& root, std::string_view controller) {
  std::vector<ControlGroup> groups;
  for (const bool v2 : {true, false}) {
    std::optional<std::string> path = GroupPath(root, v2, controller);
    if (!path) continue;
    std::string mount = root + "/sys/fs/cgroup";
    if (!v2) mount.append("/").append(controller);
    for (int level = 0; level < kMostNesting; ++level) {
      while (path->ends_with('/')) path->pop_back();
      groups.push_back({v2, mount + *path});
      if (path->empty()) break;
      path->resize(path->find_last_of('/') == std::string::npos ? 0 : path->find_last_of('/'));
    }
  }
  return groups;
}

}  // namespace lsmkv
