#include "base/machine_memory.h"

#include <catch2/catch.hpp>

#include "fake_root.h"

using namespace lsmkv;

namespace {

constexpr const char* kMeminfo = "MemTotal:        8000000 kB\nMemFree:         1000000 kB\n";
constexpr std::uint64_t kMachine = 8000000ull * 1024;

}  // namespace

TEST_CASE("the memory a process may use is the smallest limit above it", "[machine-memory]") {
  struct Case {
    const char* what;
    std::map<std::string, std::string> files;
    std::uint64_t cgroup_bytes;
    const char* file;
  };
  const auto c = GENERATE(values<Case>({
      {"no control groups", {{"/proc/meminfo", kMeminfo}}, 0, ""},
      {"v2, no limit",
       {{"/proc/meminfo", kMeminfo}, {"/proc/self/cgroup", "0::/app\n"}, {"/sys/fs/cgroup/app/memory.max", "max\n"}},
       0, ""},
      {"v2, a limit",
       {{"/proc/meminfo", kMeminfo}, {"/proc/self/cgroup", "0::/app\n"}, {"/sys/fs/cgroup/app/memory.max", "1048576000\n"}},
       1048576000, "/sys/fs/cgroup/app/memory.max"},
      {"v2, the parent's limit is smaller",
       {{"/proc/meminfo", kMeminfo},
        {"/proc/self/cgroup", "0::/a/b/c\n"},
        {"/sys/fs/cgroup/a/b/c/memory.max", "500000000\n"},
        {"/sys/fs/cgroup/a/b/memory.max", "400000000\n"},
        {"/sys/fs/cgroup/a/memory.max", "600000000\n"}},
       400000000, "/sys/fs/cgroup/a/b/memory.max"},
      {"v2, throttled before the limit",
       {{"/proc/meminfo", kMeminfo},
        {"/proc/self/cgroup", "0::/a\n"},
        {"/sys/fs/cgroup/a/memory.max", "500000000\n"},
        {"/sys/fs/cgroup/a/memory.high", "300000000\n"}},
       300000000, "/sys/fs/cgroup/a/memory.high"},
      {"v2, in a container: the host's path is not there",
       {{"/proc/meminfo", kMeminfo},
        {"/proc/self/cgroup", "0::/docker/123abc\n"},
        {"/sys/fs/cgroup/memory.max", "200000000\n"}},
       200000000, "/sys/fs/cgroup/memory.max"},
      {"v1, a limit beside other controllers",
       {{"/proc/meminfo", kMeminfo},
        {"/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:hugetlb,memory:/jobs/1\n0::/\n"},
        {"/sys/fs/cgroup/memory/jobs/1/memory.limit_in_bytes", "700000000\n"}},
       700000000, "/sys/fs/cgroup/memory/jobs/1/memory.limit_in_bytes"},
      {"v1, unlimited is a huge number",
       {{"/proc/meminfo", kMeminfo},
        {"/proc/self/cgroup", "4:memory:/\n"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
       0, ""},
      {"v1, in a container",
       {{"/proc/meminfo", kMeminfo},
        {"/proc/self/cgroup", "4:memory:/docker/0123\n"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "300000000\n"}},
       300000000, "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
      {"more than the machine has is no limit",
       {{"/proc/meminfo", kMeminfo}, {"/proc/self/cgroup", "0::/a\n"}, {"/sys/fs/cgroup/a/memory.max", "99999999999999\n"}},
       0, ""},
      {"nonsense is no limit",
       {{"/proc/meminfo", kMeminfo}, {"/proc/self/cgroup", "0::/a\n::\n\nx\n"}, {"/sys/fs/cgroup/a/memory.max", "-1 of \n"}},
       0, ""},
  }));
  CAPTURE(c.what);
  const FakeRoot root(c.files);
  const MachineMemory memory = ReadMachineMemory(root.path());
  CHECK(memory.machine_bytes == kMachine);
  CHECK(memory.cgroup_bytes == c.cgroup_bytes);
  CHECK(memory.cgroup_file == (c.cgroup_bytes == 0 ? "" : root.path() + c.file));
  CHECK(memory.usable_bytes() == (c.cgroup_bytes == 0 ? kMachine : c.cgroup_bytes));
}

TEST_CASE("a machine that says nothing is not guessed at", "[machine-memory]") {
  const FakeRoot root({});
  CHECK(ReadMachineMemory(root.path()).usable_bytes() == 0);
  CHECK(ReadMachineMemory().machine_bytes > 0);   // this one does
}
