#include "engine/compaction/ingest_plan.h"

#include <algorithm>

#include <fmt/core.h>

namespace lsmkv {
namespace {

class Planner {
 public:
  explicit Planner(const IngestInput& input) : in_(input), version_(input.version), shape_(input.shape) {}

  IngestPlan Plan() const {
    const std::uint32_t newer_level = DeepestNewerLevel();
    if (newer_level == 0 && !NewerLeavesL0()) {
      if (const std::uint32_t level = FreeLevel(); level > 0) return Into(level);
      if (FitsL0()) return Into(0);
    }
    return PlanMerge(newer_level);
  }

 private:
  bool one_table_mode() const { return in_.options.max_sstable_bytes == 0; }
  std::vector<TablePtr> Overlapping(std::uint32_t n, const KeySpan& span) const {
    return version_.Overlapping(n, span.smallest, span.largest);
  }
  bool IsNewer(const TablePtr& table) const { return table->record().smallest_seq > shape_.sequence; }

  Merge Into(std::uint32_t level) const {
    return {{}, level, fmt::format("ingest of {} entries, {} bytes", shape_.entries, shape_.bytes), nullptr};
  }

  // ---- what is newer than S
  std::uint32_t DeepestNewerLevel() const {
    for (std::uint32_t n = version_.level_count(); n-- > 1;) {
      for (const TablePtr& table : Overlapping(n, shape_.span))
        if (table->record().largest_seq > shape_.sequence) return n;
    }
    return 0;
  }
  /// In L0, older and newer data in one table; or newer data that a running job is taking out of L0.
  bool NewerLeavesL0() const {
    return std::ranges::any_of(Overlapping(0, shape_.span), [this](const TablePtr& table) {
      return table->record().largest_seq > shape_.sequence && (!IsNewer(table) || !in_.busy.MayBeDropped(table));
    });
  }

  // ---- room
  bool Holds(const Limit& limit, std::uint64_t figure) const { return limit.hard == 0 || figure <= limit.hard; }
  bool Fits(std::uint32_t n, const LevelFigures& present) const {
    const LevelLimits limits = LimitsOfLevel(in_.options, n);
    return Holds(limits.entries, present.entries + shape_.entries) && Holds(limits.bytes, present.bytes + shape_.bytes);
  }
  std::uint32_t SmallestLevelThatMayHoldIt() const {
    std::uint32_t n = 1;
    while (n + 1 < kMaxLevels && !Fits(n, {})) ++n;
    return n;
  }
  bool FitsL0() const {
    return Fits(0, {}) && version_.figures(0).sstables < in_.options.l0_slowdown_sstables;
  }

  bool MeetsRunningJob(std::uint32_t target, const KeySpan& span) const {
    return std::ranges::any_of(in_.busy.jobs, [&](const BusyTables::Job& job) {
      return job.target == target && (one_table_mode() || job.span.Overlaps(span));
    });
  }

  /// 0: there is none.
  std::uint32_t FreeLevel() const {
    if (!std::ranges::all_of(Overlapping(0, shape_.span), [this](const TablePtr& table) { return IsNewer(table); })) return 0;
    std::uint32_t free = 0;             // down to here nothing overlaps
    while (free + 1 < kMaxLevels && Overlapping(free + 1, shape_.span).empty()) ++free;
    const std::uint32_t deepest = std::max<std::uint32_t>(version_.level_count(), 2) - 1;
    const std::uint32_t natural = std::max(deepest, SmallestLevelThatMayHoldIt());
    const auto takes = [this](std::uint32_t n) {
      return Fits(n, version_.figures(n)) && !MeetsRunningJob(n, shape_.span) && (!one_table_mode() || version_.level(n).empty());
    };
    for (std::uint32_t n = std::min(free, natural); n > 0; --n)
      if (takes(n)) return n;
    if (one_table_mode()) return 0;     // a level for each ingest would be too many
    for (std::uint32_t n = natural + 1; n <= free; ++n)
      if (takes(n)) return n;
    return 0;
  }

  // ---- together with what overlaps
  IngestPlan PlanMerge(std::uint32_t newer_level) const {
    Merge merge = Into(std::max(SmallestLevelThatMayHoldIt(), newer_level));
    KeySpan span = shape_.span;
    const auto take = [&](std::uint32_t n, std::vector<TablePtr> tables) {
      if (tables.empty()) return;
      const KeySpan own = *SpanOf(tables);
      span = {std::min(span.smallest, own.smallest), std::max(span.largest, own.largest)};
      merge.inputs.push_back({n, std::move(tables)});
    };
    take(0, ClosureInL0());
    // Downwards, each level with what overlaps everything taken above it: whatever sinks finds no older version left above.
    for (std::uint32_t n = 1; n <= merge.target; ++n) {
      const std::span<const TablePtr> all = version_.level(n);
      const bool whole = one_table_mode() && n == merge.target;
      take(n, whole ? std::vector<TablePtr>(all.begin(), all.end()) : Overlapping(n, span));
    }
    // A damaged table is waited for by nobody: the job meets it, and says which it is.
    const auto is_busy = [this](const TablePtr& table) { return !in_.busy.MayBeDropped(table); };
    const bool busy = std::ranges::any_of(merge.inputs, [&](const LevelInputs& level) { return std::ranges::any_of(level.tables, is_busy); });
    const bool newer_leaves = std::ranges::any_of(Overlapping(0, shape_.span), is_busy);      // nobody knows yet how deep
    if (busy || newer_leaves || MeetsRunningJob(merge.target, span)) return WaitForJobs{std::move(merge)};
    return merge;
  }
  /// The tables of L0 that overlap and are not newer, and all older ones that overlap those. Newest first.
  std::vector<TablePtr> ClosureInL0() const {
    std::vector<TablePtr> taken;
    KeySpan span = shape_.span;
    for (const TablePtr& table : version_.level(0)) {      // newest first, so one pass finds what is older than the taken
      const TableRecord& record = table->record();
      if (IsNewer(table) || !span.Overlaps({record.smallest_key, record.largest_key})) continue;
      span = {std::min(span.smallest, record.smallest_key), std::max(span.largest, record.largest_key)};
      taken.push_back(table);
    }
    return taken;
  }

  const IngestInput& in_;
  const Version& version_;
  const IngestShape& shape_;
};

}  // namespace

IngestPlan PlanIngest(const IngestInput& input) { return Planner(input).Plan(); }

}  // namespace lsmkv
