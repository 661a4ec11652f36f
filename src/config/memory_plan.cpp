#include "config/memory_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/assert.h"
#include "config/byte_size.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kKb = 1ull << 10;
constexpr std::uint64_t kMb = 1ull << 20;
constexpr std::uint64_t kGb = 1ull << 30;
constexpr std::uint64_t kUnbounded = std::numeric_limits<std::uint64_t>::max();

constexpr std::uint64_t kBaseBytes = 16 * kMb;
constexpr std::uint64_t kSlackShare = 8;              // of the budget: one in so many
constexpr std::uint64_t kMemtablesAtOnce = 4;         // one is filled, one or two are flushed, one is room for a late flush
constexpr std::uint64_t kMemtablesAtLeast = 3;        // the larger each is, the less often merges write its bytes again
constexpr std::uint64_t kDefaultPercent = 60;

enum Part : std::size_t { kMemtables, kBackground, kClients, kOpenTables, kBlockCache, kParts };

/// How a part behaves when no directive speaks for it.
struct Rule {
  std::uint64_t weight;       ///< of 100
  std::uint64_t least;        ///< with an explicit budget: below this the server would crawl
  std::uint64_t comfortable;  ///< without: below this the budget grows instead
  std::uint64_t most;
};
constexpr std::array<Rule, kParts> kRules{{
    {32, 4 * kMb, 64 * kMb, kGb},                    // memtables: larger ones take too long to replay after a crash
    {10, 2 * kMb, 16 * kMb, 64 * kMb},               // background: full read-ahead for every job
    {10, 2 * kMb, 32 * kMb, 4 * kGb},                // clients
    {1, 256 * kKb, 4 * kMb, 80 * kMb},               // open tables: 10,000 of them
    {47, kMb, 64 * kMb, kUnbounded},                 // block cache: takes what the others leave
}};

using Shares = std::array<std::uint64_t, kParts>;

/// What a directive says, and its words; 0: none speaks for this part.
struct Explicit {
  std::uint64_t bytes = 0;
  std::string words;
};
using ExplicitParts = std::array<Explicit, kParts>;

ExplicitParts ExplicitPartsOf(const Settings& s) {
  ExplicitParts parts;
  if (s.max_memory_mb != 0) {
    parts[kMemtables] = {s.max_memory_mb * kMb, fmt::format("max-memory-mb {}", s.max_memory_mb)};
  } else if (s.memtable_mb != 0) {
    const std::uint64_t count = std::min(kMemtablesAtOnce, s.max_immutable_memtables + 1);
    parts[kMemtables] = {s.memtable_mb * kMb * count, fmt::format("memtable-size-mb {} ({} of them)", s.memtable_mb, count)};
  }
  if (s.maxmemory_clients_bytes != 0)
    parts[kClients] = {s.maxmemory_clients_bytes, "maxmemory-clients " + FormatByteSize(s.maxmemory_clients_bytes)};
  if (s.max_open_sstables != 0) {
    parts[kOpenTables] = {s.max_open_sstables * kOpenTableBytes,
                          fmt::format("max-open-sstables {} ({} KB each)", s.max_open_sstables, kOpenTableBytes / kKb)};
  }
  if (s.block_cache_mb != 0) parts[kBlockCache] = {s.block_cache_mb * kMb, fmt::format("block-cache-mb {}", s.block_cache_mb)};
  return parts;
}

std::uint64_t ReserveOf(std::uint64_t budget) { return kBaseBytes + budget / kSlackShare; }
/// The smallest budget whose reserve leaves `parts` bytes.
std::uint64_t BudgetFor(std::uint64_t parts) {
  return (kBaseBytes + parts) / (kSlackShare - 1) * kSlackShare + kSlackShare;
}

/// `left` among the parts of which `shares` has none yet: to each its floor, the rest by weight; what is over a ceiling goes to
/// the others. `left` covers the floors.
void ShareOut(std::uint64_t left, const Shares& floors, Shares* shares) {
  std::array<bool, kParts> open{};
  for (std::size_t i = 0; i < kParts; ++i) {
    open[i] = (*shares)[i] == 0;
    if (open[i]) left -= std::min(left, floors[i]);
  }
  while (true) {            // ends: each round closes a part
    std::uint64_t weights = 0;
    for (std::size_t i = 0; i < kParts; ++i) weights += open[i] ? kRules[i].weight : 0;
    if (weights == 0) return;
    std::size_t full = kParts;
    for (std::size_t i = 0; i < kParts; ++i) {
      if (!open[i]) continue;
      (*shares)[i] = floors[i] + left / weights * kRules[i].weight;
      if ((*shares)[i] > kRules[i].most) full = i;
    }
    if (full == kParts) return;
    (*shares)[full] = kRules[full].most;
    left -= kRules[full].most - floors[full];
    open[full] = false;
  }
}

Shares LeastShares() {
  Shares shares{};
  for (std::size_t i = 0; i < kParts; ++i) shares[i] = kRules[i].least;
  return shares;
}

/// What keeps each part useful: what it would have of `budget` alone, as far as that is needed for comfort.
Shares ComfortableShares(std::uint64_t budget) {
  Shares alone{};
  ShareOut(budget - ReserveOf(budget), LeastShares(), &alone);
  for (std::size_t i = 0; i < kParts; ++i) alone[i] = std::min(alone[i], kRules[i].comfortable);
  return alone;
}

