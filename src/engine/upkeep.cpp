// What operators ask for: flush, full compaction, checkpoint, figures.
#include <algorithm>

#include "base/log.h"
#include "engine/engine_impl.h"
#include "engine/version/dead_data.h"

namespace lsmkv {

Status EngineImpl::Flush() {
  if (Status status = RotateForFlush(); !status.ok()) return status;
  return scheduler_->WaitUntilFlushed();
}

Status EngineImpl::Compact(std::optional<std::uint32_t> from, std::optional<std::uint32_t> target) {
  if (Status status = Flush(); !status.ok()) return status;
  const VersionPtr version = tree_->Current()->version;
  const std::uint32_t deepest = std::max<std::uint32_t>(version->level_count(), 2) - 1;
  std::uint32_t into = target.value_or(deepest);
  if (from && !target) into = std::min(*from + 1, kMaxLevels - 1);
  if (into == 0 || into >= kMaxLevels)
    return Status::InvalidArgument(fmt::format("a compaction's target is L1 to L{}", kMaxLevels - 1));
  if (from && *from >= into) return Status::InvalidArgument("a level is compacted into a deeper one");
  return scheduler_->Compact(from, into);
}

namespace {

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

/// The directory and its name, which a power cut would take with all that is in it. The name also where it is there already: whoever made it
/// may have been killed before it was safe.
Status MakeDurably(FileSystem& fs, const std::string& dir) {
  if (dir == "." || dir == "/") return {};
  if (Status status = fs.CreateDirectories(dir); !status.ok()) return status;
  return fs.SyncDirectory(ParentOf(dir));
}

/// A checkpoint's directory tree: two levels, no more.
void RemoveUnfinished(FileSystem& fs, const std::string& dir) {
  for (const std::string& folder : {dir + "/sst", dir + "/blob", dir + "/wal", dir}) {
    const Result<std::vector<std::string>> names = fs.ListDirectory(folder);
    if (!names) continue;
    for (const std::string& name : *names)
      if (folder != dir || (name != "sst" && name != "blob" && name != "wal")) IgnoreError(fs.RemoveFile(folder + "/" + name), "a leftover");
    IgnoreError(fs.RemoveDirectory(folder), "a leftover");
  }
}

}  // namespace

Status EngineImpl::Checkpoint(const std::string& dir) {
  MutexLock one_at_a_time(checkpoint_mutex_);      // another of the same name would take this one's files for leftovers
  FileSystem& fs = context_.fs;
  if (fs.Exists(dir)) return Status::InvalidArgument(dir + " exists already");
  const std::string parent = ParentOf(dir);
  if (Status status = MakeDurably(fs, parent); !status.ok()) return status;
  // The version pins every table it names, so none is removed while it is linked.
  const Result<VersionPtr> version = VersionOfOneMoment();
  if (!version) return version.error();
  const std::string unfinished = dir + ".tmp";
  RemoveUnfinished(fs, unfinished);
  Status status = WriteCheckpoint(**version, unfinished);
  if (status.ok()) status = fs.Rename(unfinished, dir);
  if (!status.ok()) {
    RemoveUnfinished(fs, unfinished);     // its links would keep the space of tables that are gone
    return status;
  }
  return fs.SyncDirectory(parent);
}

Status EngineImpl::RemoveCheckpoint(const std::string& dir) {
  MutexLock one_at_a_time(checkpoint_mutex_);
  FileSystem& fs = context_.fs;
  if (!fs.Exists(dir)) return Status::NotFound(dir + ": there is no such checkpoint");
  const std::string unfinished = dir + ".tmp";
  RemoveUnfinished(fs, unfinished);
  if (Status status = fs.Rename(dir, unfinished); !status.ok()) return status;
  if (Status status = fs.SyncDirectory(ParentOf(dir)); !status.ok()) return status;
  RemoveUnfinished(fs, unfinished);
  return fs.Exists(unfinished) ? Status::IoError(unfinished + ": not all of it could be removed; what is left is no checkpoint any more") : Status::Ok();
}

/// A version that holds everything written before, and nothing of which the compaction filter has dropped a part that was
/// alive when the memtable was rotated: keys may die (FLUSHDB) between the rotation and the end of the flush.
Result<VersionPtr> EngineImpl::VersionOfOneMoment() {
  constexpr int kAttempts = 20;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t before = context_.counters.filtered.load(std::memory_order_acquire);
    if (Status status = Flush(); !status.ok()) return status;
    VersionPtr version = tree_->Current()->version;
    if (context_.counters.filtered.load(std::memory_order_acquire) == before) return version;
  }
  return Status::Busy("databases are being flushed; try again");
}

