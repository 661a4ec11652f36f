#include "config/memory_plan.h"

#include <catch2/catch.hpp>

#include "config/directive.h"

using namespace lsmkv;

namespace {

constexpr std::uint64_t kMb = 1ull << 20;

Settings With(std::uint64_t budget_mb) {
  Settings settings = DefaultSettings();
  settings.memory_budget_bytes = budget_mb * kMb;
  return settings;
}

MachineMemory Machine(std::uint64_t machine_mb, std::uint64_t cgroup_mb = 0) {
  return {machine_mb * kMb, cgroup_mb * kMb, cgroup_mb == 0 ? "" : "/sys/fs/cgroup/memory.max"};
}

MemoryPlan Plan(const Settings& settings, const MachineMemory& machine = {}) {
  const Result<MemoryPlan> plan = PlanMemory(settings, machine);
  REQUIRE(plan.status().message().empty());
  return *plan;
}

}  // namespace

TEST_CASE("the parts fill the budget and never exceed it", "[memory-plan]") {
  const std::uint64_t budget_mb = GENERATE(32u, 33u, 48u, 64u, 100u, 128u, 256u, 512u, 1024u, 4096u, 65536u, 1u << 20);
  CAPTURE(budget_mb);
  const MemoryPlan plan = Plan(With(budget_mb));
  CHECK(plan.budget_bytes == budget_mb * kMb);
  CHECK(plan.sum_bytes() <= plan.budget_bytes);
  CHECK(plan.sum_bytes() + kMb > plan.budget_bytes);         // rounding leaves less than that unused
  CHECK(plan.memtable_bytes == plan.memtables_bytes / 3);
  CHECK(plan.memtables_bytes >= 4 * kMb - kMb / 2);
  CHECK(plan.memtables_bytes <= 1024 * kMb);
  CHECK(plan.background_bytes <= 64 * kMb);
  CHECK(plan.max_open_sstables * kOpenTableBytes <= plan.open_tables_bytes);
  CHECK(plan.max_open_sstables <= 10240);
  CHECK(plan.max_open_sstables >= 16);
  CHECK(plan.block_cache_bytes > 0);
}

TEST_CASE("a larger budget makes no part smaller", "[memory-plan]") {
  MemoryPlan before = Plan(With(32));
  for (std::uint64_t budget_mb = 40; budget_mb < 100'000; budget_mb += budget_mb / 5) {
    CAPTURE(budget_mb);
    const MemoryPlan plan = Plan(With(budget_mb));
    CHECK(plan.memtables_bytes >= before.memtables_bytes);
    CHECK(plan.background_bytes >= before.background_bytes);
    CHECK(plan.clients_bytes >= before.clients_bytes);
    CHECK(plan.open_tables_bytes >= before.open_tables_bytes);
    CHECK(plan.block_cache_bytes >= before.block_cache_bytes);
    before = plan;
  }
}

TEST_CASE("without memory-budget it is 60% of what there is, at most 1 GiB", "[memory-plan]") {
  struct Case {
    MachineMemory machine;
    std::uint64_t budget_mb;
    const char* source;
  };
  const auto c = GENERATE(values<Case>({
      {{}, 1024, "default, 1 GiB"},
      {Machine(1 << 20), 1024, "default, 1 GiB"},
      {Machine(1000), 600, "60% of the machine's memory"},
      {Machine(1000, 500), 300, "60% of the limit in /sys/fs/cgroup/memory.max"},
      {Machine(64000, 2000), 1024, "default, 1 GiB"},
      {Machine(64000, 40), 32, "60% of the limit in /sys/fs/cgroup/memory.max, but no less than is needed"},
  }));
  const MemoryPlan plan = Plan(DefaultSettings(), c.machine);
  CHECK(plan.budget_bytes / kMb == c.budget_mb);
  CHECK(plan.budget_source == c.source);
  CHECK(plan.sum_bytes() <= plan.budget_bytes);
}

