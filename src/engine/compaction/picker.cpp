#include "engine/compaction/picker.h"

#include <algorithm>
#include <tuple>

#include <fmt/core.h>

#include "base/assert.h"
#include "engine/bundle/bundle.h"
#include "engine/compaction/blob_garbage.h"
#include "engine/compaction/l0_gather.h"
#include "engine/version/dead_data.h"

namespace lsmkv {
namespace {

class Picker {
 public:
  explicit Picker(const PickerInput& input) : in_(input), version_(input.version) {}

  CompactionPlan Pick() {
    if (Drop drop = PickDrop(); !drop.inputs.empty()) return drop;
    if (!in_.l0_only && !WritersAreSlowed())
      if (CompactionPlan plan = PickDeadFor(in_.options.dead_max_age_ms); !IsNothing(plan)) return plan;
    if (CompactionPlan plan = PickByScore(); !IsNothing(plan)) return plan;
    if (in_.l0_only) return {};
    if (CompactionPlan plan = PickPartlyFlushed(); !IsNothing(plan)) return plan;
    if (CompactionPlan plan = PickDeadFor(in_.disk_low ? 0 : in_.options.dead_max_age_ms / 2); !IsNothing(plan)) return plan;
    if (CompactionPlan plan = PickBlobGarbage(); !IsNothing(plan)) return plan;
    return in_.idle ? PickSettling() : CompactionPlan();
  }
  std::vector<CompactionPlan> PlansOfOneOfL0(const std::string& reason) const {
    std::vector<CompactionPlan> plans;
    for (const TablePtr& table : version_.level(0)) {
      if (CoversOlderOfL0(table->record())) continue;
      if (CompactionPlan plan = PlanDown(0, {table}, reason); !IsNothing(plan)) plans.push_back(std::move(plan));
    }
    return plans;
  }

 private:
  static bool IsNothing(const CompactionPlan& plan) { return std::holds_alternative<std::monostate>(plan); }
  bool one_table_mode() const { return in_.options.max_sstable_bytes == 0; }

  // ---- rule 1
  Drop PickDrop() const {
    Drop drop;
    for (std::uint32_t n = 0; n < version_.level_count(); ++n) {
      LevelInputs inputs{n, {}};
      for (const TablePtr& table : version_.level(n)) {
        if (in_.busy.MayBeDropped(table) && (IsRangeDead(table) || HasExpiredWhole(n, table))) inputs.tables.push_back(table);
      }
      if (!inputs.tables.empty()) drop.inputs.push_back(std::move(inputs));
    }
    drop.reason = "every entry is expired or belongs to a flushed database";
    return drop;
  }
  bool IsRangeDead(const TablePtr& table) const {
    const CompactionFilter* filter = in_.options.compaction_filter;
    return filter != nullptr && filter->IsRangeDead(table->record().smallest_key, table->record().largest_key);
  }
  /// An expired entry hides older versions of its key, so nothing older may lie below it.
  bool HasExpiredWhole(std::uint32_t n, const TablePtr& table) const {
    const TableRecord& record = table->record();
    if (record.expiring != record.entries || record.entries == 0 || !HasExpired(record.expires_last_ms, in_.now_ms)) return false;
    return !CoversOlder(n, table);
  }
  bool CoversOlder(std::uint32_t n, const TablePtr& table) const {
    const TableRecord& record = table->record();
    if (n == 0 && CoversOlderOfL0(record)) return true;
    for (std::uint32_t deeper = n + 1; deeper < version_.level_count(); ++deeper)
      if (!version_.Overlapping(deeper, record.smallest_key, record.largest_key).empty()) return true;
    return false;
  }

  bool CoversOlderOfL0(const TableRecord& record) const {
    return std::ranges::any_of(version_.Overlapping(0, record.smallest_key, record.largest_key),
                               [&](const TablePtr& other) { return other->record().smallest_seq < record.smallest_seq; });
  }