Status EngineImpl::WriteCheckpoint(const Version& version, const std::string& dir) {
  FileSystem& fs = context_.fs;
  for (const std::string& needed : {dir + "/sst", dir + "/blob", dir + "/wal"})
    if (Status status = fs.CreateDirectories(needed); !status.ok()) return status;
  ManifestStore manifests(fs, dir, context_.clock);
  if (Result<RecoveredTree> empty = manifests.Recover(); !empty) return empty.error();
  for (const auto& [id, usage] : version.blobs())
    if (Status status = fs.Link(usage.file->path(), dir + "/" + BlobRecordFile(id)); !status.ok()) return status;
  if (Status status = fs.SyncDirectory(dir + "/blob"); !status.ok()) return status;
  for (std::uint32_t n = 0; n < version.level_count(); ++n) {
    VersionEdit edit;
    edit.target_level = n;
    for (const TablePtr& table : version.level(n)) {
      if (Status status = fs.Link(table->path(), dir + "/" + table->record().file); !status.ok()) return status;
      edit.added.push_back(table->record());
    }
    if (edit.added.empty()) continue;
    if (Status status = manifests.Commit(edit); !status.ok()) return status;
  }
  return fs.SyncDirectory(dir + "/sst");
}

Result<std::string> EngineImpl::ManifestText(std::uint32_t level) const {
  return ReadManifestText(context_.fs, context_.options.dir, level);
}

namespace {

void CountDead(const Version& version, double dead_ratio, std::uint64_t now_ms, EngineStats* stats) {
  double dead_bytes = 0;
  for (std::uint32_t n = 0; n < version.level_count(); ++n) {
    for (const TablePtr& table : version.level(n)) {
      const TableRecord& record = table->record();
      dead_bytes += DeadPart(record, now_ms) * static_cast<double>(record.size_bytes);
      const std::optional<std::uint64_t> since = DeadSince(record, dead_ratio);
      if (since && *since < now_ms) stats->oldest_dead_ms = std::max(stats->oldest_dead_ms, now_ms - *since);
    }
  }
  stats->dead_bytes_known = static_cast<std::uint64_t>(dead_bytes);
}

void CountBlobs(const Version& version, EngineStats* stats) {
  for (const auto& [id, usage] : version.blobs()) {
    ++stats->blob_files;
    stats->blob_bytes += usage.bytes();
    stats->blob_live_bytes += usage.bytes() - usage.dead_bytes();
    stats->blob_dead_bytes += usage.dead_bytes();
  }
}

/// Memory of what is known of each table and blob file, whether it is open or not.
std::uint64_t RecordBytes(const Version& version) {
  std::uint64_t bytes = 0;
  for (std::uint32_t n = 0; n < version.level_count(); ++n) {
    for (const TablePtr& table : version.level(n)) bytes += table->memory_bytes();
  }
  for (const auto& [id, usage] : version.blobs()) bytes += usage.memory_bytes();
  return bytes;
}

}  // namespace

void EngineImpl::SetMemoryLimits(const MemoryLimits& limits) {
  context_.memory.memtable_bytes.store(limits.memtable_bytes, std::memory_order_relaxed);
  context_.memory.max_memory_bytes.store(limits.max_memory_bytes, std::memory_order_relaxed);
  context_.memory.background_bytes.store(limits.background_bytes, std::memory_order_relaxed);
  context_.tables->table_cache.SetMaxOpen(std::max<std::uint32_t>(limits.max_open_sstables, 1));
  context_.tables->SetCacheBytes(limits.block_cache_bytes, limits.row_cache_percent);
  scheduler_->Wake();   // it looks at what writers may do
}

