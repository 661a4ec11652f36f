#include "engine/wal/segment_queue.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace lsmkv {
SegmentQueue::SegmentQueue(SegmentPtr first, SequenceNumber last_sequence, std::uint64_t segment_bytes)
    : appended_sequence_(last_sequence),
      written_sequence_(last_sequence),
      current_id_(first->id),
      segment_bytes_(segment_bytes),
      kept_bytes_(segment_bytes == 0 ? kMostKeptBytes : std::clamp<std::size_t>(segment_bytes / 16, kLeastKeptBytes, kMostKeptBytes)) {
  first->last_sequence = last_sequence;
  segments_.push_back(std::move(first));
}

void SegmentQueue::Append(const LogRecord& record) {
  LSMKV_ASSERT(record.operations.size() <= kMaxLogOperationsBytes);
  MutexLock lock(buffer_mutex_);
  Segment& segment = *segments_.back();
  if (segment.appended_bytes == 0) {
    const std::string head = LogHeadOperations();
    EncodeLogRecord(&segment.pending, segment.id, 0, {0, 0, head});
    segment.appended_bytes = kLogHeadBytes;
  }
  EncodeLogRecord(&segment.pending, segment.id, segment.appended_bytes, record);
  segment.appended_bytes += record.size_bytes();
  if (record.IsMarker()) return;
  LSMKV_ASSERT(record.first_sequence == segment.last_sequence + 1);   // log_format.h, invariant 1
  segment.last_sequence = record.last_sequence();
  appended_sequence_.store(segment.last_sequence, std::memory_order_release);
}

void SegmentQueue::Prepare(SegmentPtr empty) {
  MutexLock lock(buffer_mutex_);
  LSMKV_ASSERT(prepared_ == nullptr);
  prepared_ = std::move(empty);
  prepared_ready_.store(true, std::memory_order_release);
}

std::uint64_t SegmentQueue::Rotate() {
  MutexLock lock(buffer_mutex_);
  LSMKV_ASSERT(prepared_ != nullptr);
  prepared_->last_sequence = segments_.back()->last_sequence;
  current_id_.store(prepared_->id, std::memory_order_release);
  segments_.push_back(std::move(prepared_));
  prepared_ready_.store(false, std::memory_order_release);
  return segments_.back()->id;
}

// ---- writing

Status SegmentQueue::WriteOut() {
  const SequenceNumber target = appended_sequence();
  MutexLock lock(io_mutex_);
  return WritePending(target);
}

Status SegmentQueue::WriteUpTo(SequenceNumber sequence) {
  MutexLock lock(io_mutex_);
  if (written_sequence() >= sequence) return Status::Ok();
  return WritePending(sequence);
}

/// Ends once `target` and all segments before the current one are written: others may go on appending for ever.
Status SegmentQueue::WritePending(SequenceNumber target) {
  while (const SegmentPtr segment = Take()) {
    if (Status written = WriteTaken(*segment); !written.ok()) return written;
    if (written_sequence() >= target && segment->id == current_id()) break;
  }
  return Status::Ok();
}

/// Fills taken_ unless it still holds something. Returns the segment it belongs to; null: nothing is pending.
SegmentQueue::SegmentPtr SegmentQueue::Take() {
  MutexLock lock(buffer_mutex_);
  while (true) {
    SegmentPtr& first = segments_.front();
    if (taken_.empty()) {
      taken_.swap(first->pending);
      taken_sequence_ = first->last_sequence;
      taken_bytes_.store(taken_.capacity(), std::memory_order_relaxed);
    }
    if (!taken_.empty()) return first;
    if (segments_.size() == 1) return nullptr;
    left_behind_.push_back(std::move(first));
    segments_.pop_front();
    file_bytes_ = 0;
  }
}

Status SegmentQueue::WriteTaken(Segment& segment) {
  if (cut_back_due_) {
    if (Status cut = CutBack(segment); !cut.ok()) return cut;
  }
  if (Status appended = segment.file->Append(taken_); !appended.ok()) {
    segment.may_reserve = false;           // the disk is full, most likely
    cut_back_due_ = true;
    IgnoreError(CutBack(segment), "it is done before the next write then");
    return appended;
  }
  file_bytes_ += taken_.size();
  bytes_written_.fetch_add(taken_.size(), std::memory_order_relaxed);
  const bool has_entries = taken_sequence_ > written_sequence();     // or nothing but a marker, however large the writes around it are
  written_sequence_.store(taken_sequence_);
  if (has_entries && expects_syncs_.load(std::memory_order_relaxed)) ZeroAhead(segment, taken_.size());
  taken_.clear();
  if (taken_.capacity() > kept_bytes_) std::string().swap(taken_);
  taken_bytes_.store(taken_.capacity(), std::memory_order_relaxed);
  return Status::Ok();
}

/// To what it held before the write that failed, whole records of that one or not: nobody has been told that they are written, and the
/// room may be what a flush lacks.
Status SegmentQueue::CutBack(Segment& segment) {
  if (Status cut = segment.file->Truncate(file_bytes_); !cut.ok()) return cut;
  cut_back_due_ = false;
  return Status::Ok();
}