  // ---- rules 2 and 3
  CompactionPlan PickByScore() {
    struct Candidate {
      Score score;
      std::uint32_t level;
    };
    std::vector<Candidate> candidates;
    const std::uint32_t levels = in_.l0_only ? 1 : version_.level_count();
    for (std::uint32_t n = 0; n < std::min(levels, version_.level_count()) && n + 1 < kMaxLevels; ++n) {
      const Score score = ScoreOf(version_.figures(n), LimitsOfLevel(in_.options, n));
      if (score.ratio >= 1) candidates.push_back({score, n});
    }
    const bool l1_first = L1IsPastItsLimit();
    const auto waits = [l1_first](std::uint32_t level) { return l1_first && level == 0; };
    std::ranges::sort(candidates, {}, [&](const Candidate& c) { return std::tuple(waits(c.level), -c.score.ratio, c.level); });
    for (const Candidate& candidate : candidates) {
      const std::uint32_t n = candidate.level;
      const bool must_wait = reserved_.contains(n) || reserved_.contains(n + 1);
      if (must_wait && n > 0) continue;
      const std::string reason =
          fmt::format("L{} has {} {} >= soft limit {} (hard {})", n, candidate.score.figure,
                      LimitName(candidate.score.kind), candidate.score.limit.soft, candidate.score.limit.hard);
      const L0Way way = n == 0 && !must_wait ? WayOfL0(in_, candidate.score.kind) : L0Way::kDown;
      CompactionPlan plan = n > 0 ? PlanLevel(n, reason) : PlanOfL0(way, reason, must_wait);
      if (!IsNothing(plan)) return plan;
      if (n == 1 && l1_first && !IsMergedInto(2)) continue;      // nothing is done about L1, and nothing can be: L0 need not wait for it
      if (way == L0Way::kDown) reserved_.insert({n, n + 1});     // who waits by choice holds nobody up
    }
    return {};
  }
  bool IsMergedInto(std::uint32_t level) const {
    return std::ranges::any_of(in_.busy.jobs, [level](const BusyTables::Job& job) { return job.target == level; });
  }

  /// What L0 merges into is all of L1, so that L1's own tables would never get their turn while L0 has the higher score, and the
  /// larger L1 has grown the longer each of these merges takes. L0 is merged within itself meanwhile (rule 3).
  bool L1IsPastItsLimit() const {
    if (one_table_mode() || in_.l0_only || version_.level_count() < 2) return false;
    const LevelFigures figures = version_.figures(1);
    const LevelLimits limits = LimitsOfLevel(in_.options, 1);
    const auto past = [](std::uint64_t figure, const Limit& limit) { return limit.hard != 0 && figure > limit.hard; };
    return past(figures.bytes, limits.bytes) || past(figures.entries, limits.entries);
  }

  CompactionPlan PlanL0(const std::string& reason) const {
    const std::span<const TablePtr> l0 = OldestOfL0(in_);
    return PlanDown(0, {l0.begin(), l0.end()}, reason);
  }

  /// All of one level, or the table that drags the fewest bytes of the next level along per byte of its own; of equals the oldest.
  CompactionPlan PlanLevel(std::uint32_t n, const std::string& reason) const {
    const std::span<const TablePtr> tables = version_.level(n);
    if (one_table_mode()) return PlanDown(n, {tables.begin(), tables.end()}, reason);
    const TablePtr* best = nullptr;
    double best_cost = 0;
    for (const TablePtr& table : tables) {
      if (in_.busy.IsBusy(table)) continue;
      const double cost = CostOf(n, table);
      const bool older = best != nullptr && cost == best_cost && table->record().smallest_seq < (*best)->record().smallest_seq;
      if (best != nullptr && cost >= best_cost && !older) continue;
      if (IsNothing(PlanDown(n, {table}, reason))) continue;
      best = &table;
      best_cost = cost;
    }
    if (best == nullptr) return {};
    return PlanDown(n, {*best}, reason);
  }
  double CostOf(std::uint32_t n, const TablePtr& table) const {
    const TableRecord& record = table->record();
    std::uint64_t overlap_bytes = 0;
    for (const TablePtr& below : version_.Overlapping(n + 1, record.smallest_key, record.largest_key))
      overlap_bytes += below->record().size_bytes;
    const double ratio = static_cast<double>(overlap_bytes) / static_cast<double>(std::max<std::uint64_t>(1, record.size_bytes));
    return ratio * (1 - 0.5 * std::min(1.0, DeadPart(record, in_.now_ms)));
  }

