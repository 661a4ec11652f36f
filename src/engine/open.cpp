// Opening: lock, manifests, WAL, then the threads. Start-up reads nothing else, so its time does not grow with the data.
#include <algorithm>

#include "base/hash.h"
#include "base/log.h"
#include "engine/engine_impl.h"
#include "engine/wal/wal_replay.h"

namespace lsmkv {
namespace {

Status CheckRange(const char* name, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
  if (value >= least && value <= most) return {};
  return Status::InvalidArgument(fmt::format("{} is {}; allowed is {} to {}", name, value, least, most));
}

Status CheckOptions(const Options& o) {
  if (o.dir.empty()) return Status::InvalidArgument("no data directory given");
  if (!(o.soft_limit_ratio > 0 && o.soft_limit_ratio <= 1))
    return Status::InvalidArgument(fmt::format("soft_limit_ratio is {}; allowed is more than 0, at most 1", o.soft_limit_ratio));
  if (!(o.dead_ratio > 0 && o.dead_ratio <= 1))
    return Status::InvalidArgument(fmt::format("dead_ratio is {}; allowed is more than 0, at most 1", o.dead_ratio));
  if (o.l0_stop_sstables <= o.l0_slowdown_sstables)
    return Status::InvalidArgument("l0_stop_sstables must be larger than l0_slowdown_sstables: writers are slowed before they are parked");
  if (o.l0_stop_sstables <= o.max_l0_sstables)
    return Status::InvalidArgument("l0_stop_sstables must be larger than max_l0_sstables: else writers are parked before a compaction begins");
  if (o.memtable_entries == 0 && o.memtable_bytes == 0 && o.max_memory_bytes == 0)
    return Status::InvalidArgument("memtable_entries, memtable_bytes and max_memory_bytes are all 0: no memtable would ever be flushed");
  for (const Status& status : {CheckRange("max_immutable_memtables", o.max_immutable_memtables, 1, 1000),
                               CheckRange("level_ratio", o.level_ratio, 2, 1000),
                               CheckRange("max_l0_sstables", o.max_l0_sstables, 1, 10000),
                               CheckRange("flush_workers", o.flush_workers, 1, 64),
                               CheckRange("compaction_workers", o.compaction_workers, 1, 64),
                               CheckRange("row_cache_percent", o.row_cache_percent, 0, 80),
                               CheckRange("max_open_sstables", o.max_open_sstables, 1, 1u << 30)}) {
    if (!status.ok()) return status;
  }
  return {};
}

/// The data directory's own name must outlive a power cut as well, and those of the directories made on the way to it.
Status SyncNames(FileSystem& fs, const std::string& dir) {
  if (Status status = fs.SyncDirectory(dir); !status.ok()) return status;
  for (std::string path = dir; !path.empty() && path != "/" && path != ".";) {
    const std::size_t slash = path.find_last_of('/');
    path = slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
    if (Status status = fs.SyncDirectory(path); !status.ok()) {
      // A parent that may not be opened was not made by us. One that may be, and fails, may lose what we have made in it.
      return fs.ListDirectory(path) ? status : Status();
    }
  }
  return {};
}

}  // namespace

struct RecoveredState {
  std::unique_ptr<ManifestStore> manifests;
  SuperVersion tree;
  std::uint64_t wal_floor = 0;
  std::uint64_t next_segment = 1;
  SequenceNumber flushed_sequence = 0;
  SequenceNumber last_sequence = 0;
  RecoveredAsides asides;
  bool flush_at_once = false;             ///< the WAL holds damage that must not be met again
  bool lost_writes = false;               ///< and that cost writes which its note of what is durable tells of
};

EngineContext::EngineContext(const Options& opened_with)
    : options(opened_with),
      fs(opened_with.file_system != nullptr ? *opened_with.file_system : FileSystem::Posix()),
      clock(opened_with.clock != nullptr ? *opened_with.clock : Clock::System()),
      wal_dir(opened_with.dir + "/wal"),
      sst_dir(opened_with.dir + "/sst"),
      blob_dir(opened_with.dir + "/blob"),
      removal(fs),
      tables(std::make_shared<TableStore>(fs, opened_with.block_cache_bytes, opened_with.row_cache_percent, opened_with.max_open_sstables)),
      memory(opened_with) {}

Result<std::unique_ptr<Engine>> Engine::Open(const Options& options) { return EngineImpl::Open(options); }

Result<std::unique_ptr<Engine>> EngineImpl::Open(const Options& options) {
  if (Status status = CheckOptions(options); !status.ok()) return status;
  std::unique_ptr<EngineImpl> engine(new EngineImpl(options));
  if (Status status = engine->Start(); !status.ok()) return status;
  return std::unique_ptr<Engine>(std::move(engine));
}

Status EngineImpl::Start() {
  FileSystem& fs = context_.fs;
  const std::string& dir = context_.options.dir;
  for (const std::string& needed : {dir, context_.wal_dir, context_.sst_dir, context_.blob_dir})
    if (Status status = fs.CreateDirectories(needed); !status.ok()) return status;
  Result<std::unique_ptr<FileLock>> lock = fs.Lock(dir + "/LOCK");
  if (!lock) return lock.error();
  lock_ = std::move(*lock);
  if (Status status = SyncNames(fs, dir); !status.ok()) return status;

  Result<RecoveredState> state = Recover();
  if (!state) return state.error();
  {
    MutexLock write_lock(write_mutex_);
    active_ = state->tree.active;
    last_sequence_ = state->last_sequence;
    visible_.store(last_sequence_, std::memory_order_release);
    Result<std::unique_ptr<Wal>> wal = Wal::Open(fs, context_.wal_dir, context_.options.wal_fsync, state->next_segment,
                                                 last_sequence_, context_.clock, context_.options.memtable_bytes, std::move(state->asides),
                                                 [this](std::chrono::microseconds took) { foreground_.Add(took); });
    if (!wal) return wal.error();
    wal_ = std::move(*wal);
    if (active_.table->largest_sequence() == 0) state->tree.active.first_segment = active_.first_segment = wal_->current_segment();
  }
  tree_ = std::make_unique<Tree>(std::move(state->tree));
  StartScheduler(std::move(state->manifests));
  scrubber_ = std::make_unique<Scrubber>(context_, *wal_, [this] { return tree_->Current()->version; }, [this] { return Flush(); }, scheduler_->rate());
  scrubber_->Start();
  if (Status status = wal_->RemoveSegmentsBelow(state->wal_floor); !status.ok()) LogWarning("recovery", "{}", status.message());
  LogLimits();
  if (!state->flush_at_once) return {};
  Status flushed = Flush();
  if (flushed.code() == StatusCode::kNoSpace && !state->lost_writes) {
    LogWarning("recovery", "the log's harmless damage stays where it is for now, and the next start meets it again: {}", flushed.message());
    return {};                     // a start needs no room
  }
  if (!flushed.ok()) return flushed;
  return state->lost_writes ? wal_->RemoveNote() : Status();
}

Result<RecoveredState> EngineImpl::Recover() {
  RecoveredState state;
  state.manifests = std::make_unique<ManifestStore>(context_.fs, context_.options.dir, context_.clock);
  const Result<RecoveredTree> recovered = state.manifests->Recover();
  if (!recovered) return recovered.error();
  std::vector<LevelTables> levels;
  std::uint64_t tables = 0;
  for (const auto& [level, manifest] : recovered->levels) {
    if (level >= kMaxLevels) return Status::Corruption(ManifestFileName(level) + ": deeper than any level can be");
    if (level >= levels.size()) levels.resize(level + 1);
    for (TableRecord record : manifest.sstables) {
      record.replaces.clear();      // about an old commit; a later edit of this table says its own
      levels[level].push_back(context_.MakeTable(record));
      state.last_sequence = std::max(state.last_sequence, record.largest_seq);
      ++tables;
    }
  }
  context_.next_table_id.store(recovered->max_table_id + 1, std::memory_order_relaxed);
  RemoveOrphans(recovered->orphans);
  state.wal_floor = recovered->wal_floor.value_or(0);
  state.flushed_sequence = recovered->flushed_sequence;
  state.last_sequence = std::max(state.last_sequence, state.flushed_sequence);
  Result<VersionPtr> version = Version::Make(std::move(levels));
  if (!version) return version.error();
  state.tree.version = std::move(*version);
  LogInfo("recovery", "{} tables in {} levels", tables, state.tree.version->level_count());
  const auto l0 = recovered->levels.find(0);
  const bool says_where_log_begins = l0 != recovered->levels.end() && l0->second.flushed_sequence.has_value();
  if (tables > 0 && !says_where_log_begins) NoteWhereLogBegins(*state.manifests, state.flushed_sequence);
  if (Status status = RecoverWal(&state); !status.ok()) return status;
  return state;
}

/// Until the first flush the tables say where the log begins (FlushedSequence): of a directory that was restored, built or only ingested
/// into. A merge or a drop may take the one that says so away, so it is written down before anything is merged.
void EngineImpl::NoteWhereLogBegins(ManifestStore& manifests, SequenceNumber flushed_sequence) {
  if (manifests.unfinished()) return;      // the disk is full: the next start does it
  VersionEdit edit;
  edit.flushed_sequence = flushed_sequence;
  if (Status status = manifests.Commit(edit); !status.ok()) LogWarning("recovery", "where the log begins: {}", status.message());
}

void EngineImpl::RemoveOrphans(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    LogInfo("recovery", "{} is named by no manifest (an unfinished flush or compaction); removed", file);
    if (Status status = context_.fs.RemoveFile(context_.options.dir + "/" + file); !status.ok()) LogWarning("recovery", "{}", status.message());
  }
}

