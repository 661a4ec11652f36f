// The write path: admission, the write lock, rotation of memtables, and how much writers are held back.
#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/simulated_thread.h"
#include "base/thread.h"
#include "engine/engine_impl.h"
#include "engine/write_debt.h"

namespace lsmkv {

/// Waits for admission if it is asked to.
Status EngineImpl::MayWrite(const WriteBatch& batch, const WriteOptions& options) {
  if (batch.empty()) return Status::InvalidArgument("an empty batch");
  if (batch.oversized()) return Status::InvalidArgument("a key may have 1 MiB and a value 1020 MiB");
  if (batch.operations().size() > kMaxLogOperationsBytes) return Status::InvalidArgument("a batch of more than 2 GiB");
  if (options.wait_for_admission) {
    const Admission admission = admission_.Admit(batch.operations().size());
    if (admission.kind != Admission::Kind::kGo) WaitAsAdmissionSays(admission);
  }
  if (!wal_->healthy() || some_refused_.load(std::memory_order_relaxed)) [[unlikely]] {
    if (Status status = WhyRefused(batch.operations().size(), options.may_use_reserve); !status.ok()) return status;
  }
  if (batch.operations().size() >= DiskReserve::kLargeBatchBytes && !reserve_.near()) [[unlikely]] {
    if (Status status = reserve_.Take(batch.operations().size()); !status.ok()) return status;
  }
  return {};
}

Result<SequenceNumber> EngineImpl::Write(const WriteBatch& batch, const WriteOptions& options) {
  if (Status may = MayWrite(batch, options); !may.ok()) return may;
  MutexLock lock(write_mutex_);
  const SequenceNumber first = last_sequence_ + 1;
  wal_->Append(first, batch.count(), batch.operations());
  OperationReader operations(batch.operations());
  EntryView entry;
  while (operations.Next(&entry)) {
    active_.table->Add(++last_sequence_, entry, Hash(entry.key));
  }
  LSMKV_ASSERT(last_sequence_ == first + batch.count() - 1);   // a WriteBatch is well-formed by construction
  SwitchPoint();
  visible_.store(last_sequence_, std::memory_order_release);
  context_.counters.user_bytes_written.fetch_add(batch.operations().size(), std::memory_order_relaxed);
  const SequenceNumber last = last_sequence_;
  RotateIfFullLocked();
  return last;
}

/// Of one batch; Ok when it may pass, though others may not. What makes room passes also while compaction waits for room.
Status EngineImpl::WhyRefused(std::uint64_t batch_bytes, bool may_use_reserve) {
  if (wal_->full()) scheduler_->Wake();          // a flush may be what helps
  if (!may_use_reserve) {
    const Status status = WriteHealth();
    return status.ok() && reserve_.near() ? reserve_.Take(batch_bytes) : status;
  }
  const Status status = UpkeepHealth();
  const bool merges_want_room = status.code() == StatusCode::kNoSpace && merges_stuck_.load(std::memory_order_relaxed);
  if (!status.ok() && !merges_want_room) return status;
  return reserve_.low() ? reserve_.UseReserve(batch_bytes) : Status();
}

void EngineImpl::WaitAsAdmissionSays(const Admission& admission) {
  admission_.StallBegins();
  const std::chrono::microseconds start = context_.clock.Monotonic();
  if (admission.kind == Admission::Kind::kDelay) SleepFor(admission.delay);
  if (admission.kind == Admission::Kind::kStop) admission_.WaitWhileStopped();
  admission_.StallEnds(context_.clock.Monotonic() - start);
}

Result<SequenceNumber> EngineImpl::Commit(bool soon) {
  const auto commit = [&] { return soon ? wal_->CommitSoon() : wal_->Commit(); };
  if (wal_->written_sequence() >= visible_.load(std::memory_order_relaxed)) return commit();   // nothing of ours to write
  const std::chrono::microseconds start = context_.clock.Monotonic();
  Result<SequenceNumber> committed = commit();
  const bool waits_for_sync = committed && *committed > 0;    // that is what takes its time, and the WAL tells how long
  if (!waits_for_sync) foreground_.Add(context_.clock.Monotonic() - start);
  return committed;
}

std::uint64_t EngineImpl::MemtableByteLimit() const {
  constexpr std::uint64_t kLeast = 64 << 10;
  const std::uint64_t one = context_.memory.memtable_bytes.load(std::memory_order_relaxed);
  const std::uint64_t all = context_.memory.max_memory_bytes.load(std::memory_order_relaxed);
  if (all == 0) return one;
  // A quarter each: one is filled, one or two are flushed, and there is room for a batch too many. Who wants larger ones
  // may have halves: one is filled while the other is flushed.
  return std::max(one == 0 ? all / 4 : std::min(one, all / 2), kLeast);
}

bool EngineImpl::IsFull(const MemTable& memtable) const {
  const std::uint64_t entries = context_.options.memtable_entries;
  const std::uint64_t bytes = MemtableByteLimit();
  return (entries != 0 && memtable.entries() >= entries) || (bytes != 0 && memtable.bytes() >= bytes);
}

/// What a reader still holds counts as well; large batches come on top, and wait for each other (write_large.cpp). Only a flush ends
/// this, so it is not so when there is nothing to flush.
bool EngineImpl::MemtablesFull(const SuperVersion& now) const {
  const std::uint64_t most = context_.memory.max_memory_bytes.load(std::memory_order_relaxed);
  return most != 0 && !now.immutables.empty() && OwnBytes(now) >= most;
}

/// Of all memtables, without the large batches that are kept beside them.
std::uint64_t EngineImpl::OwnBytes(const SuperVersion& now) const {
  std::uint64_t bytes = now.active.table->own_bytes() + tree_->RetiredMemtableBytes();
  for (const Memory& immutable : now.immutables) bytes += immutable.table->own_bytes();
  return bytes;
}

/// How much of what memtables may take is taken, 0 to 1.
double EngineImpl::MemtableFill(const SuperVersion& now) const {
  const MemTable& active = *now.active.table;
  const auto share = [](std::uint64_t figure, std::uint64_t limit) {
    return limit == 0 ? 0.0 : std::min(1.0, static_cast<double>(figure) / static_cast<double>(limit));
  };
  const double of_active = std::max(share(active.entries(), context_.options.memtable_entries), share(active.own_bytes(), MemtableByteLimit()));
  const double by_count = (static_cast<double>(now.immutables.size()) + of_active) / (context_.options.max_immutable_memtables + 1.0);
  return std::max(by_count, share(OwnBytes(now), context_.memory.max_memory_bytes.load(std::memory_order_relaxed)));
}

void EngineImpl::RotateIfFullLocked() {
  if (!IsFull(*active_.table)) return;
  if (TryRotateLocked() && !MemtablesFull(*tree_->Current())) return;
  // At once, not when the scheduler comes round: until then another memtable could be filled. It grows by what is in flight;
  // those who ask for admission wait for a flush, or for the WAL's next segment.
  // Nor where writes are refused for what is over by now: they pass, and nothing else would hold them back before the scheduler looks.
  if (!admission_.stopped() && UpkeepHealth().ok()) {
    if (scheduler_->error().ok()) admission_.SetPressure({}, true, context_.counters.user_bytes_written.load(std::memory_order_relaxed));
    scheduler_->Wake();
  }
}

bool EngineImpl::TryRotateLocked() {
  if (tree_->immutable_count() >= context_.options.max_immutable_memtables || !wal_->RotationReady()) return false;
  const std::uint64_t segment = wal_->Rotate();
  active_.table->Freeze();
  MemTableOptions options;
  options.expected_entries = std::max<std::uint64_t>(active_.table->keys(), 64);
  active_ = Memory{std::make_shared<MemTable>(options), segment};
  tree_->Rotate(active_);
  scheduler_->Wake();
  return true;
}

Status EngineImpl::RotateForFlush() {
  while (true) {
    {
      MutexLock lock(write_mutex_);
      if (active_.table->largest_sequence() == 0 || TryRotateLocked()) return {};
    }
    if (Status status = WaitForRotation(); !status.ok()) return status;
  }
}

/// Some time in which a rotation that was not possible may become so; or why it never will.
Status EngineImpl::WaitForRotation() {
  if (Status health = UpkeepHealth(); !health.ok()) return health;
  if (Status blocked = wal_->rotation_status(); !blocked.ok()) return blocked;
  if (context_.closing.load(std::memory_order_relaxed)) return Status::ShuttingDown();
  if (tree_->immutable_count() >= context_.options.max_immutable_memtables) return scheduler_->WaitUntilFlushed();
  SleepFor(std::chrono::microseconds(200));   // the WAL's thread is creating the next segment
  return {};
}

void EngineImpl::UpdatePressure(bool background_error) {
  const Options& options = context_.options;
  const SuperVersionPtr now = tree_->Current();
  const bool cannot_rotate = now->immutables.size() >= options.max_immutable_memtables || !wal_->RotationReady();
  const bool memtables_full = IsFull(*now->active.table) && cannot_rotate;
  background_error = background_error || wal_->RotationBlocked() || !wal_->healthy();   // a broken WAL makes no segment either
  const bool memory_full = MemtablesFull(*now);
  const LevelFigures l0_waiting = WaitingL0(*now->version, scheduler_->l0_in_merges());
  const bool l0_full = l0_waiting.sstables >= options.l0_stop_sstables;
  const WriteDebt debt = DebtOfWriters(*now->version, options, l0_waiting, now->immutables.empty() ? 0 : MemtableFill(*now));
  // Where flushes or merges fail, writers meet the error (refuse_writes_) instead of waiting for what does not come.
  const bool flushes_stuck = background_error && (memtables_full || memory_full);
  const bool commits_stuck = l0_full && !scheduler_->error().ok();
  const bool merges_stuck = l0_full && !scheduler_->merge_error().ok();
  const bool refuse = flushes_stuck || commits_stuck || merges_stuck;
  merges_stuck_.store(merges_stuck && !flushes_stuck && !commits_stuck, std::memory_order_relaxed);
  refuse_writes_.store(refuse, std::memory_order_relaxed);
  ReviewDiskSpace();
  some_refused_.store(refuse || reserve_.near(), std::memory_order_relaxed);
  const bool stopped = !refuse && (memtables_full || memory_full || l0_full);
  admission_.SetPressure(refuse ? WriteDebt{} : debt, stopped, context_.counters.user_bytes_written.load(std::memory_order_relaxed));
  // A writer that has filled the last memtable since `now` was looked at has stopped the writers itself, and was just overruled.
  const auto filled_since = [this] {
    const SuperVersionPtr then = tree_->Current();
    return MemtablesFull(*then) || (IsFull(*then->active.table) && then->immutables.size() >= context_.options.max_immutable_memtables);
  };
  if (!stopped && !refuse && filled_since())
    admission_.SetPressure({}, true, context_.counters.user_bytes_written.load(std::memory_order_relaxed));
  LogPressure(refuse ? 0 : debt.largest(), stopped, *now);
  AdaptCompactionRate(*now->version);
}

/// Where the disk becomes low the active memtable is flushed early: its part of the log goes, and that may be the room that was missing.
void EngineImpl::ReviewDiskSpace() {
  const SuperVersionPtr now = tree_->Current();
  std::uint64_t unflushed_bytes = now->active.table->bytes();
  for (const Memory& memory : now->immutables) unflushed_bytes += memory.table->bytes();
  const bool flush_helps = reserve_.Review(unflushed_bytes, context_.counters.user_bytes_written.load(std::memory_order_relaxed));
  context_.disk_low.store(reserve_.low(), std::memory_order_relaxed);
  context_.merges_leave_bytes.store(reserve_.merges_leave_bytes(), std::memory_order_relaxed);
  if (reserve_.near()) scheduler_->GiveBackRemoved();
  constexpr std::uint64_t kWorthFlushing = 8;      // an eighth of the reserve
  const bool large = now->active.table->bytes() >= reserve_.reserve_bytes() / kWorthFlushing;
  if (!(flush_helps && large) && !FlushIsWanted(flush_helps)) return;
  MutexLock lock(write_mutex_);
  if (active_.table->entries() > 0) TryRotateLocked();
}

/// However little there is to be flushed. A merge waits for room: the deletions that would make it may still be in memory. Or the log does,
/// for records that it need not write once they are in a table, which is often smaller. Or deletions do, for their share of the reserve.
bool EngineImpl::FlushIsWanted(bool reserve_is_used_up) {
  constexpr std::chrono::microseconds kBetweenFlushes{1'000'000};
  // Where the disk is far from full the merge waits for another one's end, and small tables would only be in the way.
  const bool merge_lacks_room = scheduler_->bytes_wanted() != 0 && (reserve_.near() || reserve_.reserve_bytes() == 0);
  if (!merge_lacks_room && !wal_->full() && !reserve_is_used_up) return false;
  const std::chrono::microseconds now = context_.clock.Monotonic();
  if (now < next_wanted_flush_) return false;
  next_wanted_flush_ = now + kBetweenFlushes;
  return true;
}

/// A line when writers begin or cease to be held back, at most one a second.
void EngineImpl::LogPressure(double debt, bool stopped, const SuperVersion& now) {
  constexpr std::chrono::microseconds kBetweenLines{1'000'000};
  const char* const state = stopped ? "stopped" : debt > 0 ? "slowed" : "free";
  const std::chrono::microseconds time = context_.clock.Monotonic();
  if (state == logged_pressure_ || time < pressure_logged_at_ + kBetweenLines) return;
  logged_pressure_ = state;
  pressure_logged_at_ = time;
  const double passes = admission_.limit();      // 0 where a writer has stopped them since
  const std::string limit = passes > 0 ? fmt::format(", at most {:.0f} MB/s", passes / 1e6) : "";
  LogInfo("admission", "writers are {}: debt {:.2f}{}, L0 has {} tables, merges take {} of them away, {} memtables wait for their flush; {} "
          "writers wait, {} pauses so far, {:.3f} s in all, the longest {:.1f} ms", state, debt, limit, now.version->figures(0).sstables,
          scheduler_->l0_in_merges().sstables, now.immutables.size(), admission_.waiting(), admission_.stalls(), static_cast<double>(admission_.stall_micros()) / 1e6,
          static_cast<double>(admission_.longest_stall_micros()) / 1e3);
}

void EngineImpl::AdaptCompactionRate(const Version& version) {
  const std::chrono::microseconds now = context_.clock.Monotonic();
  if (now < next_adaption_) return;
  next_adaption_ = now + CompactionRate::kAdaptInterval;
  CompactionRate::Pressure pressure;
  pressure.merging = context_.counters.compactions_running.load(std::memory_order_relaxed) > 0;
  pressure.foreground_p99 = foreground_.TakeP99();
  pressure.debt = CompactionDebt(version, context_.options);
  scheduler_->rate().Adapt(pressure);
}

std::optional<std::chrono::microseconds> EngineImpl::PressureReview() const {
  constexpr std::chrono::microseconds kUntilSegment{1000};     // the WAL's thread is about to have it ready
  constexpr std::chrono::microseconds kHeldBack{20'000};
  constexpr std::chrono::microseconds kLogFull{100'000};       // until a flush may be wanted again
  const bool merging = context_.counters.compactions_running.load(std::memory_order_relaxed) > 0;
  if (admission_.stopped()) return wal_->RotationReady() ? kHeldBack : kUntilSegment;
  if (admission_.slowed() || refuse_writes_.load(std::memory_order_relaxed)) return kHeldBack;
  if (wal_->full()) return kLogFull;
  if (tree_->immutable_count() > 0) return kHeldBack;             // the active memtable fills while they are flushed
  const std::optional<std::chrono::microseconds> space = reserve_.ReviewIn();
  if (!merging) return space;
  return std::min(space.value_or(CompactionRate::kAdaptInterval), std::chrono::microseconds(CompactionRate::kAdaptInterval));
}

Status EngineImpl::WriteHealth() const {
  if (Status status = UpkeepHealth(); !status.ok()) return status;
  return reserve_.status();
}

/// Why nothing can be written at all.
Status EngineImpl::UpkeepHealth() const {
  if (Status status = wal_->health(); !status.ok()) return status;
  // A failed flush, or a segment that cannot be made, does no harm while there is room in the memtables.
  if (!refuse_writes_.load(std::memory_order_relaxed)) return {};
  if (merges_stuck_.load(std::memory_order_relaxed)) return scheduler_->merge_error();
  if (Status blocked = wal_->rotation_status(); !blocked.ok()) return blocked;
  if (Status status = scheduler_->error(); !status.ok()) return status;
  return scheduler_->merge_error();
}

}  // namespace lsmkv
