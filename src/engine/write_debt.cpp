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

double DebtOfL0Bytes(const Version& version, const Options& options, std::uint64_t waiting) {
  constexpr double kL0BytesOfLimit = 4;
  constexpr double kMostWaiting = 0.7;
  constexpr double kMostInAll = 0.9;
  const std::uint64_t limit = LimitsOfLevel(options, 0).bytes.hard;
  if (limit == 0) return 0;
  std::uint64_t deeper = 0;
  for (std::uint32_t n = 1; n < version.level_count(); ++n) deeper += version.figures(n).bytes;
  const double much = std::max(kL0BytesOfLimit * static_cast<double>(limit), static_cast<double>(deeper));
  const double of_waiting = Over(static_cast<double>(waiting), 0.75 * much, 1.5 * much);
  const double in_all = Over(static_cast<double>(version.figures(0).bytes), 2 * much, 4 * much);
  return std::max(kMostWaiting * of_waiting, kMostInAll * in_all);
}

}  // namespace

LevelFigures WaitingL0(const Version& version, const LevelFigures& in_merges) {
  LevelFigures waiting = version.figures(0);
  waiting.sstables -= std::min(waiting.sstables, in_merges.sstables);
  waiting.bytes -= std::min(waiting.bytes, in_merges.bytes);
  return waiting;
}

WriteDebt DebtOfWriters(const Version& version, const Options& options, const LevelFigures& l0_waiting, double memtable_fill) {
  constexpr double kMostForBytes = 0.7;
  constexpr double kMostForGarbage = 0.6;
  constexpr double kFillThatSlows = 0.75;
  constexpr double kMostForMemtables = 0.95;
  double debt = Over(static_cast<double>(l0_waiting.sstables), options.l0_slowdown_sstables, options.l0_stop_sstables);
  debt = std::max(debt, DebtOfL0Bytes(version, options, l0_waiting.bytes));
  for (std::uint32_t n = 1; n < version.level_count(); ++n)
    debt = std::max(debt, kMostForBytes * DebtOfLevel(version.figures(n), LimitsOfLevel(options, n)));
  debt = std::max(debt, kMostForGarbage * Over(BlobGarbage(version).dead_share(), kBlobDeadLimit, 2 * kBlobDeadLimit));
  return {debt, kMostForMemtables * Over(memtable_fill, kFillThatSlows, 1)};
}

}  // namespace lsmkv
