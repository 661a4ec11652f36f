#include "engine/write_debt.h"

#include <algorithm>
#include <utility>

#include "engine/compaction/blob_garbage.h"

namespace lsmkv {
namespace {

/// 0 up to `from`, 1 from `to` on.
double Over(double figure, double from, double to) { return std::clamp((figure - from) / (to - from), 0.0, 1.0); }

double DebtOfLevel(const LevelFigures& figures, const LevelLimits& limits) {
  double debt = 0;
  for (const auto& [figure, limit] : {std::pair{figures.entries, limits.entries}, std::pair{figures.bytes, limits.bytes}}) {
    if (limit.hard == 0) continue;
    const auto hard = static_cast<double>(limit.hard);
    debt = std::max(debt, Over(static_cast<double>(figure), hard, 3 * hard));
  }
  return debt;
}

}  // namespace

std::uint64_t WaitingL0(const Version& version, std::uint64_t in_merges) {
  const std::uint64_t tables = version.figures(0).sstables;
  return tables - std::min(tables, in_merges);
}

double WriteDebt(const Version& version, const Options& options, std::uint64_t l0_waiting, double memtable_fill) {
  constexpr double kMostForLevels = 0.7;
  constexpr double kMostForGarbage = 0.6;
  constexpr double kFillThatSlows = 0.75;
  constexpr double kMostForMemtables = 0.95;
  double debt = Over(static_cast<double>(l0_waiting), options.l0_slowdown_sstables, options.l0_stop_sstables);
  for (std::uint32_t n = 1; n < version.level_count(); ++n)
    debt = std::max(debt, kMostForLevels * DebtOfLevel(version.figures(n), LimitsOfLevel(options, n)));
  debt = std::max(debt, kMostForGarbage * Over(BlobGarbage(version).dead_share(), kBlobDeadLimit, 2 * kBlobDeadLimit));
  return std::max(debt, kMostForMemtables * Over(memtable_fill, kFillThatSlows, 1));
}

}  // namespace lsmkv
