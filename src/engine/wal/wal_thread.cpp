// What the WAL thread does, turn by turn. A turn looks at what is due (WriteIsDue, SyncOfCurrentIsDue: no side effects), does it,
// and then sleeps until the time it knows of or until somebody rings (Wake).
#include <algorithm>

#include "base/log.h"
#include "base/simulated_thread.h"
#include "engine/wal/segment_file.h"
#include "engine/wal/wal.h"

namespace lsmkv {
namespace {

constexpr std::chrono::microseconds kSyncPeriod = std::chrono::seconds(1);
constexpr std::chrono::microseconds kRetryPeriod = std::chrono::milliseconds(100);

std::optional<std::chrono::microseconds> SoonerOf(std::optional<std::chrono::microseconds> one, std::optional<std::chrono::microseconds> other) {
  if (!one || !other) return one ? one : other;
  return std::min(*one, *other);
}

}  // namespace

void Wal::Run() {
  while (true) {
    requested_.store(false);
    SwitchPoint();
    TakeTurn();
    idle_.store(true);
    SwitchPoint();
    const std::optional<Micros> time = TimeToNextTurn();
    if (time) idle_.store(false);
    const std::optional<Micros> time_for_upkeep = SoonerOf(TimeToNote(), TimeToRest());
    if (!Sleep(SoonerOf(time, time_for_upkeep))) break;   // with upkeep alone to come it is idle: who writes rings
    idle_.store(false);
  }
  Status finished = Finish();
  MutexLock lock(thread_mutex_);
  close_status_ = std::move(finished);
  finished_ = true;
  turn_done_.NotifyAll();
}

void Wal::TakeTurn() {
  if (WriteIsDue()) RetryOrWrite();
  const bool with_current = SyncOfCurrentIsDue();
  if (with_current || (queue_.HasLeftBehind() && !broken())) SyncWritten(with_current);
  if (!queue_.prepared() && (!prepare_at_ || clock_.Monotonic() >= *prepare_at_)) PrepareSegment();
  TellIfHealthChanged();
  if (TimeToNote() == Micros(0)) NoteDurable();
  RestIfQuiet();
  if (!broken() && !rested_.load()) queue_.ReserveAhead();
}

/// Returns false when the WAL is to be closed.
bool Wal::Sleep(std::optional<Micros> time) {
  MutexLock lock(thread_mutex_);
  turn_done_.NotifyAll();
  const bool tired = !time || time->count() > 0;
  if (tired && !requested_.load() && !closing_) {
    // One wait without a loop: a turn too many does no harm.
    if (time) {
      thread_wake_.WaitFor(thread_mutex_, *time);
    } else {
      thread_wake_.Wait(thread_mutex_);
    }
  }
  return !closing_;
}

// ---- what is due

bool Wal::WriteIsDue() const {
  if (broken()) return false;
  if (full()) return clock_.Monotonic() >= retry_at_;
  return wanted_sequence_.load() > written_sequence() || marker_pending_ || queue_.HasRotated();
}

bool Wal::SyncOfCurrentIsDue() const {
  if (broken() || written_sequence() <= durable_sequence()) return false;
  if (wanted_sequence_.load() > durable_sequence()) return true;
  return mode_.load() == WalFsync::kEverySec && clock_.Monotonic() >= last_sync_ + kSyncPeriod;
}

/// nullopt: not before somebody rings.
std::optional<Wal::Micros> Wal::TimeToNextTurn() const {
  if (WriteIsDue() || SyncOfCurrentIsDue()) return Micros(0);
  const Micros now = clock_.Monotonic();
  std::optional<Micros> next;
  const auto at = [&](Micros time) { next = next ? std::min(*next, time) : time; };
  if (full()) at(retry_at_);
  if (!queue_.prepared()) at(prepare_at_.value_or(now));
  const bool syncs_by_the_clock = mode_.load() == WalFsync::kEverySec && !broken();
  if (syncs_by_the_clock && written_sequence() > durable_sequence()) at(last_sync_ + kSyncPeriod);
  if (!next) return std::nullopt;
  return std::max(*next - now, Micros(0));
}

/// nullopt: there is nothing to note that is not.
std::optional<Wal::Micros> Wal::TimeToNote() const {
  if (durable_sequence() <= noted_sequence_) return std::nullopt;
  return std::max(next_note_ - clock_.Monotonic(), Micros(0));
}

/// nullopt: there is nothing to give back.
std::optional<Wal::Micros> Wal::TimeToRest() const {
  if (rested_.load() || broken()) return std::nullopt;
  return std::max(quiet_since_ + kRestAfter - clock_.Monotonic(), Micros(0));
}

// ---- writing and syncing

void Wal::RetryOrWrite() {
  const bool was_full = full();
  if (was_full) recycler_->RemoveAll();
  if (Status written = queue_.WriteOut(); !written.ok()) {
    ReportWriteFailure(written);
    retry_at_ = clock_.Monotonic() + (GiveUpFlushed() ? Micros(0) : kRetryPeriod);
    return;
  }
  marker_pending_ = false;
  if (was_full) ClearNoSpace();
}

/// A flush whose end came before the log was found full has not made it give anything up.
bool Wal::GiveUpFlushed() {
  const std::uint64_t floor = flushed_below_.load(std::memory_order_relaxed);
  if (!full() || queue_.OldestId() >= floor) return false;
  IgnoreError(RemoveSegmentsBelow(floor), "the next flush tries again");
  return queue_.OldestId() >= floor;
}

void Wal::ClearNoSpace() {
  {
    MutexLock lock(status_mutex_);
    if (health_.code() != StatusCode::kNoSpace) return;
    health_ = Status::Ok();
    health_code_.store(StatusCode::kOk, std::memory_order_release);
  }
  LogInfo("wal", "there is room again; writing resumes");
}

/// Syncs the segments left behind and, if wanted, what is written of the one after them.
void Wal::SyncWritten(bool with_current) {
  if (with_current) last_sync_ = clock_.Monotonic();
  const SegmentQueue::Written written = queue_.WhatIsWritten();
  SequenceNumber durable = durable_sequence();
  for (const SegmentPtr& segment : written.left_behind) {
    if (Status synced = SyncLeftBehind(segment); !synced.ok()) return ReportSyncFailure(synced);
    durable = std::max(durable, segment->last_sequence);   // nobody appends to it any more
  }
  if (with_current && written.sequence > durable) {
    if (Status synced = written.current->file->Sync(); !synced.ok()) return ReportSyncFailure(synced);
    syncs_.fetch_add(1, std::memory_order_relaxed);
    durable = written.sequence;
  }
  if (with_current) {
    const Micros took = clock_.Monotonic() - last_sync_;
    if (mode_.load() == WalFsync::kAlways && on_sync_) on_sync_(took);
    listeners_.TellSynced(took);
  }
  Publish(durable);
}

Status Wal::SyncLeftBehind(const SegmentPtr& segment) {
  if (Status synced = segment->file->Sync(); !synced.ok()) return synced;
  syncs_.fetch_add(1, std::memory_order_relaxed);
  IgnoreError(segment->file->Close(), "its bytes are safe");
  queue_.Forget(segment);
  return Status::Ok();
}

void Wal::Publish(SequenceNumber durable) {
  if (durable <= durable_sequence()) return;
  durable_sequence_.store(durable, std::memory_order_release);
  queue_.Append({durable, 0, {}});   // the marker; log_format.h, invariant 2
  marker_pending_ = true;
  TellHealth();      // a disk may be full, and what was given up for it durable in tables
}

// ---- the rest

void Wal::PrepareSegment() {
  Result<SegmentPtr> segment = CreateSegment(fs_, wal_dir_, next_segment_, *recycler_);
  if (!segment) {
    if (!prepare_at_) LogWarning("wal", "the next segment: {}; trying again", segment.error().message());
    prepare_at_ = clock_.Monotonic() + kRetryPeriod;
    SetRotationStatus(Status::IoError("no new WAL segment can be created: " + segment.error().message()));
    return;
  }
  if (RotationBlocked()) SetRotationStatus({});
  prepare_at_.reset();
  ++next_segment_;
  segment_count_.fetch_add(1, std::memory_order_relaxed);
  queue_.Prepare(std::move(*segment));
}

/// A note that cannot be written costs nothing but itself.
void Wal::NoteDurable() {
  const SequenceNumber durable = durable_sequence();
  if (Status noted = note_.Write(durable); !noted.ok()) {
    LogWarning("wal", "the note of what is durable: {}", noted.message());
  } else {
    noted_sequence_ = durable;
  }
  next_note_ = clock_.Monotonic() + kNotePeriod;
}

void Wal::RestIfQuiet() {
  if (queue_.bytes_written() != seen_bytes_) {
    seen_bytes_ = queue_.bytes_written();
    quiet_since_ = clock_.Monotonic();
    rested_.store(false);
  } else if (TimeToRest() == Micros(0)) {
    gave_back_.store(false);
    rested_.store(true);          // first: what is retired from now on wants another rest
    recycler_->RemoveAll();
    queue_.GiveBackRoom();
    gave_back_.store(true);
  }
}

void Wal::TellIfHealthChanged() {
  if (health().code() != told_) TellHealth();
}

void Wal::TellHealth() {
  const Status now = health();
  told_ = now.code();
  listeners_.Tell(durable_sequence(), now);
}

// ---- the end

Status Wal::Finish() {
  Status finished = FinishFiles();
  TellIfHealthChanged();
  RemoveEmptySegments();
  recycler_->RemoveAll();
  return finished;
}

Status Wal::FinishFiles() {
  if (broken()) return health();
  const Status all = queue_.WriteOut();
  if (!all.ok() && all.code() != StatusCode::kNoSpace) return all;
  SyncWritten(true);             // where there is no room for the rest, too: what is written has been answered
  if (broken()) return health();
  if (!all.ok()) return all;
  if (Status written = queue_.WriteOut(); !written.ok()) return written;   // the marker
  const SegmentPtr last = queue_.WhatIsWritten().current;
  if (Status synced = last->file->Sync(); !synced.ok()) return synced;
  if (durable_sequence() > noted_sequence_) NoteDurable();
  return last->file->Close();
}

/// A start and stop without a write leaves no file behind.
void Wal::RemoveEmptySegments() {
  for (const SegmentPtr& segment : queue_.TakeEmpty()) {
    IgnoreError(segment->file->Close(), "it is empty");
    IgnoreError(fs_.RemoveFile(SegmentPath(wal_dir_, segment->id)), "recovery reads over it");
    segment_count_.fetch_sub(1, std::memory_order_relaxed);
  }
}

}  // namespace lsmkv