TEST_CASE("a directive overrules its part, and the others share the rest", "[memory-plan]") {
  const MemoryPlan alone = Plan(With(512));
  Settings s = With(512);
  SECTION("max-memory-mb") {
    s.max_memory_mb = 256;
    const MemoryPlan plan = Plan(s);
    CHECK(plan.memtables_bytes == 256 * kMb);
    CHECK(plan.memtable_bytes == 256 * kMb / 3);
    CHECK(plan.block_cache_bytes < alone.block_cache_bytes);
    CHECK(plan.block_cache_bytes > 90 * kMb);
  }
  SECTION("memtable-size-mb stands for four, or as many as there may be") {
    s.memtable_mb = 32;
    CHECK(Plan(s).memtables_bytes == 128 * kMb);
    CHECK(Plan(s).memtable_bytes == 32 * kMb);
    s.max_immutable_memtables = 1;
    CHECK(Plan(s).memtables_bytes == 64 * kMb);
  }
  SECTION("both of them") {
    s.memtable_mb = 10;
    s.max_memory_mb = 200;
    CHECK(Plan(s).memtables_bytes == 200 * kMb);
    CHECK(Plan(s).memtable_bytes == 10 * kMb);
  }
  SECTION("block-cache-mb") {
    s.block_cache_mb = 10;
    CHECK(Plan(s).block_cache_bytes == 10 * kMb);
    CHECK(Plan(s).memtables_bytes > alone.memtables_bytes);
  }
  SECTION("max-open-sstables") {
    s.max_open_sstables = 4096;
    CHECK(Plan(s).max_open_sstables == 4096);
    CHECK(Plan(s).open_tables_bytes == 32 * kMb);
  }
  SECTION("maxmemory-clients") {
    s.maxmemory_clients_bytes = 5 * kMb;
    CHECK(Plan(s).clients_bytes == 5 * kMb);
  }
  SECTION("all of them") {
    s.max_memory_mb = 100;
    s.block_cache_mb = 100;
    s.max_open_sstables = 100;
    s.maxmemory_clients_bytes = 10 * kMb;
    CHECK(Plan(s).background_bytes == 64 * kMb);   // its ceiling: the rest is left free
  }
  CHECK(Plan(s).sum_bytes() <= 512 * kMb);
}

TEST_CASE("explicit parts that do not fit into an explicit budget are refused", "[memory-plan]") {
  struct Case {
    std::uint64_t budget_mb, block_cache_mb, memtable_mb, clients_mb;
    const char* error;
  };
  const auto c = GENERATE(values<Case>({
      {128, 128, 0, 0,
       "128mb is too small for block-cache-mb 128, which with the least of everything else come to 175mb: raise it, or lower these"},
      {512, 200, 64, 0,
       "512mb is too small for memtable-size-mb 64 (4 of them), block-cache-mb 200, which with the least of everything else come "
       "to 545mb: raise it, or lower these"},
      {64, 0, 0, 64,
       "64mb is too small for maxmemory-clients 64mb, which with the least of everything else come to 100mb: raise it, or lower these"},
      {31, 0, 0, 0, "31mb is too small, allowed is 32mb or more"},
  }));
  Settings s = With(c.budget_mb);
  s.block_cache_mb = c.block_cache_mb;
  s.memtable_mb = c.memtable_mb;
  s.maxmemory_clients_bytes = c.clients_mb * kMb;
  CHECK(PlanMemory(s, Machine(1 << 20)).status().message() == c.error);
  const auto contradiction = FindContradiction(s);
  REQUIRE(contradiction.has_value());
  CHECK(contradiction->directive == "memory-budget");
  CHECK(contradiction->text == c.error);
}

TEST_CASE("the budget that an error asks for is enough", "[memory-plan]") {
  Settings s = With(64);
  s.block_cache_mb = GENERATE(100u, 101u, 1000u, 4097u);
  s.memtable_mb = 16;
  const std::string error = PlanMemory(s, {}).status().message();
  CAPTURE(error);
  const std::size_t at = error.find("come to ") + 8;
  s.memory_budget_bytes = std::stoull(error.substr(at)) * kMb;
  CHECK(PlanMemory(s, {}).has_value());
  s.memory_budget_bytes -= 2 * kMb;
  CHECK_FALSE(PlanMemory(s, {}).has_value());
}

TEST_CASE("without a budget explicit parts raise it, and the others stay useful", "[memory-plan]") {
  Settings s = DefaultSettings();
  s.block_cache_mb = 2048;
  const MemoryPlan plan = Plan(s, Machine(64000));
  CHECK(plan.budget_bytes > 2048 * kMb);
  CHECK(plan.block_cache_bytes == 2048 * kMb);
  CHECK(plan.memtables_bytes >= 64 * kMb);
  CHECK(plan.clients_bytes >= 32 * kMb);
  CHECK(plan.sum_bytes() <= plan.budget_bytes);
}

TEST_CASE("without a budget a small explicit part raises nothing", "[memory-plan]") {
  Settings s = DefaultSettings();
  s.memtable_mb = 1;
  const MemoryPlan plan = Plan(s, Machine(100));
  CHECK(plan.budget_bytes / kMb == 60);
  CHECK(plan.memtables_bytes == 4 * kMb);
}

TEST_CASE("the largest values there are do not overflow", "[memory-plan]") {
  Settings s = With(1ull << 42);
  CHECK(Plan(s).sum_bytes() <= s.memory_budget_bytes);
  s.memory_budget_bytes = 0;
  s.max_memory_mb = s.block_cache_mb = 1ull << 30;
  s.max_open_sstables = 1'000'000;
  const MemoryPlan plan = Plan(s, Machine(1 << 20));
  CHECK(plan.sum_bytes() <= plan.budget_bytes);
}
