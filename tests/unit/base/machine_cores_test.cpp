#include "base/machine_cores.h"

#include <catch2/catch.hpp>
#include <thread>

#include "fake_root.h"

using namespace lsmkv;

TEST_CASE("a process counts the cores it is granted, not those of the machine", "[machine-cores]") {
  const std::uint32_t all = UsableCores(FakeRoot({}).path());
  CHECK(all >= 1);
  CHECK(all <= std::max(1u, std::thread::hardware_concurrency()));
  struct Case {
    std::map<std::string, std::string> files;
    std::uint32_t want;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {{{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "max 100000\n"}}, all},
      {{{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "50000 100000\n"}}, 1},
      {{{"/proc/self/cgroup", "0::/a/b\n"}, {"/sys/fs/cgroup/a/cpu.max", "100000 100000\n"}}, 1},
      {{{"/proc/self/cgroup", "0::/a\n"}, {"/sys/fs/cgroup/cpu.max", "800000000 100000\n"}}, all},
      {{{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "nonsense\n"}}, all},
      {{{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "100000 0\n"}}, all},
      {{{"/proc/self/cgroup", "3:cpu,cpuacct:/x\n"}, {"/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n"},
        {"/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"}}, all},
      {{{"/proc/self/cgroup", "3:cpu,cpuacct:/x\n"}, {"/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "20000\n"},
        {"/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"}}, 1},
  }));
  CHECK(UsableCores(FakeRoot(c.files).path()) == c.want);
}
