#include "engine/compaction/merge_job.h"

#include <algorithm>

#include "base/hash.h"
#include "engine/compaction/table_output.h"
#include "engine/iterators/concatenating_iterator.h"
#include "engine/iterators/merging_iterator.h"
#include "engine/version/table_iterators.h"

namespace lsmkv {
namespace {

/// Answers "may an older version of this key lie below the inputs?" for ascending keys.
class OlderData {
 public:
  OlderData(const Version& version, const Merge& merge) {
    std::set<std::uint64_t> inputs;
    for (const LevelInputs& level : merge.inputs)
      for (const TablePtr& table : level.tables) inputs.insert(table->id());
    // Into L0 itself: other L0 tables may be older. Into a deeper target: whatever is not an input above it is newer.
    for (std::uint32_t n = merge.target == 0 ? 0 : merge.target + 1; n < version.level_count(); ++n) {
      Level level;
      for (const TablePtr& table : version.level(n))
        if (!inputs.contains(table->id())) level.tables.push_back(&table->record());
      level.overlapping = n == 0;
      if (!level.tables.empty()) levels_.push_back(std::move(level));
    }
  }

  bool MayHold(std::string_view key) {
    return std::ranges::any_of(levels_, [key](Level& level) { return level.MayHold(key); });
  }

 private:
  struct Level {
    std::vector<const TableRecord*> tables;
    std::size_t next = 0;       // sorted levels: the first table that does not end before the last key asked for
    bool overlapping = false;

    bool MayHold(std::string_view key) {
      if (overlapping) {
        return std::ranges::any_of(tables, [key](const TableRecord* t) { return key >= t->smallest_key && key <= t->largest_key; });
      }
      while (next < tables.size() && std::string_view(tables[next]->largest_key) < key) ++next;
      return next < tables.size() && key >= std::string_view(tables[next]->smallest_key);
    }
  };
  std::vector<Level> levels_;
};

bool IsFiltered(EngineContext& context, std::string_view key) {
  const CompactionFilter* filter = context.options.compaction_filter;
  if (filter == nullptr || !filter->IsDead(key)) return false;
  context.counters.filtered.fetch_add(1, std::memory_order_release);   // acquire in VersionOfOneMoment
  return true;
}

std::unique_ptr<InternalIterator> MergedInputs(const Merge& merge, JobResult* result) {
  std::vector<std::unique_ptr<InternalIterator>> sources;
  constexpr std::uint64_t kReadaheadBytes = 512 << 10;
  const IteratorOptions read{.fill_cache = false, .readahead_bytes = kReadaheadBytes};
  for (const LevelInputs& level : merge.inputs) {
    for (const TablePtr& table : level.tables) {
      result->bytes_read += table->record().size_bytes;
      result->entries_in += table->record().entries;
    }
    if (level.level == 0) {
      for (const TablePtr& table : level.tables) sources.push_back(NewLazyTableIterator(table, read));
    } else {
      sources.push_back(NewLevelIterator(level.tables, read));
    }
  }
  return std::make_unique<MergingIterator>(std::move(sources));
}

}  // namespace

Result<JobResult> RunFlush(EngineContext& context, const MemTable& memtable) {
  const std::chrono::microseconds start = context.clock.Monotonic();
  JobResult result;
  TableOutput output(context, 0);
  const auto entries = memtable.NewIterator(~SequenceNumber{0});
  for (entries->SeekToFirst(); entries->Valid(); entries->Next()) {
    ++result.entries_in;
    if (IsFiltered(context, entries->entry().key)) continue;
    if (Status status = output.Add(entries->entry()); !status.ok()) return status;
    ++result.entries_out;
  }
  if (!entries->status().ok()) return entries->status();
  Result<std::vector<TableRecord>> tables = output.Finish();
  if (!tables) return tables.error();
  result.outputs = std::move(*tables);
  result.bytes_written = output.bytes_written();
  result.duration = context.clock.Monotonic() - start;
  return result;
}

Result<JobResult> RunMerge(EngineContext& context, const Version& version, const Merge& merge) {
  constexpr std::uint64_t kEntriesBetweenChecks = 1024;
  const std::chrono::microseconds start = context.clock.Monotonic();
  const std::uint64_t now_ms = context.clock.WallMillis();
  JobResult result;
  OlderData older(version, merge);
  // A result that stays in L0 is one table, as a flush makes one: its place among the others is one interval of age.
  TableOutput output(context, merge.target == 0 ? 0 : context.options.max_sstable_bytes);
  const std::unique_ptr<InternalIterator> entries = MergedInputs(merge, &result);
  std::uint64_t until_check = kEntriesBetweenChecks;
  for (entries->SeekToFirst(); entries->Valid(); entries->Next()) {
    if (--until_check == 0) {
      if (context.closing.load(std::memory_order_relaxed)) return Status::ShuttingDown();
      until_check = kEntriesBetweenChecks;
    }
    EntryView entry = entries->entry();
    if (IsFiltered(context, entry.key)) continue;
    if (entry.kind == EntryKind::kExpiringValue && entry.expire_at_ms <= now_ms) {
      entry.kind = EntryKind::kTombstone;
      entry.value = {};
      entry.expire_at_ms = 0;
    }
    if (entry.kind == EntryKind::kTombstone && !older.MayHold(entry.key)) continue;
    if (Status status = output.Add(entry); !status.ok()) return status;
    ++result.entries_out;
  }
  if (!entries->status().ok()) return entries->status();
  Result<std::vector<TableRecord>> tables = output.Finish();
  if (!tables) return tables.error();
  result.outputs = std::move(*tables);
  result.bytes_written = output.bytes_written();
  result.duration = context.clock.Monotonic() - start;
  return result;
}

}  // namespace lsmkv