  /// `tables` of level n into n + 1, with what they overlap there; nothing when a running job is in the way.
  CompactionPlan PlanDown(std::uint32_t n, std::vector<TablePtr> tables, const std::string& reason) const {
    if (tables.empty() || AnyBusy(tables)) return {};
    const KeySpan own = *SpanOf(tables);
    std::vector<TablePtr> below;
    if (one_table_mode()) {
      const std::span<const TablePtr> all = version_.level(n + 1);
      below.assign(all.begin(), all.end());
    } else {
      below = version_.Overlapping(n + 1, own.smallest, own.largest);
    }
    if (AnyBusy(below)) return {};
    std::vector<TablePtr> everything = tables;
    everything.insert(everything.end(), below.begin(), below.end());
    if (MeetsRunningJob(n + 1, *SpanOf(everything))) return {};
    if (below.empty() && MovesWhole(n, tables)) return TrivialMove{n, n + 1, std::move(tables), reason};
    Merge merge{{{n, std::move(tables)}}, n + 1, reason};
    if (!below.empty()) merge.inputs.push_back({n + 1, std::move(below)});
    return merge;
  }
  /// A level of one table takes one table; L0's tables may move only when they do not overlap each other.
  bool MovesWhole(std::uint32_t n, const std::vector<TablePtr>& tables) const {
    if (tables.size() == 1) return true;
    if (one_table_mode()) return false;
    if (n > 0) return true;
    std::vector<const TableRecord*> records;
    for (const TablePtr& table : tables) records.push_back(&table->record());
    std::ranges::sort(records, {}, [](const TableRecord* r) -> const std::string& { return r->smallest_key; });
    for (std::size_t i = 1; i < records.size(); ++i)
      if (records[i - 1]->largest_key >= records[i]->smallest_key) return false;
    return true;
  }

  CompactionPlan PlanOfL0(L0Way way, const std::string& reason, bool l1_is_reserved) const {
    if (way == L0Way::kTooLittle) {
      const std::span<const TablePtr> tables = CheapestNeighbours(in_, {});
      if (!tables.empty() || IsMergedInto(0)) return PlanWithinL0(tables, reason + ", too little for what they overlap in L1");
    }
    if (way != L0Way::kLater && !l1_is_reserved) {
      CompactionPlan plan = PlanL0(reason);
      const bool waits_for_its_own = IsMergedInto(0) && !L1IsHeld();
      if (!IsNothing(plan) || waits_for_its_own) return plan;
    }
    return PlanWithinL0(TablesToGather(in_), reason + (way == L0Way::kLater ? ", and goes down when it is larger" : ", and cannot go down"));
  }
  static CompactionPlan PlanWithinL0(std::span<const TablePtr> tables, const std::string& reason) {
    if (tables.empty()) return {};
    return Merge{{{0, {tables.begin(), tables.end()}}}, 0, reason};
  }
  /// By other merges than those within L0, whose end L0 waits for.
  bool L1IsHeld() const {
    const std::span<const TablePtr> l1 = version_.level(1);
    return IsMergedInto(1) || std::ranges::any_of(l1, [this](const TablePtr& table) { return in_.busy.IsBusy(table); });
  }

