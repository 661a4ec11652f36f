#include "engine/compaction/merge_piece.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "engine/bundle/bundle.h"
#include "engine/compaction/job_memory.h"
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

/// Tables that are read side by side: each of L0, one of every deeper level, one of what comes in.
std::size_t SourceCount(const Merge& merge) {
  std::size_t count = merge.incoming == nullptr ? 0 : 1;
  for (const LevelInputs& level : merge.inputs) count += level.level == 0 ? level.tables.size() : 1;
  return count;
}

std::unique_ptr<InternalIterator> MergedInputs(const Merge& merge, std::uint64_t readahead_bytes) {
  const IteratorOptions read{.fill_cache = false, .readahead_bytes = readahead_bytes};
  std::vector<std::unique_ptr<InternalIterator>> sources;
  for (const LevelInputs& level : merge.inputs) {
    if (level.level == 0) {
      for (const TablePtr& table : level.tables) sources.push_back(NewLazyTableIterator(table, read));
    } else {
      sources.push_back(NewLevelIterator(level.tables, read));
    }
  }
  if (merge.incoming != nullptr) sources.push_back(merge.incoming->NewIterator(readahead_bytes));
  return std::make_unique<MergingIterator>(std::move(sources));
}

TableOutput::Form FormOf(const EngineContext& context, const Version& version, const Merge& merge) {
  TableOutput::Form form;
  // A result that stays in L0 is one table, as a flush makes one: its place among the others is one interval of age.
  form.max_table_bytes = merge.target == 0 ? 0 : context.options.max_sstable_bytes;
  form.last_level = merge.target > 0 && merge.target + 1 >= version.level_count();
  form.write_bytes = JobBuffers(context, SourceCount(merge)).write_bytes;
  return form;
}

}  // namespace

bool IsFiltered(EngineContext& context, std::string_view key) {
  const CompactionFilter* filter = context.options.compaction_filter;
  if (filter == nullptr || !filter->IsDead(key)) return false;
  context.counters.filtered.fetch_add(1, std::memory_order_release);   // acquire in VersionOfOneMoment
  return true;
}

MergePiece::MergePiece(EngineContext& context, const Version& version, const Merge& merge, KeyBounds bounds,
                       CompactionRate& rate, SequenceNumber ingest_point)
    : context_(context), version_(version), merge_(merge), bounds_(std::move(bounds)), rate_(rate), ingest_point_(ingest_point),
      output_(context, FormOf(context, version, merge), {&version, merge.blobs_to_empty}) {}

Status MergePiece::Pause(const std::atomic<bool>& cancelled) {
  const std::uint64_t written = std::max(bytes_paid_, output_.bytes_so_far());   // of an open table it is an estimate
  const std::uint64_t unpaid = written - std::exchange(bytes_paid_, written);
  context_.removal.OnWritten(unpaid);
  rate_.Charge(unpaid, context_.closing);
  const bool end = context_.closing.load(std::memory_order_relaxed) || cancelled.load(std::memory_order_relaxed);
  if (end) return Status::ShuttingDown();
  const std::uint64_t leave_bytes = context_.merges_leave_bytes.load(std::memory_order_relaxed);
  if (leave_bytes == 0) return {};
  const Result<std::uint64_t> free = context_.fs.FreeBytes(context_.options.dir);
  if (!free || *free >= leave_bytes) return {};
  return Status::NoSpace(fmt::format("{}: a compaction gives its {} bytes back, as the disk's reserve is running out: {} are free, and "
                                     "{} are kept for flushes", context_.options.dir, written, *free, leave_bytes));
}

/// Several merges may come to the end of the room at once: what each writes past it must be little beside what is left to flushes.
std::uint64_t MergePiece::BytesBetweenChecks() const {
  constexpr std::uint64_t kFewest = 16 << 10;
  constexpr std::uint64_t kMost = 1 << 20;
  const std::uint64_t leave_bytes = context_.merges_leave_bytes.load(std::memory_order_relaxed);
  return leave_bytes == 0 ? kMost : std::clamp(leave_bytes / 16, kFewest, kMost);
}

Status MergePiece::Run(const std::atomic<bool>& cancelled) {
  constexpr std::uint64_t kEntriesBetweenChecks = 1024;
  const std::uint64_t now_ms = context_.clock.WallMillis();
  OlderData older(version_, merge_);
  const JobMemory memory(context_, SourceCount(merge_), ValueSink::BufferBytes(context_.options));
  const std::unique_ptr<InternalIterator> entries = MergedInputs(merge_, memory.buffers().readahead_bytes);
  bounds_.begin ? entries->Seek(*bounds_.begin) : entries->SeekToFirst();
  std::uint64_t next_check_bytes = BytesBetweenChecks();       // values may be large
  for (std::uint64_t until_check = kEntriesBetweenChecks; entries->Valid(); entries->Next()) {
    if (--until_check == 0 || output_.bytes_so_far() >= next_check_bytes) {
      if (Status status = Pause(cancelled); !status.ok()) return status;
      until_check = kEntriesBetweenChecks;
      next_check_bytes = output_.bytes_so_far() + BytesBetweenChecks();
    }
    EntryView entry = entries->entry();
    if (bounds_.end && entry.key >= *bounds_.end) break;
    if (IsFiltered(context_, entry.key)) continue;
    if (HasExpired(ExpiryOf(entry), now_ms)) {
      ++expired_;
      context_.NoteExpired(entry.expire_at_ms);
      entry.kind = EntryKind::kTombstone;
      entry.value = {};
      entry.expire_at_ms = 0;
    }
    const bool covers_ingest = ingest_point_ != 0 && entry.sequence > ingest_point_;
    if (entry.kind == EntryKind::kTombstone && !covers_ingest && !older.MayHold(entry.key)) continue;
    if (Status status = output_.Add(entry); !status.ok()) return status;
    ++entries_out_;
  }
  if (!entries->status().ok()) return entries->status();
  return output_.Finish();
}

}  // namespace lsmkv
