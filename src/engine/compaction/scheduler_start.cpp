// The part of the scheduler that begins flushes and merges, and says on whose thread.
#include <algorithm>

#include "base/log.h"
#include "engine/bundle/bundle.h"
#include "engine/compaction/merge_room.h"
#include "engine/compaction/scheduler.h"

namespace lsmkv {
namespace {

constexpr std::chrono::microseconds kIdleAfter{10'000'000};

}  // namespace

void Scheduler::StartFlushes() {
  const SuperVersionPtr now = tree_.Current();
  const bool waiting_to_retry = context_.clock.Monotonic() < commit_backoff_.until;
  for (auto memory = now->immutables.rbegin(); memory != now->immutables.rend(); ++memory) {
    const std::shared_ptr<MemTable> table = memory->table;
    if (flushes_.contains(table.get()) || waiting_to_retry) continue;
    flushes_.emplace(table.get(), std::nullopt);
    flush_pool_.Submit([this, table] {
      FlushDone done{table.get(), RunFlush(context_, *table)};
      MutexLock lock(mutex_);
      inbox_.flushes.push_back(std::move(done));
      work_.NotifyOne();
    });
  }
}

void Scheduler::StartManual() {
  if (context_.closing.load(std::memory_order_relaxed)) {
    for (const ManualPtr& manual : std::exchange(manual_, {})) FinishManual(manual, Status::ShuttingDown());
  }
  // Alone, so that it sees the whole tree: the picker rests until the running merges have ended.
  if (manual_.empty() || !reloads_.empty() || !merges_.empty() || !merges_to_commit_.empty()) return;
  const ManualPtr manual = manual_.front();
  manual_.pop_front();
  CompactionPlan plan = PlanManual(*tree_.Current()->version, manual->from, manual->target);
  if (auto* merge = std::get_if<Merge>(&plan)) {
    if (Status room = HasRoomFor(BytesOf(*merge)); !room.ok()) return FinishManual(manual, room);
    StartMerge(std::move(*merge), manual);
  } else {
    FinishManual(manual, {});
  }
}

void Scheduler::StartCompactions() {
  constexpr int kMostPlansPerRound = 64;
  if (!manual_.empty() || !reloads_.empty()) return;
  if (context_.closing.load(std::memory_order_relaxed) || context_.clock.Monotonic() < merge_backoff_.until) return;
  std::set<std::uint64_t> without_room;      // of merges that must wait: smaller ones elsewhere may make the room
  std::set<std::uint64_t> covering;          // expired tables that an ingest must find
  for (int i = 0; i < kMostPlansPerRound && MayStartMerge(); ++i) {
    const VersionPtr version = tree_.Current()->version;
    BusyTables busy = Busy();
    busy.tables.insert(without_room.begin(), without_room.end());
    busy.tables.insert(covering.begin(), covering.end());
    const bool l0_only = merges_.size() >= context_.options.compaction_workers;
    const bool idle = context_.clock.Monotonic() - last_flush_ >= kIdleAfter;
    picked_while_filling_ = IsFilling();
    // What is newer than an ingest that has not landed was flushed after this was set: it is seen here if `version` has any of it.
    const SequenceNumber ingest_point = context_.ingest_point.load(std::memory_order_acquire);
    const PickerInput input{*version, context_.options, busy, context_.clock.WallMillis(), idle, picked_while_filling_, ingest_point, l0_only,
                            context_.disk_low.load(std::memory_order_relaxed)};
    CompactionPlan plan = PickCompaction(input);
    Status status;
    if (const auto* merge = std::get_if<Merge>(&plan)) {
      Result<CompactionPlan> fitting = PlanWithinRoom(input, *merge);
      if (!fitting) {
        if (without_room.empty()) LacksRoom(*merge, fitting.error());
        without_room.merge(InputIdsOf(*merge));
        continue;
      }
      plan = std::move(*fitting);
    }
    if (auto* merge = std::get_if<Merge>(&plan)) {
      StartMerge(std::move(*merge), nullptr);
    } else if (const auto* move = std::get_if<TrivialMove>(&plan)) {
      status = CommitMove(*move);
    } else if (const auto* drop = std::get_if<Drop>(&plan)) {
      const std::set<std::uint64_t> kept = NewerThanIngest(*drop);
      covering.insert(kept.begin(), kept.end());
      if (kept.empty()) status = CommitDrop(*drop);
    } else {
      return NothingToStart(!without_room.empty());
    }
    if (!status.ok()) return Failed("commit", status);
  }
}

/// Nothing else could be started than what runs. If nothing runs either, that is for as long as tables are left alone that cannot be read.
void Scheduler::NothingToStart(bool some_wait_for_room) {
  if (!some_wait_for_room) {
    bytes_wanted_.store(0, std::memory_order_relaxed);
    if (merges_.empty()) ForgetMergeFailure("what failed to be compacted needs it no more");   // else a merge's end says how it is
  }
  const bool some_left_alone = !unreadable_.LeftAlone(context_.clock.Monotonic()).empty();
  MutexLock lock(mutex_);
  damage_blocks_ = merges_.empty() && some_left_alone;
}

/// Of the tables to be dropped, those that may cover what an ingest under way brings (ingest_plan.h).
std::set<std::uint64_t> Scheduler::NewerThanIngest(const Drop& drop) const {
  const SequenceNumber point = context_.ingest_point.load(std::memory_order_acquire);
  std::set<std::uint64_t> newer;
  if (point == 0) return newer;
  for (const LevelInputs& level : drop.inputs) {
    for (const TablePtr& table : level.tables)
      if (table->record().largest_seq > point) newer.insert(table->id());
  }
  return newer;
}

/// One job more than there are workers when L0 is over its limit and no running job relieves it: long merges deeper down
/// must not make writers wait.
bool Scheduler::MayStartMerge() const {
  const std::size_t workers = context_.options.compaction_workers;
  if (merges_.size() < workers) return true;
  if (merges_.size() > workers || tree_.Current()->version->figures(0).sstables <= context_.options.max_l0_sstables) return false;
  return std::ranges::none_of(merges_, [](const auto& job) { return RelievesL0(job.second); });
}

/// Those of L0 have threads of their own: pieces of other merges may hold every other one. Or who finds a job on each of these.
ThreadPool& Scheduler::PoolOf(const RunningMerge& merge) {
  const auto idle = [this](const ThreadPool& pool) {
    return std::ranges::none_of(merges_, [&](const auto& job) { return job.second.pool == &pool; });
  };
  const bool relieves = RelievesL0(merge);
  if (relieves && merge.merge.target == 0 && idle(gather_pool_)) return gather_pool_;
  if ((relieves || merges_.size() >= context_.options.compaction_workers) && idle(spare_pool_)) return spare_pool_;
  return merge_pool_;
}

/// By itself: manual compactions and ingests are not for that.
bool Scheduler::RelievesL0(const RunningMerge& running) {
  return running.manual == nullptr && running.ingest == nullptr && running.merge.inputs.front().level == 0;
}

void Scheduler::StartMerge(Merge merge, ManualPtr manual, IngestPtr ingest) {
  const std::uint64_t job = next_job_++;
  std::string inputs = merge.incoming == nullptr ? "" : "what comes in";
  for (const LevelInputs& level : merge.inputs) {
    std::uint64_t entries = 0;
    for (const TablePtr& table : level.tables) entries += table->record().entries;
    inputs += fmt::format("{}L{}: {} tables, {} entries", inputs.empty() ? "" : " + ", level.level, level.tables.size(), entries);
  }
  LogInfo("compaction", "job {}: {}; merging {} into L{}", job, merge.reason, inputs, merge.target);
  const VersionPtr version = tree_.Current()->version;
  context_.counters.compactions_running.fetch_add(1, std::memory_order_release);
  RunningMerge running{std::move(merge), std::move(manual), std::move(ingest)};
  running.pool = &PoolOf(running);
  running.room_bytes = RoomForMerge().value_or(0);
  // What is newer than an ingest that has not landed was flushed, on this thread, after the point was set.
  const SequenceNumber ingest_point = context_.ingest_point.load(std::memory_order_acquire);
  running.pool->Submit([this, job, version, ingest_point, merge = running.merge] {
    MergeDone done{job, RunMerge(context_, version, merge, {merge_pool_, rate_, ingest_point})};
    MutexLock lock(mutex_);
    inbox_.merges.push_back(std::move(done));
    work_.NotifyOne();
  });
  const LevelFigures taken = TakenFromL0(running.merge);
  l0_tables_in_merges_.fetch_add(taken.sstables, std::memory_order_relaxed);
  l0_bytes_in_merges_.fetch_add(taken.bytes, std::memory_order_relaxed);
  merges_.emplace(job, std::move(running));
  MutexLock lock(mutex_);
  damage_blocks_ = false;
}

LevelFigures Scheduler::TakenFromL0(const Merge& merge) {
  if (merge.inputs.empty() || merge.inputs.front().level != 0) return {};
  LevelFigures taken = FiguresOf(merge.inputs.front().tables);
  if (merge.target == 0) taken = {std::max<std::uint64_t>(taken.sstables, 1) - 1, 0, 0, 0};      // they become one, of as many bytes
  return taken;
}

LevelFigures Scheduler::l0_in_merges() const {
  return {l0_tables_in_merges_.load(std::memory_order_relaxed), 0, 0, l0_bytes_in_merges_.load(std::memory_order_relaxed)};
}

BusyTables Scheduler::Busy() const {
  BusyTables busy;
  busy.damaged = unreadable_.LeftAlone(context_.clock.Monotonic());
  const auto hold = [&](const Merge& merge) {
    for (const LevelInputs& level : merge.inputs)
      for (const TablePtr& table : level.tables) busy.tables.insert(table->id());
    busy.jobs.push_back({merge.target, SpanOf(merge)});
    if (merge.incoming == nullptr || merge.target > 0) return;
    // What is newer than an ingest into L0 must not sink below it.
    for (const TablePtr& table : tree_.Current()->version->level(0)) busy.tables.insert(table->id());
  };
  for (const auto& [job, running] : merges_) hold(running.merge);
  if (reserved_) hold(*reserved_);
  return busy;
}

void Scheduler::PublishCompactingLevels() {
  std::vector<bool> levels(kMaxLevels, false);
  for (const auto& [job, running] : merges_) {
    for (const LevelInputs& level : running.merge.inputs) levels[level.level] = true;
    levels[running.merge.target] = true;
  }
  MutexLock lock(mutex_);
  compacting_levels_ = std::move(levels);
}

// ---- failures

}  // namespace lsmkv
