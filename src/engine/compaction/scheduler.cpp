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
constexpr microseconds kFilling{1'000'000};
constexpr microseconds kFillingInterval{2'000'000};      // flushes farther apart leave time for merges in between
constexpr microseconds kLeastReviewInterval{100'000};
constexpr microseconds kPurgeInterval{100'000};       // while readers hold a replaced version
constexpr microseconds kKeptUnwritten{500'000};        // what is removed, while nothing is written that it would make room for
// How far each stands back for the event loops where there is one core for all. Writers are slowed by what L0 holds, and only its merge
// down ends that: at 9, behind loops, flushes and gathering, it had an eighth of the core, took two minutes, found three times as much
// when it ended, and 60 % of the highest rate could not be kept up for long. At 3 it takes half a minute; there is less to be gathered
// meanwhile, and what is asked of the core in all is less. Deeper merges have time.
constexpr int kFlushNice = 2;
constexpr int kL0Nice = 3;
constexpr int kGatherNice = 4;
constexpr int kMergeNice = 9;

}  // namespace

Scheduler::Scheduler(EngineContext& context, Tree& tree, std::unique_ptr<ManifestStore> manifests, Hooks hooks)
    : context_(context),
      tree_(tree),
      hooks_(std::move(hooks)),
      manifests_(std::move(manifests)),
      history_(context.fs, context.options.dir, context.clock),
      rate_(context.clock, context.options.compaction_bytes_per_second),
      flush_pool_("flush", context.options.flush_workers, kFlushNice),
      merge_pool_("compact", context.options.compaction_workers, kMergeNice),
      spare_pool_("compact-l0", 1, kL0Nice),
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
    CountUnreadable();      // some may be tried again by now
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
  pause = std::min(pause, std::max(unreadable_.UntilNext(context_.clock.Monotonic()), microseconds(1000)));
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
