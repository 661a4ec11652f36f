// The writer's half of the WAL. What lies in the files, and its invariants, are in log_format.h.
//
//   Append ──► pending (memory) ──► written (the operating system has it) ──► durable (synced)
//              segment_queue.h: Append, WriteOut                              here, on the WAL thread
//
//   appended_sequence >= written_sequence >= durable_sequence, always.
//
// Who does what, by mode:
//   everysec, no   Commit() writes on the calling thread. The WAL thread syncs about once a second if something was
//                  written since (everysec), or only the segments left behind (no).
//   always         Commit() only says up to where durability is wanted. The WAL thread writes and syncs while there is
//                  more; what is appended during one sync is the next sync's group.
//   all            The WAL thread creates the next segment ahead of time, syncs and closes segments left behind, writes
//                  markers, and retries after a full disk. When nothing has been written for kRestAfter, room that was taken
//                  ahead goes back to the disk.
//
// Failures
//   fsync          permanent, whatever the reason: health() and Commit() repeat it as kIoError, nothing more is written
//                  or synced.
//   no space       nothing is lost: what was not written stays pending; the file is cut back to what it held before; the
//                  WAL thread retries every 100 ms and clears the error when it succeeds. Commit() repeats it meanwhile.
//                  What is in tables by then is not written any more (RemoveSegmentsBelow).
//   other writes   permanent, as fsync.
//   Listeners hear of each: OnDurable(durable, error), and OnDurable(durable, Ok) when a full disk is over.
//
// Threads  The WAL thread alone syncs, creates and closes segments, writes markers and calls listeners. No lock is held
//          during any of these, nor is any taken by a thread in mode always that the WAL thread holds over a write.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "engine/wal/aside_file.h"
#include "engine/wal/commit_listeners.h"
#include "engine/wal/durable_note.h"
#include "engine/wal/segment_queue.h"
#include "engine/wal/segment_recycler.h"
#include "fs/file_system.h"
#include "lsmkv/engine.h"

namespace lsmkv {

struct WalStats {
  std::uint64_t bytes_written = 0;      ///< since Open
  std::uint64_t syncs = 0;
  std::uint64_t segments = 0;           ///< on disk, the prepared one included, spares not
  RecyclerStats recycler;
  std::uint64_t pending_bytes = 0;      ///< appended, not yet written
  std::uint64_t buffer_bytes = 0;       ///< memory of the buffers
  bool at_rest = false;                 ///< nothing has been written for kRestAfter, and no room is kept
};

class Wal {
 public:
  /// How often durable_note.h is renewed.
  static constexpr std::chrono::microseconds kNotePeriod = std::chrono::seconds(5);
  static constexpr std::chrono::microseconds kRestAfter = std::chrono::seconds(10);

  /// Creates segment `first_segment` (an id never used before) in `wal_dir` and starts the WAL thread.
  /// @param durable_sequence   the last sequence number recovered (ReplayWal has made it durable); Append() continues it.
  /// @param segment_bytes      how long a segment is likely to become; 0: unknown.
  /// @param asides             what ReplayWal found beside the log.
  /// @param on_sync            told on the WAL thread how long a sync took that somebody waits for, as everybody does in always; may be empty.
  /// @param fs, clock          outlive the WAL.
  static Result<std::unique_ptr<Wal>> Open(FileSystem& fs, const std::string& wal_dir, WalFsync mode,
                                           std::uint64_t first_segment, SequenceNumber durable_sequence, Clock& clock,
                                           std::uint64_t segment_bytes = 0, RecoveredAsides asides = {},
                                           std::function<void(std::chrono::microseconds)> on_sync = {});
  /// As Close(); its error goes to the log.
  ~Wal();
  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;