  // ---- rule 4
  /// Few tables reach over the end of a flushed database, but of a small one they are all, and without writes no merge would come.
  CompactionPlan PickPartlyFlushed() const {
    const CompactionFilter* filter = in_.options.compaction_filter;
    if (filter == nullptr) return {};
    for (std::uint32_t n = 0; n < version_.level_count(); ++n) {
      for (const TablePtr& table : version_.level(n)) {
        const TableRecord& record = table->record();
        if (in_.busy.IsBusy(table) || !(filter->IsDead(record.smallest_key) || filter->IsDead(record.largest_key))) continue;
        const std::string reason = fmt::format("{} of L{} holds keys of a flushed database", record.file, n);
        CompactionPlan plan = n == 0 ? PlanL0(reason) : PlanInPlace(n, table, reason);
        if (!IsNothing(plan)) return plan;
      }
    }
    return {};
  }
  /// Tables that hold L1 hold L0 up: not while writers pay for that.
  bool WritersAreSlowed() const { return WaitingTables(in_) >= in_.options.l0_slowdown_sstables; }
  /// Half of dead-max-age is left to wait, for a merge that comes along anyway, and half to do it while nothing else is to be done. When all
  /// of it has passed nothing else goes first, or levels that are always over their limits would put it off for ever.
  CompactionPlan PickDeadFor(std::uint64_t age_ms) const {
    struct Candidate {
      std::uint64_t dead_since;
      std::uint32_t level;
      const TablePtr* table;
    };
    std::vector<Candidate> candidates;
    for (std::uint32_t n = 0; n < version_.level_count() && n + 1 < kMaxLevels; ++n) {
      for (const TablePtr& table : version_.level(n)) {
        const std::optional<std::uint64_t> since = DeadSince(table->record(), in_.options.dead_ratio);
        if (since && *since + age_ms <= in_.now_ms && !in_.busy.IsBusy(table))
          candidates.push_back({*since, n, &table});
      }
    }
    std::ranges::sort(candidates, {}, [](const Candidate& c) { return std::pair(c.dead_since, (*c.table)->id()); });
    for (const Candidate& candidate : candidates) {
      CompactionPlan plan = PlanMostlyDead(candidate.level, *candidate.table);
      if (!IsNothing(plan)) return plan;
    }
    return {};
  }
  CompactionPlan PlanMostlyDead(std::uint32_t n, const TablePtr& table) const {
    const std::string reason = fmt::format("{} of L{} is {:.0f}% tombstones or expired", table->record().file, n,
                                           100 * DeadPart(table->record(), in_.now_ms));
    const bool in_place = n > 0 && !CoversOlder(n, table);
    if (in_place) return PlanInPlace(n, table, reason);
    CompactionPlan plan = n == 0 ? PlanL0(reason) : PlanDown(n, {table}, reason);
    // A moved tombstone is still a tombstone; where it may fall, it is worth the rewrite.
    if (auto* move = std::get_if<TrivialMove>(&plan)) {
      if (n == 0) return Merge{{{n, std::move(move->tables)}}, n + 1, reason};
    }
    return plan;
  }

  // ---- rule 5
  CompactionPlan PickBlobGarbage() const {
    const BlobGarbage garbage(version_);
    if (garbage.dead_share() < kRewriteTables) return {};
    for (const BlobUsage* usage : garbage.candidates()) {
      const std::string reason = fmt::format("{:.0f}% of blob bytes are dead, {:.0f}% of {}", 100 * garbage.dead_share(),
                                             100 * usage->dead_share(), BlobRecordFile(usage->file->id()));
      if (CompactionPlan plan = PlanEmptying(usage->file->id(), reason); !IsNothing(plan)) return plan;
    }
    return {};
  }
  /// The table that refers to most of `blob`, as far as tables are free.
  CompactionPlan PlanEmptying(std::uint64_t blob, const std::string& reason) const {
    CompactionPlan best;
    std::uint64_t best_bytes = 0;
    for (std::uint32_t n = 0; n < version_.level_count(); ++n) {
      if (reserved_.contains(n)) continue;
      for (const TablePtr& table : version_.level(n)) {
        const std::vector<BlobRef>& refs = table->record().blobs;
        const auto ref = std::ranges::lower_bound(refs, blob, {}, &BlobRef::id);
        if (ref == refs.end() || ref->id != blob || ref->live_bytes <= best_bytes || in_.busy.IsBusy(table)) continue;
        CompactionPlan plan = n == 0 ? PlanL0(reason) : PlanInPlace(n, table, reason);
        if (IsNothing(plan)) continue;
        if (auto* merge = std::get_if<Merge>(&plan)) merge->blobs_to_empty = {blob};
        best = std::move(plan);
        best_bytes = ref->live_bytes;
      }
    }
    return best;
  }

