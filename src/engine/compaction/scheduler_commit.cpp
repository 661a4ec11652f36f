// The half of the scheduler that changes the tree: manifests first, then the version that readers see.
#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "engine/compaction/scheduler.h"

namespace lsmkv {
namespace {

std::string DescribeOutputs(const JobResult& result) {
  std::string tables;
  constexpr std::size_t kMostNamed = 4;
  for (std::size_t i = 0; i < std::min(kMostNamed, result.outputs.size()); ++i) {
    const TableRecord& table = result.outputs[i];
    tables += fmt::format("{}{} ({} entries, {} bytes)", i == 0 ? "" : ", ", table.file, table.entries, table.size_bytes);
  }
  if (result.outputs.size() > kMostNamed) tables += fmt::format(" and {} more", result.outputs.size() - kMostNamed);
  return tables.empty() ? "no table" : tables;
}

void CountTable(const TableRecord& record, HistoryEvent::Tables* tables) {
  tables->ids.push_back(record.id);
  tables->entries += record.entries;
  tables->bytes += record.size_bytes;
}

HistoryEvent::Tables TablesOf(std::uint32_t level, std::span<const TablePtr> tables) {
  HistoryEvent::Tables counted{.level = level, .ids = {}, .entries = 0, .bytes = 0};
  for (const TablePtr& table : tables) CountTable(table->record(), &counted);
  return counted;
}

HistoryEvent EventOf(std::string kind, std::string reason, const std::vector<LevelInputs>& inputs) {
  HistoryEvent event;
  event.kind = std::move(kind);
  event.reason = std::move(reason);
  for (const LevelInputs& level : inputs) event.in.push_back(TablesOf(level.level, level.tables));
  return event;
}

HistoryEvent EventOf(std::string kind, std::string reason, const std::vector<LevelInputs>& inputs, std::uint32_t target,
                     const JobResult& result) {
  HistoryEvent event = EventOf(std::move(kind), std::move(reason), inputs);
  event.out.level = target;
  for (const TableRecord& record : result.outputs) CountTable(record, &event.out);
  event.duration = result.duration;
  event.pieces = result.pieces;
  return event;
}

}  // namespace

Status Scheduler::Commit(VersionEdit edit, const VersionChange& change, const MemTable* flushed, HistoryEvent event) {
  LSMKV_ASSERT(!pending_commit_.has_value());
  pending_commit_ = PendingCommit{change, flushed, edit.wal_floor, std::move(event)};
  if (Status status = manifests_->Commit(edit); !status.ok()) {
    // Refused as a whole, nothing was written: it must not be taken for a commit that is half done.
    if (!manifests_->unfinished()) {
      pending_commit_.reset();
      std::vector<TablePtr> made;
      for (const VersionChange::Added& added : change.added)
        if (!change.Moves(added.table->id())) made.push_back(added.table);
      DiscardOutputs(made);
    }
    return status;
  }
  FinishPendingCommit();
  return {};
}

bool Scheduler::FinishPendingCommit() {
  if (manifests_->unfinished()) {
    if (context_.clock.Monotonic() < commit_backoff_.until) return false;
    if (Status status = manifests_->Resume(); !status.ok()) {
      Failed("writing a manifest", status);
      return false;
    }
    if (!pending_commit_.has_value()) Succeeded();     // it was recovery's, which had met a full disk
  }
  if (!pending_commit_.has_value()) return true;
  const PendingCommit commit = *std::exchange(pending_commit_, std::nullopt);
  const VersionPtr before = tree_.Current()->version;
  Result<VersionPtr> version = before->With(commit.change);
  LSMKV_ASSERT(version.has_value());   // overlapping outputs would be our bug; the manifests are checked again at the next start
  for (const auto& [level, id] : commit.change.removed) {
    if (commit.change.Moves(id)) continue;
    for (const TablePtr& table : before->level(level))
      if (table->id() == id) table->MarkObsolete();
  }
  for (const auto& [id, usage] : before->blobs())
    if (!(*version)->blobs().contains(id)) usage.file->MarkObsolete();
  if (commit.flushed != nullptr) {
    tree_.InstallFlush(*version, commit.flushed);
    hooks_.wal_floor_moved(*commit.wal_floor);
    flushes_.erase(commit.flushed);
  } else if (commit.change.new_entries) {
    const RowCache::Closed closed(context_.tables->row_cache);
    tree_.InstallVersion(*version);
    context_.counters.content_changes.fetch_add(1, std::memory_order_release);
    steps_.clear();       // it may lie between sources of one: the newer of these must not go below it
  } else {
    tree_.InstallVersion(*version);
  }
  ForgetDamageThatIsGone();
  history_.Add(commit.event);
  FinishIngest(commit.ingest, {});
  if (commit.lands_unasked) context_.ingest_point.store(0, std::memory_order_release);
  Succeeded();
  return true;
}

// ---- flushes

void Scheduler::CommitFlushes() {
  while (true) {
    const SuperVersionPtr now = tree_.Current();
    if (now->immutables.empty()) return;
    const Memory oldest = now->immutables.back();
    const auto started = flushes_.find(oldest.table.get());
    if (started == flushes_.end() || !started->second.has_value()) return;
    if (!started->second->has_value()) {
      Failed("flush", started->second->error());
      flushes_.erase(started);          // started again after the pause
      return;
    }
    const Memory& next = now->immutables.size() > 1 ? now->immutables[now->immutables.size() - 2] : now->active;
    if (Status status = CommitFlush(oldest, next.first_segment, **started->second); !status.ok())
      return Failed("writing a manifest", status);
  }
}

Status Scheduler::CommitFlush(const Memory& oldest, std::uint64_t wal_floor, JobResult result) {
  VersionEdit edit;
  edit.target_level = 0;
  edit.wal_floor = wal_floor;
  edit.flushed_sequence = oldest.table->largest_sequence();
  VersionChange change;
  for (const TableRecord& record : result.outputs) {
    edit.added.push_back(record);
    change.added.push_back({0, context_.MakeTable(record)});
  }
  context_.counters.flushes.fetch_add(1, std::memory_order_relaxed);
  context_.counters.flush_bytes_written.fetch_add(result.bytes_written, std::memory_order_relaxed);
  const std::chrono::microseconds now = context_.clock.Monotonic();
  flush_interval_ = now - last_flush_;
  last_flush_ = now;
  const std::uint64_t versions = oldest.table->entries();
  LogInfo("flush", "memtable with {} versions of {} keys into L0: {} in {:.1f} ms", versions, result.entries_out,
          DescribeOutputs(result), static_cast<double>(result.duration.count()) / 1000);
  HistoryEvent event = EventOf("flush", fmt::format("memtable with {} versions", versions), {}, 0, result);
  return Commit(std::move(edit), change, oldest.table.get(), std::move(event));
}

// ---- merges

void Scheduler::TakeMerge(MergeDone done) {
  const auto running = merges_.find(done.job);
  LSMKV_ASSERT(running != merges_.end());
  if (done.result.has_value()) {
    merges_to_commit_.emplace_back(done.job, std::move(*done.result));
    return;
  }
  const Status& status = done.result.error();
  if (running->second.ingest != nullptr) {
    TakeFailedIngest(done.job, running->second, status);
    return EndMerge(running);
  }
  if (status.code() == StatusCode::kCorruption) {
    LogError("compaction", "job {} met damage; the damaged table stays as it is: {}", done.job, status.message());
    MarkDamaged(running->second.merge, status);
  } else if (status.code() == StatusCode::kNoSpace) {
    gave_up_.Add(running->second.merge, running->second.room_bytes);
    LacksRoom(running->second.merge, status);
  } else if (status.code() != StatusCode::kShuttingDown && !MarkUnread(running->second.merge, status)) {
    MergeFailed(status);
  }
  FinishManual(running->second.manual, status);
  EndMerge(running);
}

/// A job counts as running until its result is in the tree.
void Scheduler::EndMerge(RunningMerges::iterator running) {
  const LevelFigures taken = TakenFromL0(running->second.merge);
  l0_tables_in_merges_.fetch_sub(taken.sstables, std::memory_order_relaxed);
  l0_bytes_in_merges_.fetch_sub(taken.bytes, std::memory_order_relaxed);
  merges_.erase(running);
  context_.counters.compactions_running.fetch_sub(1, std::memory_order_release);
}

void Scheduler::CommitMerges() {
  while (!merges_to_commit_.empty()) {
    auto [job, result] = std::move(merges_to_commit_.front());
    merges_to_commit_.erase(merges_to_commit_.begin());
    const auto running = merges_.find(job);
    const Status status = CommitMerge(running->second, result);
    // Refused as a whole it is not in the tree, nor will be; what it would be again has to wait.
    if (!status.ok() && !pending_commit_) {
      MergeFailed(status);
    } else {
      ForgetMergeFailure("compactions succeed again");
      gave_up_.Clear();
      if (running->second.merge.step_bytes != 0) NoteStep(running->second.merge, &steps_);
    }
    LogInfo("compaction", "job {}: {} of {} entries live; L{} gets {} in {:.1f} ms{}", job, result.entries_out, result.entries_in,
            running->second.merge.target, DescribeOutputs(result), static_cast<double>(result.duration.count()) / 1000,
            result.pieces > 1 ? fmt::format(", in {} pieces", result.pieces) : std::string());
    FinishManual(running->second.manual, status);
    AnswerIngest(running->second, status);
    EndMerge(running);
    if (!status.ok()) return Failed("writing a manifest", status);
  }
}

Status Scheduler::CommitMerge(const RunningMerge& running, const JobResult& result) {
  VersionEdit edit;
  edit.target_level = running.merge.target;
  VersionChange change;
  for (const LevelInputs& level : running.merge.inputs) {
    if (!running.merge.Removes(level.level)) continue;
    for (const TablePtr& table : level.tables) edit.removed.emplace_back(level.level, table->id());
  }
  change.removed = edit.removed;
  change.new_entries = running.ingest != nullptr;
  for (const TableRecord& record : result.outputs) {
    edit.added.push_back(record);
    change.added.push_back({running.merge.target, context_.MakeTable(record)});
  }
  CountMerge(running, result);
  const Merge& merge = running.merge;
  const char* const kind = running.ingest == nullptr ? "merge" : "ingest";
  return Commit(std::move(edit), change, nullptr, EventOf(kind, merge.reason, merge.inputs, merge.target, result));
}

void Scheduler::CountMerge(const RunningMerge& running, const JobResult& result) {
  EngineCounters& counters = context_.counters;
  counters.blob_bytes_moved.fetch_add(result.blob_bytes_moved, std::memory_order_relaxed);
  counters.expired.fetch_add(result.expired, std::memory_order_relaxed);
  if (running.ingest != nullptr) {
    counters.ingests.fetch_add(1, std::memory_order_relaxed);
    counters.ingest_bytes_written.fetch_add(result.bytes_written, std::memory_order_relaxed);
    return;
  }
  counters.compactions.fetch_add(1, std::memory_order_relaxed);
  if (result.pieces > 1) counters.subcompactions.fetch_add(result.pieces, std::memory_order_relaxed);
  counters.compaction_bytes_read.fetch_add(result.bytes_read, std::memory_order_relaxed);
  counters.compaction_bytes_written.fetch_add(result.bytes_written, std::memory_order_relaxed);
}

Status Scheduler::CommitMove(const TrivialMove& move) {
  VersionEdit edit;
  edit.target_level = move.to;
  VersionChange change;
  for (const TablePtr& table : move.tables) {
    edit.added.push_back(table->record());
    edit.removed.emplace_back(move.from, table->id());
    change.added.push_back({move.to, table});
  }
  change.removed = edit.removed;
  context_.counters.trivial_moves.fetch_add(move.tables.size(), std::memory_order_relaxed);
  LogInfo("compaction", "{}; {} tables move from L{} to L{} without a rewrite", move.reason, move.tables.size(), move.from, move.to);
  HistoryEvent event = EventOf("move", move.reason, {{move.from, move.tables}});
  event.out = TablesOf(move.to, move.tables);
  return Commit(std::move(edit), change, nullptr, std::move(event));
}

Status Scheduler::CommitDrop(const Drop& drop) {
  context_.counters.filtered.fetch_add(1, std::memory_order_release);
  VersionEdit edit;
  VersionChange change;
  const std::uint64_t now_ms = context_.clock.WallMillis();
  for (const LevelInputs& level : drop.inputs) {
    for (const TablePtr& table : level.tables) {
      edit.removed.emplace_back(level.level, table->id());
      const TableRecord& record = table->record();
      if (record.expiring == record.entries) context_.NoteExpired(record.expires_last_ms);   // by the clock that it was picked at
      if (HasExpired(record.expires_last_ms, now_ms)) context_.counters.expired.fetch_add(record.expiring, std::memory_order_relaxed);
    }
  }
  change.removed = edit.removed;
  edit.target_level = drop.inputs.front().level;
  LogInfo("compaction", "{} tables dropped unread: {}", edit.removed.size(), drop.reason);
  return Commit(std::move(edit), change, nullptr, EventOf("drop", drop.reason, drop.inputs));
}

}  // namespace lsmkv