  // ---- writing
  /// Takes a batch of `count` operations (1 or more) into memory; `first` is the last sequence number plus 1.
  /// @param operations  at most kMaxLogOperationsBytes; copied.
  /// Threads  one caller at a time for Append() and Rotate(), beside any callers of the rest.
  /// Cost     no system call.
  void Append(SequenceNumber first, std::uint32_t count, std::string_view operations);
  /// Writes a large batch's operations beside the log (aside_file.h). Blocks on the disk. Errors: kNoSpace, kIoError; they are this
  /// batch's alone.
  Result<AsideRef> WriteAside(std::string_view operations);
  /// Append() for a batch that WriteAside() has written.
  void AppendAside(SequenceNumber first, std::uint32_t count, const AsideRef& aside) LSMKV_EXCLUDES(aside_mutex_);
  /// Whether Rotate() may be called: the next segment is there.
  bool RotationReady() const { return queue_.prepared(); }
  /// True while the disk refuses a next segment (it is tried again and again).
  bool RotationBlocked() const { return rotation_blocked_.load(std::memory_order_relaxed); }
  /// Why; ok while it is not.
  Status rotation_status() const LSMKV_EXCLUDES(status_mutex_);
  /// Later appends go to the next segment, whose id it returns. No disk work. Needs RotationReady().
  std::uint64_t Rotate();
  std::uint64_t current_segment() const { return queue_.current_id(); }

  /// See Engine::Commit(). Cost: a few atomics when nothing is pending; else in everysec and no one write(2).
  Result<SequenceNumber> Commit() { return Commit(true); }
  /// See Engine::CommitSoon(): in always the WAL thread is not woken.
  Result<SequenceNumber> CommitSoon() { return Commit(false); }
  /// Waits until everything appended before is durable, in any mode. kNoSpace at once while the disk is full.
  Status Sync() LSMKV_EXCLUDES(thread_mutex_);
  /// Writes and syncs everything, leaves a marker, ends the thread. No other call but the looking ones during or after it.
  Status Close() LSMKV_EXCLUDES(thread_mutex_);

  // ---- looking
  SequenceNumber appended_sequence() const { return queue_.appended_sequence(); }
  SequenceNumber written_sequence() const { return queue_.written_sequence(); }
  SequenceNumber durable_sequence() const { return durable_sequence_.load(std::memory_order_acquire); }
  /// Not ok: why batches cannot be made safe at present (kNoSpace passes; anything else stays).
  Status health() const LSMKV_EXCLUDES(status_mutex_);
  /// health().ok(), for hot paths.
  bool healthy() const { return health_code_.load(std::memory_order_acquire) == StatusCode::kOk; }
  /// The log has no room on the disk; that passes.
  bool full() const { return health_code_.load(std::memory_order_acquire) == StatusCode::kNoSpace; }
  WalStats stats() const;
  /// What can be read of the log while it is in use; for CheckLog().
  LogExtent Extent() {
    const SequenceNumber durable = durable_sequence();      // first: what is in the files is never less
    return {durable, queue_.Extent()};
  }
  /// Segments below this are not part of the log any more, and their files may be anything. Said before that begins.
  std::uint64_t given_up_below() const { return given_up_below_.load(std::memory_order_acquire); }

  // ---- arranging
  void SetMode(WalFsync mode);
  /// Calls come from the WAL thread, one at a time, and once RemoveListener() has returned there are no more.
  void AddListener(CommitListener* listener) { listeners_.Add(listener); }
  void RemoveListener(CommitListener* listener) { listeners_.Remove(listener); }
  /// Gives up the segments below `floor`, and the files beside them, but none that this WAL still writes or has to sync, unless the disk is
  /// full: then these are given up as well, written or not, and also when it is found full only later. Some of their files
  /// stay, to be written over (segment_recycler.h). `floor` is durable. Blocks on the disk.
  Status RemoveSegmentsBelow(std::uint64_t floor) LSMKV_EXCLUDES(give_up_mutex_, aside_mutex_);
  /// After writes that durable_note.h told of were given up.
  Status RemoveNote() { return note_.Remove(); }

 private:
  using SegmentPtr = SegmentQueue::SegmentPtr;
  using Micros = std::chrono::microseconds;

  Wal(FileSystem& fs, std::string wal_dir, WalFsync mode, std::unique_ptr<SegmentRecycler> recycler, SegmentPtr first,
      SequenceNumber durable_sequence, Clock& clock, std::uint64_t segment_bytes, RecoveredAsides asides, std::function<void(Micros)> on_sync);

  // Any thread: wal.cpp.
  Result<SequenceNumber> Commit(bool wake);
  Status RemoveAsidesBelow(std::uint64_t floor) LSMKV_EXCLUDES(aside_mutex_);
  void ReportWriteFailure(const Status& status);
  void ReportSyncFailure(const Status& status);
  void SetHealth(Status health) LSMKV_EXCLUDES(status_mutex_);
  void SetRotationStatus(Status status) LSMKV_EXCLUDES(status_mutex_);
  bool broken() const { return !healthy() && !full(); }
  void WantDurable(SequenceNumber sequence);
  void Wake() LSMKV_EXCLUDES(thread_mutex_);

