#include "engine/compaction/scheduler.h"

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "engine/bundle/bundle.h"
#include "engine/compaction/merge_room.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;

constexpr microseconds kReviewInterval{10'000'000};   // how late an expiry may be noticed
constexpr microseconds kIdleAfter{10'000'000};
constexpr microseconds kFilling{1'000'000};
constexpr microseconds kFillingInterval{2'000'000};      // flushes farther apart leave time for merges in between
constexpr microseconds kLeastReviewInterval{100'000};
constexpr microseconds kPurgeInterval{100'000};       // while readers hold a replaced version
constexpr microseconds kKeptUnwritten{500'000};        // what is removed, while nothing is written that it would make room for
constexpr microseconds kFirstBackoff{100'000};
constexpr microseconds kLongestBackoff{2'000'000};
// How far merges stand back for the event loops. Those within L0 less: they take a second or two, and writers are slowed by what waits for
// their end, above all while a merge of all of L0 and L1 goes on beside them for half a minute. So the shortest goes first.
constexpr int kGatherNice = 2;
constexpr int kMergeNice = 9;

}  // namespace

Scheduler::Scheduler(EngineContext& context, Tree& tree, std::unique_ptr<ManifestStore> manifests, Hooks hooks)
    : context_(context),
      tree_(tree),
      hooks_(std::move(hooks)),
      manifests_(std::move(manifests)),
      history_(context.fs, context.options.dir, context.clock),
      rate_(context.clock, context.options.compaction_bytes_per_second),
      flush_pool_("flush", context.options.flush_workers),
      merge_pool_("compact", context.options.compaction_workers, kMergeNice),
      spare_pool_("compact-l0", 1, kMergeNice),
      gather_pool_("gather-l0", 1, kGatherNice),
      removal_pool_("remove", 1, kMergeNice),
      last_flush_(context.clock.Monotonic()) {}

Scheduler::~Scheduler() { Stop(); }

void Scheduler::Start() {
  thread_ = Thread("scheduler", [this] { Run(); });
}

void Scheduler::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  work_.NotifyAll();
  if (thread_.joinable()) thread_.Join();
  flush_pool_.Stop(ThreadPool::StopMode::kDrop);
  spare_pool_.Stop(ThreadPool::StopMode::kDrop);
  gather_pool_.Stop(ThreadPool::StopMode::kDrop);
  merge_pool_.Stop(ThreadPool::StopMode::kDrop);
  removal_pool_.Stop(ThreadPool::StopMode::kDrain);
  progress_.NotifyAll();
}

void Scheduler::Wake() {
  {
    MutexLock lock(mutex_);
    woken_ = true;
  }
  work_.NotifyOne();
}

Status Scheduler::WaitUntilFlushed() {
  const SuperVersionPtr now = tree_.Current();
  if (now->immutables.empty()) return {};
  const MemTable* newest = now->immutables.front().table.get();
  MutexLock lock(mutex_);
  std::uint64_t failures_before = failures_;
  woken_ = true;
  work_.NotifyOne();
  while (!stopping_) {
    const SuperVersionPtr current = tree_.Current();
    const bool waiting = std::ranges::any_of(current->immutables, [newest](const Memory& m) { return m.table.get() == newest; });
    if (!waiting) return {};
    if (failures_ != failures_before && !error_.ok()) return error_;
    failures_before = failures_;      // failed and mended since: not this one's end
    progress_.Wait(mutex_);
  }
  return Status::ShuttingDown();
}

Status Scheduler::Compact(std::optional<std::uint32_t> from, std::uint32_t target) {
  auto request = std::make_shared<ManualRequest>(ManualRequest{from, target, false, {}});
  MutexLock lock(mutex_);
  inbox_.manual.push_back(request);
  work_.NotifyOne();
  while (!request->done && !stopping_) progress_.Wait(mutex_);
  return request->done ? request->status : Status::ShuttingDown();
}

Status Scheduler::error() const {
  MutexLock lock(mutex_);
  return error_;
}

Status Scheduler::merge_error() const {
  MutexLock lock(mutex_);
  return !merge_error_.ok() || !damage_blocks_ ? merge_error_ : damage_;
}

std::vector<bool> Scheduler::CompactingLevels() const {
  MutexLock lock(mutex_);
  return compacting_levels_;
}

void Scheduler::Run() {
  while (std::optional<Inbox> inbox = WaitForWork()) {
    for (FlushDone& done : inbox->flushes) flushes_[done.memtable] = std::move(done.result);
    for (MergeDone& done : inbox->merges) TakeMerge(std::move(done));
    for (ManualPtr& manual : inbox->manual) manual_.push_back(std::move(manual));
    for (ReloadPtr& reload : inbox->reloads) reloads_.push_back(std::move(reload));
    if (inbox->reloaded != nullptr) TakeReload(*inbox->reloaded);
    for (IngestPtr& ingest : inbox->ingests) ingests_.push_back(std::move(ingest));
    // Invariant 1: each step looks whether the one before left a commit unfinished.
    if (!reload_reading_ && FinishPendingCommit()) CommitFlushes();
    if (MayCommit()) CommitMerges();
    GiveUpStuckIngests();
    if (MayCommit()) StartReload();
    if (MayCommit()) {
      StartManual();
      StartIngest();
      StartCompactions();
    }
    if (!pending_commit_) StartFlushes();
    if (context_.closing.load(std::memory_order_relaxed)) AbandonIngests();
    PublishCompactingLevels();
    purge_again_ = tree_.PurgeRetired();
    StartRemoving();
    hooks_.update_pressure(!error().ok());
    {
      // Under the mutex: who has just looked and found nothing done must be asleep before it is woken.
      MutexLock lock(mutex_);
      progress_.NotifyAll();
    }
  }
}

microseconds Scheduler::Pause() const {
  const microseconds until_dead = microseconds(1000) * static_cast<std::int64_t>(context_.options.dead_max_age_ms / 4);
  microseconds pause = std::clamp(until_dead, kLeastReviewInterval, kReviewInterval);
  for (const Backoff* backoff : {&commit_backoff_, &merge_backoff_}) {
    if (backoff->pause.count() != 0)
      pause = std::min(pause, std::max(backoff->until - context_.clock.Monotonic(), microseconds(1000)));
  }
  pause = std::min(pause, hooks_.review_in().value_or(pause));
  if (purge_again_) pause = std::min(pause, kPurgeInterval);
  if (picked_while_filling_) pause = std::min(pause, std::max(FillingLeft(), microseconds(1000)));
  if (context_.removal.pending_bytes() != 0) pause = std::min(pause, kKeptUnwritten);
  return pause;
}

/// L0 may be left to grow while it is filled, and is looked at again when that ends: when the next flush does not come although as much time has
/// passed as between the last two, and a second more.
microseconds Scheduler::FillingLeft() const {
  const microseconds until_next = flush_interval_ <= kFillingInterval ? flush_interval_ : microseconds(0);
  return last_flush_ + until_next + kFilling - context_.clock.Monotonic();
}

std::optional<Scheduler::Inbox> Scheduler::WaitForWork() {
  const microseconds pause = Pause();
  MutexLock lock(mutex_);
  if (!stopping_ && !woken_ && inbox_.empty())
    work_.WaitFor(mutex_, pause);
  if (stopping_) return std::nullopt;
  woken_ = false;
  return std::exchange(inbox_, {});
}

// ---- starting work

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
    const PickerInput input{*version, context_.options, busy, context_.clock.WallMillis(), idle, picked_while_filling_, ingest_point, l0_only};
    CompactionPlan plan = PickCompaction(input);
    Status status;
    if (const auto* merge = std::get_if<Merge>(&plan)) {
      Result<Merge> fitting = FitToDisk(*merge);
      if (!fitting) {
        if (std::optional<Merge> gathering = GatherWithinRoom(input, *merge)) fitting = std::move(*gathering);
      }
      if (!fitting) {
        if (without_room.empty()) LacksRoom(*merge, fitting.error());
        without_room.merge(InputIdsOf(*merge));
        continue;
      }
      StartMerge(std::move(*fitting), nullptr);
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

/// Nothing else could be started than what runs. If nothing runs either, that is for good as far as the damaged tables are concerned.
void Scheduler::NothingToStart(bool some_wait_for_room) {
  if (!some_wait_for_room) {
    bytes_wanted_.store(0, std::memory_order_relaxed);
    if (merges_.empty()) ForgetMergeFailure("what failed to be compacted needs it no more");   // else a merge's end says how it is
  }
  MutexLock lock(mutex_);
  damage_blocks_ = merges_.empty() && !damaged_tables_.empty();
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
  running.pool->Submit([this, job, version, merge = running.merge] {
    MergeDone done{job, RunMerge(context_, version, merge, {merge_pool_, rate_})};
    MutexLock lock(mutex_);
    inbox_.merges.push_back(std::move(done));
    work_.NotifyOne();
  });
  l0_in_merges_.fetch_add(L0TablesTaken(running.merge), std::memory_order_relaxed);
  merges_.emplace(job, std::move(running));
  MutexLock lock(mutex_);
  damage_blocks_ = false;
}

std::uint64_t Scheduler::L0TablesTaken(const Merge& merge) {
  if (merge.inputs.empty() || merge.inputs.front().level != 0) return 0;
  const std::uint64_t tables = merge.inputs.front().tables.size();
  return merge.target == 0 ? std::max<std::uint64_t>(tables, 1) - 1 : tables;      // within L0 they become one
}

BusyTables Scheduler::Busy() const {
  BusyTables busy;
  busy.tables = damaged_tables_;
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

void Scheduler::Backoff::Fail(microseconds now) {
  pause = std::clamp(pause * 2, kFirstBackoff, kLongestBackoff);
  until = now + pause;
}

void Scheduler::Failed(const char* what, const Status& status) {
  if (commit_backoff_.pause.count() == 0) failing_since_ = context_.clock.Monotonic();
  commit_backoff_.Fail(context_.clock.Monotonic());
  bool is_new = false;
  {
    MutexLock lock(mutex_);
    is_new = error_.message() != status.message();
    error_ = status;
    ++failures_;
  }
  // Who asks is told, not kept waiting; a merge that is done is committed later all the same.
  for (const ManualPtr& manual : std::exchange(manual_, {})) FinishManual(manual, status);
  for (const auto& [job, result] : merges_to_commit_) FinishManual(std::exchange(merges_.at(job).manual, nullptr), status);
  LSMKV_ASSERT(!reload_reading_);              // nothing is committed meanwhile
  while (!reloads_.empty()) FinishReload(status);
  FailWaitingIngests(status);
  if (is_new) LogError("compaction", "{} failed, will be tried again: {}", what, status.message());
}

void Scheduler::Succeeded() {
  if (commit_backoff_.pause.count() == 0) return;
  commit_backoff_ = {};
  {
    MutexLock lock(mutex_);
    error_ = {};
  }
  LogInfo("compaction", "flushes and manifest writes succeed again");
}

void Scheduler::MergeFailed(const Status& status) {
  merge_backoff_.Fail(context_.clock.Monotonic());
  bool is_new = false;
  {
    MutexLock lock(mutex_);
    is_new = merge_error_.code() != status.code();
    merge_error_ = status;
  }
  if (is_new) LogError("compaction", "no compaction, will be tried again: {}", status.message());
}

void Scheduler::ForgetMergeFailure(std::string_view why) {
  if (merge_backoff_.pause.count() == 0) return;
  merge_backoff_ = {};
  bytes_wanted_.store(0, std::memory_order_relaxed);
  {
    MutexLock lock(mutex_);
    merge_error_ = {};
  }
  LogInfo("compaction", "{}", why);
}

/// The message names the file; when it does not, all inputs are left alone.
void Scheduler::MarkDamaged(const Merge& merge, const Status& status) {
  std::set<std::uint64_t> all;
  std::set<std::uint64_t> named;
  for (const LevelInputs& level : merge.inputs) {
    for (const TablePtr& table : level.tables) {
      all.insert(table->id());
      if (status.message().find(table->path()) != std::string::npos) named.insert(table->id());
    }
  }
  damaged_tables_.merge(named.empty() ? all : named);
  MutexLock lock(mutex_);
  damage_ = status;
}

void Scheduler::FinishManual(const ManualPtr& manual, Status status) {
  if (manual == nullptr) return;
  MutexLock lock(mutex_);
  manual->status = std::move(status);
  manual->done = true;
  progress_.NotifyAll();
}

/// The inputs of a large merge are gigabytes, which take the system a second to give up: not the scheduler's.
void Scheduler::StartRemoving() {
  std::vector<FileJanitor::Discarded> files = context_.janitor->Take();
  if (!files.empty()) {
    removal_pool_.Submit([this, files = std::move(files), most_kept = MostKeptRemoved()] {
      RemoveFiles(files);
      const std::uint64_t kept = context_.removal.pending_bytes();
      context_.removal.GiveBack(kept - std::min(kept, most_kept));
      Wake();                 // somebody may wait for the room
    });
  }
  const std::uint64_t kept = context_.removal.pending_bytes();
  const microseconds now = context_.clock.Monotonic();
  if (kept == 0 || now < kept_review_) return;
  if (kept == kept_bytes_) GiveBackRemoved();
  kept_bytes_ = kept;
  kept_review_ = now + kKeptUnwritten;
}

/// Of what is removed, what may wait for something to be written: little beside the tables, and beside the room on the disk.
std::uint64_t Scheduler::MostKeptRemoved() const {
  constexpr std::uint64_t kPartOfTables = 2;
  constexpr std::uint64_t kPartOfRoom = 8;
  std::uint64_t table_bytes = 0;
  const VersionPtr version = tree_.Current()->version;
  for (std::uint32_t n = 0; n < version->level_count(); ++n) table_bytes += version->figures(n).bytes;
  const Result<std::uint64_t> room = context_.fs.FreeBytes(context_.options.dir);
  return std::min(table_bytes / kPartOfTables, room ? *room / kPartOfRoom : 0);
}

void Scheduler::RemoveFiles(const std::vector<FileJanitor::Discarded>& files) {
  for (const FileJanitor::Discarded& file : files) {
    context_.tables->block_cache.EraseTable(file.id);
    context_.blob_files.Forget(file.id);
    if (Status status = context_.removal.Remove(file.path); !status.ok() && status.code() != StatusCode::kNotFound)
      LogWarning("compaction", "{}; it will be removed at the next start", status.message());
  }
}

void Scheduler::RemoveUnread() {
  tree_.PurgeRetired();
  RemoveFiles(context_.janitor->Take());
}

}  // namespace lsmkv