/// The zeros are written twice, so this is for writes that are small beside what a sync costs. With a write of 150 bytes and a sync each,
/// over an ext4 of 0.2 ms a sync, 28 % more a second; with 15 KB 14 % more; with 30 KB 3 % less.
void SegmentQueue::ZeroAhead(Segment& segment, std::size_t written) {
  constexpr std::size_t kSmallWrite = 16 << 10;
  constexpr std::uint64_t kAhead = 256 << 10;
  if (!segment.may_reserve || written > kSmallWrite) return;
  const std::uint64_t end = segment.file->size();
  if (end + kAhead / 4 <= segment.zeroed_end) return;
  segment.file->ZeroAhead(kAhead);
  segment.zeroed_end = end + kAhead;
}

void SegmentQueue::ReserveAhead() {
  constexpr std::uint64_t kLeast = 4 << 20;
  SegmentPtr segment;
  std::uint64_t end = 0;
  {
    MutexLock io_lock(io_mutex_);
    segment = BeingWritten();
    const std::uint64_t written = segment->file->size();
    end = std::min(segment_bytes_, 2 * written + kLeast);
    if (!segment->may_reserve || written + kLeast / 2 < segment->reserved_end || end <= segment->reserved_end) return;
    segment->reserved_end = end;
  }
  segment->file->Preallocate(end);     // may wait for the file system's journal: not under a lock that writers take
}

void SegmentQueue::GiveBackRoom() {
  MutexLock io_lock(io_mutex_);              // so nothing is written to either of them meanwhile
  std::vector<SegmentPtr> segments;
  {
    MutexLock lock(buffer_mutex_);
    segments = {segments_.front()};
    if (prepared_ != nullptr) segments.push_back(prepared_);
  }
  for (const SegmentPtr& segment : segments) {
    IgnoreError(segment->file->Truncate(segment->file->size()), "the room stays taken then");
    segment->reserved_end = segment->zeroed_end = 0;
  }
}

SegmentQueue::SegmentPtr SegmentQueue::BeingWritten() {
  MutexLock lock(buffer_mutex_);
  return segments_.front();
}

// ---- what is where

SegmentQueue::Written SegmentQueue::WhatIsWritten() {
  MutexLock io_lock(io_mutex_);   // between two writes, so that the figure is about the files
  MutexLock lock(buffer_mutex_);
  Written written;
  written.left_behind.assign(left_behind_.begin(), left_behind_.end());
  written.current = segments_.front();
  written.sequence = written_sequence_.load();
  return written;
}

std::vector<LogExtent::Part> SegmentQueue::Extent() {
  MutexLock io_lock(io_mutex_);   // between two writes: what a failed one has left is not counted
  MutexLock lock(buffer_mutex_);
  std::vector<LogExtent::Part> parts;
  for (const SegmentPtr& segment : left_behind_) parts.push_back({segment->id, segment->appended_bytes});   // wholly written
  parts.push_back({segments_.front()->id, file_bytes_});
  return parts;
}

void SegmentQueue::Forget(const SegmentPtr& segment) {
  MutexLock lock(buffer_mutex_);
  std::erase(left_behind_, segment);      // it may have been dropped meanwhile
}

bool SegmentQueue::DropBelow(std::uint64_t floor) {
  std::vector<SegmentPtr> dropped;          // goes last: files are closed without the locks that writers take
  MutexLock io_lock(io_mutex_);
  MutexLock lock(buffer_mutex_);
  const auto drop_front = [&dropped](auto& segments) {
    dropped.push_back(std::move(segments.front()));
    segments.pop_front();
  };
  while (!left_behind_.empty() && left_behind_.front()->id < floor) drop_front(left_behind_);
  while (segments_.size() > 1 && segments_.front()->id < floor) {
    written_sequence_.store(segments_.front()->last_sequence);
    drop_front(segments_);
    taken_.clear();                         // it was the first one's, as are these
    file_bytes_ = 0;
    cut_back_due_ = false;
  }
  return !dropped.empty();
}

std::vector<SegmentQueue::SegmentPtr> SegmentQueue::TakeEmpty() {
  MutexLock lock(buffer_mutex_);
  std::vector<SegmentPtr> empty;
  if (prepared_ != nullptr) empty.push_back(std::move(prepared_));
  prepared_ready_.store(false, std::memory_order_release);
  if (segments_.size() == 1 && segments_.front()->appended_bytes == 0) empty.push_back(segments_.front());
  return empty;
}

std::uint64_t SegmentQueue::pending_bytes() const {
  MutexLock lock(buffer_mutex_);
  std::uint64_t bytes = 0;
  for (const SegmentPtr& segment : segments_) bytes += segment->pending.size();
  return bytes;
}

std::uint64_t SegmentQueue::buffer_bytes() const {
  MutexLock lock(buffer_mutex_);
  std::uint64_t bytes = taken_bytes_.load(std::memory_order_relaxed);
  for (const SegmentPtr& segment : segments_) bytes += segment->pending.capacity();
  return bytes;
}

bool SegmentQueue::HasRotated() const {
  MutexLock lock(buffer_mutex_);
  return segments_.size() > 1;
}

bool SegmentQueue::HasLeftBehind() const {
  MutexLock lock(buffer_mutex_);
  return !left_behind_.empty();
}

std::uint64_t SegmentQueue::OldestId() const {
  MutexLock lock(buffer_mutex_);
  return OldestIdLocked();
}

std::uint64_t SegmentQueue::OldestIdLocked() const {
  return left_behind_.empty() ? segments_.front()->id : left_behind_.front()->id;
}

}  // namespace lsmkv