  // The WAL thread: wal_thread.cpp.
  void Run();
  void TakeTurn();
  bool WriteIsDue() const;
  bool SyncOfCurrentIsDue() const;
  void RetryOrWrite();
  void SyncWritten(bool with_current);
  Status SyncLeftBehind(const SegmentPtr& segment);
  void Publish(SequenceNumber durable);
  void PrepareSegment();
  void TellIfHealthChanged();
  void TellHealth();
  bool GiveUpFlushed();
  std::optional<Micros> TimeToNextTurn() const;
  std::optional<Micros> TimeToNote() const;
  std::optional<Micros> TimeToRest() const;
  void NoteDurable();
  void RestIfQuiet();
  bool Sleep(std::optional<Micros> time) LSMKV_EXCLUDES(thread_mutex_);
  Status Finish();
  Status FinishFiles();
  void RemoveEmptySegments();
  void ClearNoSpace() LSMKV_EXCLUDES(status_mutex_);

  FileSystem& fs_;
  const std::string wal_dir_;
  Clock& clock_;
  const std::unique_ptr<SegmentRecycler> recycler_;
  SegmentQueue queue_;
  CommitListeners listeners_;
  const std::function<void(Micros)> on_sync_;

  Mutex give_up_mutex_;                               // one RemoveSegmentsBelow() at a time: the scheduler's, and the WAL thread's on a full disk
  std::atomic<std::uint64_t> flushed_below_{0};       // relaxed: the largest floor that it has been told of
  std::atomic<std::uint64_t> given_up_below_{0};      // release before the first file is touched, acquire by who has read one
  std::atomic<std::uint64_t> next_aside_;             // relaxed: a number
  Mutex aside_mutex_;                                 // a leaf
  std::vector<AsidePlace> asides_ LSMKV_GUARDED_BY(aside_mutex_);

  std::atomic<WalFsync> mode_;
  std::atomic<SequenceNumber> durable_sequence_;      // release by the WAL thread, acquire by the sessions
  std::atomic<bool> rotation_blocked_{false};         // relaxed: news for people who wait
  std::atomic<SequenceNumber> wanted_sequence_;       // somebody waits for this to be durable
  std::atomic<bool> rested_{false};                   // nothing is left to give back until something is written or retired
  std::atomic<bool> gave_back_{false};                // and it has been done
  std::atomic<std::uint64_t> syncs_{0};
  std::atomic<std::uint64_t> segment_count_{0};

  // How the WAL thread is woken. `requested_` is set before every wake and cleared by the thread before it looks round.
  // `idle_` is set by the thread before it looks for a reason not to sleep without end; a writer of everysec stores
  // written_sequence and then loads it. Sequentially consistent, so that one of the two sees the other.
  std::atomic<bool> requested_{false};
  std::atomic<bool> idle_{false};
  Mutex thread_mutex_;
  CondVar thread_wake_;
  CondVar turn_done_;                                 // for Sync()
  bool closing_ LSMKV_GUARDED_BY(thread_mutex_) = false;
  bool finished_ LSMKV_GUARDED_BY(thread_mutex_) = false;
  Status close_status_ LSMKV_GUARDED_BY(thread_mutex_);

  mutable Mutex status_mutex_;
  Status health_ LSMKV_GUARDED_BY(status_mutex_);
  Status rotation_status_ LSMKV_GUARDED_BY(status_mutex_);
  std::atomic<StatusCode> health_code_{StatusCode::kOk};   // release after health_ was set

  DurableNote note_;

  // The WAL thread's own.
  SequenceNumber noted_sequence_;                     // durable, and said so in the note or found at the start
  Micros next_note_;
  std::uint64_t next_segment_;
  bool marker_pending_ = false;
  std::uint64_t seen_bytes_ = 0;                      // written, at the last turn
  Micros quiet_since_;                                // nothing has been written since
  Micros last_sync_;                                  // when the last sync of the current segment began
  Micros retry_at_{};                                 // after a full disk
  std::optional<Micros> prepare_at_;                  // the next segment could not be made: when to try again
  StatusCode told_ = StatusCode::kOk;                 // what the listeners know of health()
  Thread thread_;                                     // last: it uses all of these
};

}  // namespace lsmkv