/// Rebuilds memtables from the WAL. A memtable ends only where a segment ends, so that wal_floor stays exact.
Status EngineImpl::RecoverWal(RecoveredState* state) {
  std::vector<Memory> memories;           // oldest first
  std::uint64_t last_segment = 0;
  const auto on_record = [&](std::uint64_t segment, SequenceNumber first, std::uint32_t count, std::string_view operations) {
    if (segment != last_segment) {
      if (memories.empty() || IsFull(*memories.back().table)) memories.push_back({std::make_shared<MemTable>(), segment});
      last_segment = segment;
    }
    MemTable& table = *memories.back().table;
    OperationReader reader(operations);
    EntryView entry;
    SequenceNumber sequence = first;
    for (; reader.Next(&entry); ++sequence) {
      if (entry.kind == EntryKind::kNothing) {
        table.Skip(sequence);
      } else {
        table.Add(sequence, entry, Hash(entry.key));
      }
    }
    if (!reader.status().ok() || sequence != first + count)
      return Status::Corruption(fmt::format("WAL segment {}: the batch at sequence {} is malformed", segment, first));
    return Status();
  };
  ReplayOptions replay;
  replay.skip_corruption = context_.options.wal_skip_corruption;
  replay.flushed_sequence = state->flushed_sequence;
  replay.flushed_sequence_known = true;
  const Result<ReplaySummary> summary = ReplayWal(context_.fs, context_.wal_dir, state->wal_floor, replay, on_record);
  if (!summary) return summary.error();
  state->last_sequence = std::max(state->last_sequence, summary->last_sequence);
  state->next_segment = std::max(summary->max_segment_id, state->wal_floor) + 1;
  state->flush_at_once = summary->skipped_bytes > 0 || summary->lost_writes;
  state->lost_writes = summary->lost_writes;
  state->asides = summary->asides;
  LogInfo("recovery", "WAL: {} records with {} entries in {} segments; last sequence number {}", summary->records,
          summary->entries, summary->segments, state->last_sequence);
  if (memories.empty()) memories.push_back({std::make_shared<MemTable>(), state->next_segment});
  // Writes lost at the log's end, and accepted as such: their numbers are given, and the flush that follows is to say so.
  if (MemTable& last = *memories.back().table; summary->lost_writes && last.largest_sequence() < state->last_sequence) last.Skip(state->last_sequence);
  state->tree.active = memories.back();
  memories.pop_back();
  for (Memory& memory : memories) memory.table->Freeze();
  state->tree.immutables.assign(memories.rbegin(), memories.rend());
  return {};
}

