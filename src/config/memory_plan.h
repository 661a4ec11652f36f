// One number, memory-budget, divided: what each part of the server may take.
//
//   memory-budget ─┬─ reserve        code, stacks and fixed structures (kBaseBytes), and an eighth of the budget for what the
//                  │                 allocator rounds up, keeps ready, and cannot give back at once
//                  ├─ memtables      all of them, the immutable ones included        max-memory-mb, memtable-size-mb
//                  ├─ background     what flushes and merges read ahead and gather   -
//                  ├─ clients        what was read from and is to be sent to them    maxmemory-clients
//                  ├─ open tables    footer and top index of each                    max-open-sstables
//                  └─ block cache    blocks, indexes, filters, rows                  block-cache-mb, row-cache-percent
//
// What the directive on the right says is taken as it is. The parts without one share what is left in fixed proportions, and
// what a part cannot use (its ceiling) goes to the block cache. Without memory-budget the budget is 60% of what the process
// may use, at most 1 GiB; explicit parts then raise it rather than leave the others next to nothing. With memory-budget
// nothing is raised: parts that do not fit into it are an error that says by how much.
//
// Not in any part: what one command takes while it runs, beyond what its client's share lets in; a value of 500 MB needs them.
#pragma once

#include <cstdint>
#include <string>

#include "base/machine_memory.h"
#include "config/settings.h"
#include "lsmkv/status.h"

namespace lsmkv {

inline constexpr std::uint64_t kLeastBudgetBytes = 32ull << 20;
inline constexpr std::uint64_t kMostDefaultBudgetBytes = 1ull << 30;
/// About what an open table keeps beside its cached blocks.
inline constexpr std::uint64_t kOpenTableBytes = 8ull << 10;

struct MemoryPlan {
  std::uint64_t budget_bytes = 0;
  std::string budget_source;             ///< "memory-budget", "60% of …", …: for INFO and the log
  std::uint64_t reserve_bytes = 0;
  std::uint64_t memtables_bytes = 0;     ///< all together
  std::uint64_t memtable_bytes = 0;      ///< one
  std::uint64_t background_bytes = 0;
  std::uint64_t clients_bytes = 0;
  std::uint64_t open_tables_bytes = 0;
  std::uint64_t max_open_sstables = 0;
  std::uint64_t block_cache_bytes = 0;
  std::uint32_t row_cache_percent = 0;   ///< of the block cache

  std::uint64_t sum_bytes() const {
    return reserve_bytes + memtables_bytes + background_bytes + clients_bytes + open_tables_bytes + block_cache_bytes;
  }
};

/// Pure. Errors: kInvalidArgument when explicit parts do not fit into an explicit budget; the message names both.
Result<MemoryPlan> PlanMemory(const Settings& settings, const MachineMemory& machine);

/// The engine's options as `plan` has them.
void ApplyPlan(const MemoryPlan& plan, Options* options);
/// The same for an engine that is open.
MemoryLimits LimitsOf(const MemoryPlan& plan);

}  // namespace lsmkv
