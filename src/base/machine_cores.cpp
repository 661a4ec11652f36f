#include "base/machine_cores.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <thread>

#include "base/control_groups.h"
#include "base/numbers.h"

namespace lsmkv {
namespace {

std::uint32_t CoresToRunOn() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  // Fails on a machine with more cores than a mask of this size has room for.
  if (::sched_getaffinity(0, sizeof(mask), &mask) == 0) return static_cast<std::uint32_t>(CPU_COUNT(&mask));
  return std::thread::hardware_concurrency();
}

/// Cores' worth of time that a group grants, rounded up; nullopt: no limit.
std::optional<std::uint64_t> Granted(const ControlGroup& group) {
  std::string quota_word, period_word;
  if (group.v2) {
    std::ifstream(group.directory + "/cpu.max") >> quota_word >> period_word;        // "max 100000" is no limit
  } else {
    std::ifstream(group.directory + "/cpu.cfs_quota_us") >> quota_word;               // "-1" is none
    std::ifstream(group.directory + "/cpu.cfs_period_us") >> period_word;
  }
  const std::optional<std::uint64_t> quota = ParseUint64(quota_word), period = ParseUint64(period_word);
  if (!quota || !period || *period == 0) return std::nullopt;
  return *quota / *period + (*quota % *period != 0 ? 1 : 0);
}

}  // namespace

std::uint32_t UsableCores(const std::string& root) {
  std::uint64_t cores = CoresToRunOn();
  for (const ControlGroup& group : ControlGroupsAround(root, "cpu"))
    if (const auto granted = Granted(group)) cores = std::min(cores, *granted);
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(cores, 1));
}

}  // namespace lsmkv