  CompactionPlan PlanInPlace(std::uint32_t n, const TablePtr& table, const std::string& reason) const {
    if (MeetsRunningJob(n, {table->record().smallest_key, table->record().largest_key})) return {};
    return Merge{{{n, {table}}}, n, reason};
  }

  // ---- rule 6
  CompactionPlan PickSettling() const {
    constexpr double kUpperPart = 0.1;
    const std::uint32_t levels = version_.level_count();
    if (one_table_mode() || levels == 0) return {};
    std::uint32_t first = 0;
    std::uint64_t upper = 0;
    for (std::uint32_t n = levels - 1; n-- > 0;) {
      upper += version_.figures(n).bytes;
      if (version_.figures(n).sstables > 0) first = n;
    }
    const auto bottom = static_cast<double>(version_.figures(levels - 1).bytes);
    if (upper < in_.options.max_sstable_bytes || static_cast<double>(upper) <= kUpperPart * bottom) return {};
    const std::string reason = fmt::format("nothing is written, and the levels above L{} are {:.0f}% of it", levels - 1,
                                           100 * static_cast<double>(upper) / bottom);
    return first == 0 ? PlanL0(reason) : PlanLevel(first, reason);
  }

  bool AnyBusy(const std::vector<TablePtr>& tables) const {
    return std::ranges::any_of(tables, [this](const TablePtr& table) { return in_.busy.IsBusy(table); });
  }
  bool MeetsRunningJob(std::uint32_t target, const KeySpan& span) const {
    return std::ranges::any_of(in_.busy.jobs, [&](const BusyTables::Job& job) {
      return job.target == target && (one_table_mode() || job.span.Overlaps(span));
    });
  }

  const PickerInput& in_;
  const Version& version_;
  std::set<std::uint32_t> reserved_;   // levels that wait for a running job, after PickByScore
};

/// Values move along with whatever is merged; `wanted` is what the merge is for, if it is for that.
void ChooseBlobsToEmpty(const Version& version, CompactionPlan* plan) {
  auto* merge = std::get_if<Merge>(plan);
  if (merge == nullptr || version.blobs().empty()) return;
  std::vector<TablePtr> tables;
  for (const LevelInputs& level : merge->inputs) tables.insert(tables.end(), level.tables.begin(), level.tables.end());
  const std::uint64_t wanted = merge->blobs_to_empty.empty() ? 0 : *merge->blobs_to_empty.begin();
  merge->blobs_to_empty = BlobGarbage(version).WorthMoving(tables, wanted, kMostMovedBytes);
}

}  // namespace

KeySpan SpanOf(const Merge& merge) {
  std::optional<KeySpan> span;
  if (merge.incoming != nullptr) span = {std::string(merge.incoming->smallest_key()), std::string(merge.incoming->largest_key())};
  for (const LevelInputs& level : merge.inputs) {
    const std::optional<KeySpan> own = SpanOf(level.tables);
    if (!own) continue;
    if (!span) span = own;
    span->smallest = std::min(span->smallest, own->smallest);
    span->largest = std::max(span->largest, own->largest);
  }
  LSMKV_ASSERT(span.has_value());
  return *span;
}

CompactionPlan PickCompaction(const PickerInput& input) {
  CompactionPlan plan = Picker(input).Pick();
  ChooseBlobsToEmpty(input.version, &plan);
  return plan;
}

std::vector<CompactionPlan> PlansOfOneOfL0(const PickerInput& input, const std::string& reason) {
  return Picker(input).PlansOfOneOfL0(reason);
}

CompactionPlan PlanManual(const Version& version, std::optional<std::uint32_t> from, std::uint32_t target) {
  Merge merge{{}, target, "asked for"};
  for (std::uint32_t n = from.value_or(0); n < version.level_count(); ++n) {
    if (from && n > target) break;
    const std::span<const TablePtr> tables = version.level(n);
    if (!tables.empty()) merge.inputs.push_back({n, {tables.begin(), tables.end()}});
  }
  if (merge.inputs.empty()) return {};
  CompactionPlan plan = std::move(merge);
  ChooseBlobsToEmpty(version, &plan);
  return plan;
}

}  // namespace lsmkv