/// The explicit parts, and `floors` of the others.
std::uint64_t SumOf(const ExplicitParts& parts, const Shares& floors) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kParts; ++i) sum += parts[i].bytes != 0 ? parts[i].bytes : floors[i];
  return sum;
}

/// What is left of `budget` for the parts nobody has spoken for; negative: too much was asked for.
std::int64_t LeftOf(std::uint64_t budget, const ExplicitParts& parts) {
  std::uint64_t taken = ReserveOf(budget);
  for (const Explicit& part : parts) taken += part.bytes;
  return static_cast<std::int64_t>(budget) - static_cast<std::int64_t>(taken);
}

Status DoesNotFit(std::uint64_t budget, const ExplicitParts& parts) {
  std::string words;
  for (const Explicit& part : parts) {
    if (part.bytes != 0) words += (words.empty() ? "" : ", ") + part.words;
  }
  const std::uint64_t needed_mb = (BudgetFor(SumOf(parts, LeastShares())) + kMb - 1) / kMb;
  if (words.empty()) {
    return Status::InvalidArgument(fmt::format("{} is too small, allowed is {} or more", FormatByteSize(budget),
                                               FormatByteSize(kLeastBudgetBytes)));
  }
  return Status::InvalidArgument(
      fmt::format("{} is too small for {}, which with the least of everything else come to {}mb: raise it, or lower these",
                  FormatByteSize(budget), words, needed_mb));
}

std::uint64_t DefaultBudget(const MachineMemory& machine, std::string* source) {
  const std::uint64_t usable = machine.usable_bytes();
  const std::uint64_t share = usable / 100 * kDefaultPercent;
  if (usable == 0 || share >= kMostDefaultBudgetBytes) {
    *source = "default, 1 GiB";
    return kMostDefaultBudgetBytes;
  }
  *source = fmt::format("{}% of {}", kDefaultPercent,
                        machine.cgroup_bytes != 0 ? "the limit in " + machine.cgroup_file : std::string("the machine's memory"));
  if (share >= kLeastBudgetBytes) return share;
  *source += ", but no less than is needed";
  return kLeastBudgetBytes;
}

}  // namespace

Result<MemoryPlan> PlanMemory(const Settings& settings, const MachineMemory& machine) {
  const ExplicitParts parts = ExplicitPartsOf(settings);
  MemoryPlan plan;
  Shares floors = LeastShares();
  if (settings.memory_budget_bytes != 0) {
    plan.budget_bytes = settings.memory_budget_bytes;
    plan.budget_source = "memory-budget";
    if (plan.budget_bytes < kLeastBudgetBytes || BudgetFor(SumOf(parts, LeastShares())) > plan.budget_bytes)
      return DoesNotFit(plan.budget_bytes, parts);
  } else {
    plan.budget_bytes = DefaultBudget(machine, &plan.budget_source);
    const Shares comfortable = ComfortableShares(plan.budget_bytes);
    const std::uint64_t needed = SumOf(parts, comfortable);
    if (ReserveOf(plan.budget_bytes) + needed > plan.budget_bytes) {
      floors = comfortable;
      plan.budget_bytes = BudgetFor(needed);
      plan.budget_source = "what the explicit parts and the least of the others come to";
    }
  }
  plan.reserve_bytes = ReserveOf(plan.budget_bytes);
  Shares shares{};
  for (std::size_t i = 0; i < kParts; ++i) shares[i] = parts[i].bytes;
  const std::int64_t left = LeftOf(plan.budget_bytes, parts);
  LSMKV_ASSERT(left >= 0);
  ShareOut(static_cast<std::uint64_t>(left), floors, &shares);
  plan.memtables_bytes = shares[kMemtables];
  plan.memtable_bytes = settings.memtable_mb != 0 ? settings.memtable_mb * kMb : plan.memtables_bytes / kMemtablesAtLeast;
  plan.background_bytes = shares[kBackground];
  plan.clients_bytes = shares[kClients];
  plan.open_tables_bytes = shares[kOpenTables];
  plan.max_open_sstables = settings.max_open_sstables != 0 ? settings.max_open_sstables : plan.open_tables_bytes / kOpenTableBytes;
  plan.block_cache_bytes = shares[kBlockCache];
  plan.row_cache_percent = static_cast<std::uint32_t>(settings.row_cache_percent);
  return plan;
}

MemoryLimits LimitsOf(const MemoryPlan& plan) {
  return {plan.memtable_bytes, plan.memtables_bytes, plan.background_bytes, plan.block_cache_bytes,
          static_cast<std::uint32_t>(plan.max_open_sstables), plan.row_cache_percent};
}

void ApplyPlan(const MemoryPlan& plan, Options* options) {
  const MemoryLimits limits = LimitsOf(plan);
  options->memtable_bytes = limits.memtable_bytes;
  options->max_memory_bytes = limits.max_memory_bytes;
  options->background_bytes = limits.background_bytes;
  options->block_cache_bytes = limits.block_cache_bytes;
  options->max_open_sstables = limits.max_open_sstables;
  options->row_cache_percent = limits.row_cache_percent;
}

}  // namespace lsmkv