void EngineImpl::StartScheduler(std::unique_ptr<ManifestStore> manifests) {
  Scheduler::Hooks hooks;
  hooks.update_pressure = [this](bool background_error) { UpdatePressure(background_error); };
  hooks.last_sequence = [this] { return visible_.load(std::memory_order_acquire); };
  hooks.review_in = [this] { return PressureReview(); };
  hooks.wal_floor_moved = [this](std::uint64_t floor) {
    if (Status status = wal_->RemoveSegmentsBelow(floor); !status.ok()) LogWarning("wal", "{}", status.message());
  };
  scheduler_ = std::make_unique<Scheduler>(context_, *tree_, std::move(manifests), std::move(hooks));
  context_.janitor->SetWake([this] { scheduler_->Wake(); });
  scheduler_->Start();
  scheduler_->Wake();
}

void EngineImpl::LogLimits() const {
  constexpr std::uint32_t kLevelsShown = 5;
  const auto text = [](const Limit& limit) {
    return limit.hard == 0 ? std::string("none") : fmt::format("{} (soft {})", limit.hard, limit.soft);
  };
  for (std::uint32_t n = 0; n < kLevelsShown; ++n) {
    const LevelLimits limits = LimitsOfLevel(context_.options, n);
    LogInfo("compaction", "limits of L{}: entries {}, bytes {}{}", n, text(limits.entries), text(limits.bytes),
            n == 0 ? ", sstables " + text(limits.sstables) : std::string());
  }
}

void EngineImpl::PrepareToClose() {
  context_.closing.store(true, std::memory_order_relaxed);
  if (scheduler_ != nullptr) scheduler_->Wake();
  if (scrubber_ != nullptr) scrubber_->Interrupt();
}

/// What was acknowledged before the WAL broke may be nowhere but in memory and in pages the kernel has given up.
void EngineImpl::SaveMemtablesOfBrokenWal() {
  if (wal_ == nullptr || scheduler_ == nullptr || wal_->health().ok()) return;
  {
    MutexLock lock(write_mutex_);
    if (active_.table->entries() > 0 && !TryRotateLocked()) LogWarning("wal", "the active memtable cannot be saved into a table");
  }
  if (!scheduler_->error().ok()) return;      // tables cannot be written either
  if (Status status = scheduler_->WaitUntilFlushed(); !status.ok()) LogError("wal", "saving the memtables: {}", status.message());
}

EngineImpl::~EngineImpl() {
  SaveMemtablesOfBrokenWal();
  PrepareToClose();
  admission_.Close();
  scrubber_.reset();
  context_.janitor->SetWake({});
  if (scheduler_ != nullptr) {
    scheduler_->Stop();
    tree_->ReleaseThreadView();
    scheduler_->RemoveUnread();     // what the last merges replaced
  }
  if (wal_ != nullptr) {
    if (Status status = wal_->Close(); !status.ok()) LogError("wal", "closing: {}", status.message());
  }
}

}  // namespace lsmkv