EngineStats EngineImpl::Stats() const {
  const auto read = [](const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
  EngineStats stats;
  // Before the levels: none running then, and no level over its limit now, is a tree at rest.
  stats.compactions_running = context_.counters.compactions_running.load(std::memory_order_acquire);
  stats.retired_memtable_bytes = tree_->RetiredMemtableBytes();   // first: what is retired after this look is counted with it, not twice
  const SuperVersionPtr now = tree_->Current();
  const std::vector<bool> compacting = scheduler_->CompactingLevels();
  const std::uint32_t levels = std::max<std::uint32_t>(1, now->version->level_count());
  for (std::uint32_t n = 0; n < levels; ++n) {
    const LevelFigures figures = now->version->figures(n);
    const LevelLimits limits = LimitsOfLevel(context_.options, n);
    stats.levels.push_back({.level = n, .sstables = figures.sstables, .entries = figures.entries,
                            .tombstones = figures.tombstones, .size_bytes = figures.bytes,
                            .max_entries = limits.entries.hard, .max_size_bytes = limits.bytes.hard,
                            .soft_max_entries = limits.entries.soft, .soft_max_size_bytes = limits.bytes.soft,
                            .max_sstables = limits.sstables.hard, .soft_max_sstables = limits.sstables.soft,
                            .score = ScoreOf(figures, limits).ratio, .compacting = n < compacting.size() && compacting[n]});
  }
  CountDead(*now->version, context_.options.dead_ratio, context_.clock.WallMillis(), &stats);
  CountBlobs(*now->version, &stats);
  stats.memtable_entries = now->active.table->entries();
  stats.memtable_bytes = now->active.table->bytes();
  for (const Memory& memory : now->immutables) {
    stats.memtable_entries += memory.table->entries();
    stats.memtable_bytes += memory.table->bytes();
  }
  stats.immutable_memtables = now->immutables.size();
  const BlockCache::Stats cache = context_.tables->block_cache.stats();
  stats.block_cache_bytes = cache.bytes;
  stats.block_cache_index_bytes = cache.index_bytes;
  stats.block_cache_filter_bytes = cache.filter_bytes;
  stats.block_cache_capacity_bytes = context_.tables->block_cache.capacity_bytes();
  stats.block_cache_hits = cache.hits;
  stats.block_cache_misses = cache.misses;
  const RowCache::Stats rows = context_.tables->row_cache.stats();
  stats.row_cache_bytes = rows.bytes;
  stats.row_cache_rows = rows.rows;
  stats.row_cache_hits = rows.hits;
  stats.row_cache_misses = rows.misses;
  const FilterCounters::Totals filters = context_.tables->table_cache.filter_totals();
  stats.open_sstables = context_.tables->table_cache.open_count();
  stats.open_sstable_bytes = context_.tables->table_cache.open_bytes();
  stats.table_record_bytes = RecordBytes(*now->version);
  stats.background_bytes = read(context_.background_bytes);
  stats.filter_checks = filters.checks;
  stats.filter_negatives = filters.negatives;
  stats.filter_false_positives = filters.false_positives;
  const EngineCounters& counters = context_.counters;
  stats.flushes = read(counters.flushes);
  stats.flush_bytes_written = read(counters.flush_bytes_written);
  stats.compaction_rate_bytes = scheduler_->rate().bytes_per_second();
  stats.removed_bytes_kept = context_.removal.pending_bytes();
  stats.compaction_bytes_wanted = scheduler_->bytes_wanted();
  stats.damaged_sstables = scheduler_->damaged_tables();
  stats.disk_free_bytes = reserve_.free_bytes();
  stats.disk_reserve_bytes = reserve_.reserve_bytes();
  stats.disk_low = reserve_.low();
  stats.compactions = read(counters.compactions);
  stats.ingests = read(counters.ingests);
  stats.ingest_bytes_written = read(counters.ingest_bytes_written);
  stats.subcompactions = read(counters.subcompactions);
  stats.trivial_moves = read(counters.trivial_moves);
  stats.compaction_bytes_read = read(counters.compaction_bytes_read);
  stats.compaction_bytes_written = read(counters.compaction_bytes_written);
  stats.blob_bytes_moved = read(counters.blob_bytes_moved);
  stats.expired_entries = read(counters.expired);
  stats.user_bytes_written = read(counters.user_bytes_written);
  const Scrubber::Figures scrub = scrubber_->figures();
  stats.scrubs = scrub.completed;
  stats.scrub_bytes = scrub.bytes_read;
  stats.scrub_damage = scrub.damage;
  stats.last_scrub_ms = scrub.last_ended_ms;
  stats.scrub_running = scrub.running;
  const WalStats wal = wal_->stats();
  stats.wal_bytes_written = wal.bytes_written;
  stats.wal_syncs = wal.syncs;
  stats.wal_segments = wal.segments;
  stats.wal_spare_segments = wal.recycler.spare_segments;
  stats.wal_spare_bytes = wal.recycler.spare_bytes;
  stats.wal_recycled_segments = wal.recycler.recycled;
  stats.wal_at_rest = wal.at_rest;
  stats.wal_buffer_bytes = wal.buffer_bytes;
  stats.stalls = admission_.stalls();
  stats.writers_waiting = admission_.waiting();
  stats.stall_micros = admission_.stall_micros();
  stats.longest_stall_micros = admission_.longest_stall_micros();
  stats.last_sequence = last_sequence();
  stats.durable_sequence = durable_sequence();
  stats.write_debt = admission_.debt();
  stats.write_limit_bytes = static_cast<std::uint64_t>(admission_.limit());
  stats.l0_sstables_in_merges = scheduler_->l0_in_merges().sstables;
  stats.writes_slowed = admission_.slowed();
  stats.writes_stopped = admission_.stopped();
  const HistoryLog::Totals remembered = scheduler_->HistoryTotals();
  stats.write_amplification_since_ms = remembered.since_ms;
  if (remembered.flushed_bytes > 0) {
    stats.write_amplification = static_cast<double>(remembered.flushed_bytes + remembered.merged_bytes) /
                                static_cast<double>(remembered.flushed_bytes);
  }
  return stats;
}

}  // namespace lsmkv
