#include "engine/wal/wal.h"

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "base/simulated_thread.h"
#include "engine/wal/log_format.h"
#include "engine/wal/segment_file.h"

namespace lsmkv {
namespace {

Result<std::vector<std::uint64_t>> ListSegments(FileSystem& fs, const std::string& wal_dir) {
  const Result<std::vector<std::string>> names = fs.ListDirectory(wal_dir);
  if (!names) return names.error();
  std::vector<std::uint64_t> ids;
  for (const std::string& name : *names) {
    if (const std::optional<std::uint64_t> id = ParseSegmentFileName(name)) ids.push_back(*id);
  }
  return ids;
}

}  // namespace

Result<std::unique_ptr<Wal>> Wal::Open(FileSystem& fs, const std::string& wal_dir, WalFsync mode,
                                       std::uint64_t first_segment, SequenceNumber durable_sequence, Clock& clock,
                                       std::uint64_t segment_bytes, RecoveredAsides asides, std::function<void(Micros)> on_sync) {
  if (Status made = fs.CreateDirectories(wal_dir); !made.ok()) return made;
  auto recycler = std::make_unique<SegmentRecycler>(fs, wal_dir, segment_bytes);
  recycler->AdoptLeftovers();
  Result<SegmentPtr> first = CreateSegment(fs, wal_dir, first_segment, *recycler);
  if (!first) return first.error();
  const Result<std::vector<std::uint64_t>> ids = ListSegments(fs, wal_dir);
  if (!ids) return ids.error();
  std::unique_ptr<Wal> wal(
      new Wal(fs, wal_dir, mode, std::move(recycler), std::move(*first), durable_sequence, clock, segment_bytes, std::move(asides), std::move(on_sync)));
  wal->segment_count_ = ids->size();
  wal->thread_ = Thread("wal", [&wal = *wal] { wal.Run(); });
  return wal;
}

Wal::Wal(FileSystem& fs, std::string wal_dir, WalFsync mode, std::unique_ptr<SegmentRecycler> recycler, SegmentPtr first,
         SequenceNumber durable_sequence, Clock& clock, std::uint64_t segment_bytes, RecoveredAsides asides, std::function<void(Micros)> on_sync)
    : fs_(fs),
      wal_dir_(std::move(wal_dir)),
      clock_(clock),
      recycler_(std::move(recycler)),
      queue_(first, durable_sequence, segment_bytes),
      on_sync_(std::move(on_sync)),
      next_aside_(asides.max_id + 1),
      asides_(std::move(asides.places)),
      mode_(mode),
      durable_sequence_(durable_sequence),
      wanted_sequence_(durable_sequence),
      note_(fs, wal_dir_),
      noted_sequence_(durable_sequence),
      next_note_(clock.Monotonic() + kNotePeriod),
      next_segment_(first->id + 1),
      quiet_since_(clock.Monotonic()),
      last_sync_(clock.Monotonic()) {
  queue_.ExpectSyncs(mode == WalFsync::kAlways);
}

Wal::~Wal() {
  if (Status closed = Close(); !closed.ok()) LogError("wal", "at the end: {}", closed.message());
}

// ---- writing

void Wal::Append(SequenceNumber first, std::uint32_t count, std::string_view operations) {
  LSMKV_ASSERT(count > 0);
  queue_.Append({first, count, operations});
}

Result<AsideRef> Wal::WriteAside(std::string_view operations) {
  return lsmkv::WriteAside(fs_, wal_dir_, next_aside_.fetch_add(1, std::memory_order_relaxed), operations);
}

void Wal::AppendAside(SequenceNumber first, std::uint32_t count, const AsideRef& aside) {
  Append(first, count, EncodeAside(aside, count));
  MutexLock lock(aside_mutex_);
  asides_.push_back({current_segment(), aside.id});
}

std::uint64_t Wal::Rotate() {
  const std::uint64_t id = queue_.Rotate();
  Wake();   // to make the next one, and to sync this one when it is written
  return id;
}

Result<SequenceNumber> Wal::Commit(bool wake) {
  if (!healthy()) {
    Status unwell = health();
    // It may be full for a moment only: who was told to wait before that (CommitSoon) is not forgotten, though this call is refused.
    if (unwell.code() == StatusCode::kNoSpace && mode_.load(std::memory_order_relaxed) == WalFsync::kAlways) WantDurable(appended_sequence());
    if (!unwell.ok()) return unwell;       // a full disk may be over by now
  }
  const SequenceNumber appended = appended_sequence();
  const WalFsync mode = mode_.load(std::memory_order_relaxed);
  if (mode == WalFsync::kAlways) {
    if (appended <= durable_sequence()) return 0;
    if (wake) WantDurable(appended);
    return appended;
  }
  if (appended == written_sequence()) return 0;
  if (Status written = queue_.WriteUpTo(appended); !written.ok()) {
    ReportWriteFailure(written);
    return written;
  }
  SwitchPoint();
  if (mode == WalFsync::kEverySec && idle_.load()) Wake();
  return 0;
}

Status Wal::Sync() {
  if (Status unwell = health(); !unwell.ok()) return unwell;
  const SequenceNumber target = appended_sequence();
  WantDurable(target);
  MutexLock lock(thread_mutex_);
  while (durable_sequence() < target && healthy() && !finished_) turn_done_.Wait(thread_mutex_);
  if (durable_sequence() >= target) return Status::Ok();
  Status unwell = health();
  return unwell.ok() ? Status::ShuttingDown() : unwell;
}

Status Wal::Close() {
  {
    MutexLock lock(thread_mutex_);
    closing_ = true;
    thread_wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.Join();
  MutexLock lock(thread_mutex_);
  return close_status_;
}

void Wal::SetMode(WalFsync mode) {
  mode_.store(mode);
  queue_.ExpectSyncs(mode == WalFsync::kAlways);
  WantDurable(appended_sequence());   // who was told to wait must not wait in vain
}

// ---- health

void Wal::ReportWriteFailure(const Status& status) {
  if (status.code() == StatusCode::kNoSpace) return SetHealth(status);
  SetHealth(Status::IoError(status.message()));
}

/// What was written and not synced may be gone already: no sync that follows could bring it back. So it never passes, not even
/// when room was what it lacked.
void Wal::ReportSyncFailure(const Status& status) { SetHealth(Status::IoError(status.message())); }

Status Wal::rotation_status() const {
  const MutexLock lock(status_mutex_);
  return rotation_status_;
}

void Wal::SetRotationStatus(Status status) {
  const bool blocked = !status.ok();
  const MutexLock lock(status_mutex_);
  rotation_status_ = std::move(status);
  rotation_blocked_.store(blocked, std::memory_order_relaxed);
}

void Wal::SetHealth(Status health) {
  const bool passes = health.code() == StatusCode::kNoSpace;
  {
    MutexLock lock(status_mutex_);
    const bool already_broken = !health_.ok() && health_.code() != StatusCode::kNoSpace;
    if (already_broken || health_.code() == health.code()) return;
    health_ = health;
    health_code_.store(health.code(), std::memory_order_release);
  }
  LogError("wal", "{}; {}", health.message(), passes ? "writing resumes when there is room" : "no more writes are taken");
  Wake();
}

Status Wal::health() const {
  if (healthy()) return Status::Ok();
  MutexLock lock(status_mutex_);
  return health_;
}

WalStats Wal::stats() const {
  WalStats stats;
  stats.bytes_written = queue_.bytes_written();
  stats.syncs = syncs_.load(std::memory_order_relaxed);
  stats.segments = segment_count_.load(std::memory_order_relaxed);
  stats.recycler = recycler_->stats();
  stats.pending_bytes = queue_.pending_bytes();
  stats.buffer_bytes = queue_.buffer_bytes();
  stats.at_rest = rested_.load() && gave_back_.load();
  return stats;
}

// ---- the thread's bell

void Wal::WantDurable(SequenceNumber sequence) {
  SequenceNumber wanted = wanted_sequence_.load(std::memory_order_relaxed);
  while (wanted < sequence && !wanted_sequence_.compare_exchange_weak(wanted, sequence)) {
  }
  Wake();
}

void Wal::Wake() {
  // While a wake is on its way the next ones are free: the thread clears the flag before it looks round.
  SwitchPoint();
  if (requested_.load() || requested_.exchange(true)) return;
  MutexLock lock(thread_mutex_);
  thread_wake_.NotifyOne();
}

// ---- upkeep

Status Wal::RemoveSegmentsBelow(std::uint64_t floor) {
  MutexLock one_at_a_time(give_up_mutex_);
  flushed_below_.store(std::max(floor, flushed_below_.load(std::memory_order_relaxed)), std::memory_order_relaxed);
  if (full()) {
    // What is in tables needs no room in the log, which may be all the room that the rest waits for.
    given_up_below_.store(std::max(std::min(floor, queue_.current_id()), given_up_below()), std::memory_order_release);
    if (queue_.DropBelow(floor)) Wake();
  }
  const std::uint64_t in_use = queue_.OldestId();
  Result<std::vector<std::uint64_t>> ids = ListSegments(fs_, wal_dir_);
  if (!ids) return ids.error();
  bool some = false;
  const std::uint64_t given_up = std::min(floor, in_use);
  given_up_below_.store(std::max(given_up, given_up_below()), std::memory_order_release);
  for (const std::uint64_t id : *ids) {
    if (id >= given_up) continue;
    some = true;
    if (Status retired = recycler_->Retire(id); !retired.ok()) return retired;
    segment_count_.fetch_sub(1, std::memory_order_relaxed);
    LogDebug("wal", "{} is given up: its writes are in tables", SegmentFileName(id));
  }
  if (some && rested_.exchange(false)) Wake();
  return RemoveAsidesBelow(given_up);
}

Status Wal::RemoveAsidesBelow(std::uint64_t floor) {
  std::vector<AsidePlace> obsolete;
  {
    MutexLock lock(aside_mutex_);
    const auto rest = std::ranges::partition(asides_, [floor](const AsidePlace& place) { return place.segment >= floor; });
    obsolete.assign(rest.begin(), rest.end());
    asides_.erase(rest.begin(), rest.end());
  }
  Status failed;
  for (const AsidePlace& place : obsolete) {
    Status removed = fs_.RemoveFile(wal_dir_ + "/" + AsideFileName(place.id));
    if (removed.ok() || removed.code() == StatusCode::kNotFound) continue;
    failed = std::move(removed);
    MutexLock lock(aside_mutex_);
    asides_.push_back(place);                 // the next time round
  }
  return failed;
}

}  // namespace lsmkv
