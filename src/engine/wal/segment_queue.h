// The way of a record from memory into its segment's file. Knows order and bytes; when to write and what to do about a
// failure is the WAL's to decide (wal.h).
//
//   Append ─► pending of the last segment ─► taken (whole records, oldest segment) ─► its file
//             buffer_mutex_, a leaf          io_mutex_                                one write(2) for all that is pending
//
//   prepared ──Rotate()──► last ──...──► first (being written) ──WriteOut(): all written──► left behind ──Forget()──► gone
//                                     └────────────────────────── DropBelow(): needed no more ─────────────────────────────┘
//
// Invariants
//   1. Records reach the files in the order they were appended; a segment's file gets nothing before the segments before it
//      are wholly written.
//   2. A record's offset is fixed when it is appended (its checksum depends on it). So after a write that failed half-way
//      the file is cut back to what it held before, before anything else is written.
// Memory   two buffers change places, so that appending goes on during a write; each keeps a sixteenth of what a segment is
//          likely to hold, but no less than kLeastKeptBytes and no more than kMostKeptBytes.
// Threads  Append, AppendMarker and Rotate: any, but see wal.h for who may; the rest any. A file may be synced beside it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "engine/wal/log_check.h"
#include "engine/wal/log_format.h"
#include "fs/file_system.h"

namespace lsmkv {

class SegmentQueue {
 public:
  struct Segment {
    std::uint64_t id = 0;
    std::unique_ptr<WritableFile> file;   // appended to by whoever holds io_mutex_; synced beside that, and room taken for it
    bool may_reserve = false;             // the disk had room to spare, and no write has failed; this and the next: under io_mutex_
    std::uint64_t zeroed_end = 0;         // as far as zeros were asked for ahead
    std::uint64_t reserved_end = 0;       // as far as room was asked for ahead
    std::string pending;                  // this and the rest: under buffer_mutex_
    std::uint64_t appended_bytes = 0;     // the offset of the next record
    SequenceNumber last_sequence = 0;     // of the last record appended, here or before
  };
  using SegmentPtr = std::shared_ptr<Segment>;
  /// What is in the operating system's hands, and how far it goes.
  struct Written {
    std::vector<SegmentPtr> left_behind;  // oldest first
    SegmentPtr current;
    SequenceNumber sequence = 0;
  };

  /// @param segment_bytes  how long a segment is likely to become; 0: unknown.
  SegmentQueue(SegmentPtr first, SequenceNumber last_sequence, std::uint64_t segment_bytes = 0);

  void Append(const LogRecord& record) LSMKV_EXCLUDES(buffer_mutex_);
  /// @param empty  a new segment, nothing appended.
  void Prepare(SegmentPtr empty) LSMKV_EXCLUDES(buffer_mutex_);
  bool prepared() const { return prepared_ready_.load(std::memory_order_acquire); }
  /// Needs prepared(). Returns the id of the segment that is appended to from now on.
  std::uint64_t Rotate() LSMKV_EXCLUDES(buffer_mutex_);

  /// Whether every write is synced. Then a small one is written over zeros, or an old segment's bytes, which halves what a sync of it
  /// has to do.
  void ExpectSyncs(bool expect) { expects_syncs_.store(expect, std::memory_order_relaxed); }

  /// Writes everything pending. Errors: what was not written stays pending, and the next call tries again.
  Status WriteOut() LSMKV_EXCLUDES(io_mutex_, buffer_mutex_);
  /// The same unless somebody else has written as far as `sequence` meanwhile.
  Status WriteUpTo(SequenceNumber sequence) LSMKV_EXCLUDES(io_mutex_, buffer_mutex_);
  Written WhatIsWritten() LSMKV_EXCLUDES(io_mutex_, buffer_mutex_);
  /// The files still open here that hold something, oldest first, and how many bytes of whole records lie in each. Waits for a write under way.
  std::vector<LogExtent::Part> Extent() LSMKV_EXCLUDES(io_mutex_, buffer_mutex_);
  /// Takes room on the disk for what the segment being written will hold soon: a little at first, then as much as it holds already, so
  /// that the log of little data takes little. To be called now and then; where it is not called in time, writes take their own.
  /// Threads  the one that closes segments.
  void ReserveAhead() LSMKV_EXCLUDES(io_mutex_, buffer_mutex_);
  /// Of the segment being written and the prepared one: the room behind what is written. Others take it when they need it.
  void GiveBackRoom() LSMKV_EXCLUDES(io_mutex_, buffer_mutex_);
  /// What the segments below `floor` hold is durable elsewhere: they need not be written or synced, and are gone from here. Not the
  /// one that is appended to. Returns whether there were any.
  bool DropBelow(std::uint64_t floor) LSMKV_EXCLUDES(io_mutex_, buffer_mutex_);
  /// A segment left behind is synced and closed.
  void Forget(const SegmentPtr& segment) LSMKV_EXCLUDES(buffer_mutex_);
  /// Segments that hold no record at all, the prepared one and maybe the current one; for the end.
  std::vector<SegmentPtr> TakeEmpty() LSMKV_EXCLUDES(buffer_mutex_);

