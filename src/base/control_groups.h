// The control groups around this process, from its own outwards: what limits it stands in a file of each.
//
//   v2   /proc/self/cgroup has "0::/a/b": /sys/fs/cgroup/a/b, /a, and the mount itself
//   v1   it has "7:memory:/a/b": the same below /sys/fs/cgroup/memory
//
// A limit holds for everything below it, so the smallest on the way up counts. In a container the path may be the host's,
// which is not there; the mount's own directory then has the container's limit, and it is on the way up as well.
// Source   the kernel's admin-guide: cgroup-v2.rst, cgroup-v1/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lsmkv {

struct ControlGroup {
  bool v2 = false;
  std::string directory;
};

/// @param root        what stands for "/": a directory with proc/ and sys/ below it, for tests.
/// @param controller  v1's name: "memory", "cpu"
/// Directories that are not there may be among them.
std::vector<ControlGroup> ControlGroupsAround(const std::string& root, std::string_view controller);

}  // namespace lsmkv