  SequenceNumber appended_sequence() const { return appended_sequence_.load(std::memory_order_acquire); }
  SequenceNumber written_sequence() const { return written_sequence_.load(); }
  std::uint64_t current_id() const { return current_id_.load(std::memory_order_acquire); }
  std::uint64_t bytes_written() const { return bytes_written_.load(std::memory_order_relaxed); }
  std::uint64_t pending_bytes() const LSMKV_EXCLUDES(buffer_mutex_);
  /// Memory of both buffers.
  std::uint64_t buffer_bytes() const LSMKV_EXCLUDES(buffer_mutex_);
  /// A segment was rotated away from and waits to be written out or to be synced.
  bool HasRotated() const LSMKV_EXCLUDES(buffer_mutex_);
  bool HasLeftBehind() const LSMKV_EXCLUDES(buffer_mutex_);
  /// The oldest segment whose file is still in use here.
  std::uint64_t OldestId() const LSMKV_EXCLUDES(buffer_mutex_);

 private:
  Status WritePending(SequenceNumber target) LSMKV_REQUIRES(io_mutex_) LSMKV_EXCLUDES(buffer_mutex_);
  std::uint64_t OldestIdLocked() const LSMKV_REQUIRES(buffer_mutex_);
  SegmentPtr BeingWritten() LSMKV_EXCLUDES(buffer_mutex_);
  SegmentPtr Take() LSMKV_REQUIRES(io_mutex_) LSMKV_EXCLUDES(buffer_mutex_);
  Status WriteTaken(Segment& segment) LSMKV_REQUIRES(io_mutex_);
  Status CutBack(Segment& segment) LSMKV_REQUIRES(io_mutex_);
  void ZeroAhead(Segment& segment, std::size_t written) LSMKV_REQUIRES(io_mutex_);

  std::atomic<SequenceNumber> appended_sequence_;   // release by Append
  std::atomic<SequenceNumber> written_sequence_;    // sequentially consistent: see Wal::idle_
  std::atomic<std::uint64_t> current_id_;
  std::atomic<bool> prepared_ready_{false};
  std::atomic<std::uint64_t> bytes_written_{0};
  std::atomic<std::uint64_t> taken_bytes_{0};       // relaxed: taken_'s memory, for people

  std::atomic<bool> expects_syncs_{false};

  const std::uint64_t segment_bytes_;
  static constexpr std::size_t kLeastKeptBytes = 256 << 10;
  static constexpr std::size_t kMostKeptBytes = 4 << 20;
  const std::size_t kept_bytes_;

  Mutex io_mutex_;                                  // before buffer_mutex_
  std::string taken_ LSMKV_GUARDED_BY(io_mutex_);
  SequenceNumber taken_sequence_ LSMKV_GUARDED_BY(io_mutex_) = 0;   // the last in taken_
  std::uint64_t file_bytes_ LSMKV_GUARDED_BY(io_mutex_) = 0;        // of whole records in the first segment's file
  bool cut_back_due_ LSMKV_GUARDED_BY(io_mutex_) = false;           // the file may have more than that

  mutable Mutex buffer_mutex_;                      // a leaf
  std::deque<SegmentPtr> segments_ LSMKV_GUARDED_BY(buffer_mutex_);      // first: being written; last: appended to
  std::deque<SegmentPtr> left_behind_ LSMKV_GUARDED_BY(buffer_mutex_);
  SegmentPtr prepared_ LSMKV_GUARDED_BY(buffer_mutex_);
};

}  // namespace lsmkv
