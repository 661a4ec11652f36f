// The disk reserve: the last bytes of the disk are kept for what makes room again.
//
//   roomy  writes pass                                        free < 17/16 reserve + unflushed   ──► low
//   low    only writes that may use the reserve pass:         free >= 5/4 reserve + unflushed    ──► roomy
//          deletions, deadlines, flushed databases
//
// `unflushed` is what lies in memtables: their flush needs about as much again, before the log's part of it goes. So
// flushes, and merges as far as they fit, find room while writers are refused, and what they free lets writers go on.
// Of a disk that is small, a twentieth is kept at most. Where a write fills the disk all the same, between two looks, the WAL
// refuses everything until there is room (wal.h); nothing depends on the looks being in time.
//
// A quarter of the reserve is for flushes and manifests alone, without which nothing gives room back: merges are tried if they fit, in
// steps if they do not (compaction/merge_room.h), or if what they are expected to write fits, and give up when they come to that quarter.
// Another quarter is for merges: deletions that are quicker than the flushes are refused at the half until these have caught up. They
// would take it all otherwise, and wait for ever for the merges that it is lacking to.
//
// While a merge waits for room the active memtable is flushed early, however small it is: the deletions that the merge lacks may be in it. And
// while the log finds no room: what is in tables it need not write.
//
// The free space is looked at by the scheduler, in its rounds: once a second, more often the less is left and while somebody writes.
// Large batches, and near the end all of them, do not wait for the next look: they are taken off what the last one found (Take).
//
// How much is to be kept may change at any time: the next round looks at the disk again, whenever the last look was.
//
// Threads  Review, ReviewIn: the scheduler's. The rest: any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "fs/file_system.h"

namespace lsmkv {

class DiskReserve {
 public:
  /// Batches from this size on are always to be asked for with Take().
  static constexpr std::uint64_t kLargeBatchBytes = 64 << 10;

  /// @param wanted_bytes  0: nothing is kept and nothing is looked at.
  DiskReserve(FileSystem& fs, std::string dir, std::uint64_t wanted_bytes, Clock& clock)
      : fs_(fs), dir_(std::move(dir)), wanted_bytes_(wanted_bytes), clock_(clock) {}

  /// The next Review() looks at the disk and goes by this.
  void SetWanted(std::uint64_t bytes) {
    wanted_bytes_.store(bytes, std::memory_order_relaxed);
    changed_.store(true, std::memory_order_release);
  }
  /// Looks at the disk if it is time to.
  /// @param unflushed_bytes  of all memtables.
  /// @param written_bytes    by users so far; tells whether somebody writes.
  /// True: flushing what is in memory may help: it has just become low, or those who may use the reserve have come to its end.
  bool Review(std::uint64_t unflushed_bytes, std::uint64_t written_bytes) LSMKV_EXCLUDES(mutex_);
  /// How soon Review() wants to be called again; nullopt: never.
  std::optional<std::chrono::microseconds> ReviewIn() const;

  /// Low, or not far from it: every write is to be asked for with Take().
  bool near() const { return low() || headroom_bytes_.load(std::memory_order_relaxed) < kNearReserves * reserve_bytes(); }
  bool low() const { return low_.load(std::memory_order_relaxed); }
  /// What merges must leave to flushes and manifests: a quarter of the reserve.
  std::uint64_t merges_leave_bytes() const { return reserve_bytes() / 4; }
  /// kNoSpace with figures while low.
  Status status() const LSMKV_EXCLUDES(mutex_);
  /// Whether a batch fits into what the last look found, and nobody has taken since. Errors: kNoSpace.
  Status Take(std::uint64_t batch_bytes);
  /// The same while low, for a batch that may use the reserve. It must be small beside it: one that does not fit would block all
  /// behind it.
  Status UseReserve(std::uint64_t batch_bytes);

  std::uint64_t reserve_bytes() const { return reserve_bytes_.load(std::memory_order_relaxed); }
  /// At the last look; 0: none yet, or nothing is kept.
  std::uint64_t free_bytes() const { return free_bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::uint64_t kNearReserves = 4;
  static constexpr std::uint64_t kUnbounded = std::numeric_limits<std::uint64_t>::max();

  /// Log and table, or blob file, each take a batch once before the log's part of it goes.
  static bool TakeOff(std::atomic<std::uint64_t>& left, std::uint64_t batch_bytes);
  void Become(bool low, std::uint64_t unflushed_bytes) LSMKV_EXCLUDES(mutex_);
  void KeepNothing() LSMKV_EXCLUDES(mutex_);
  static std::uint64_t ReserveOf(std::uint64_t wanted_bytes, std::uint64_t disk_bytes);
  std::chrono::microseconds Interval(std::uint64_t headroom, bool writing) const;

  FileSystem& fs_;
  const std::string dir_;
  std::atomic<std::uint64_t> wanted_bytes_;
  std::atomic<bool> changed_{false};                        // release by SetWanted, acquire by Review
  Clock& clock_;

  // Relaxed, all of them: a look is old when it is used, whatever the order.
  std::atomic<bool> low_{false};
  std::atomic<std::uint64_t> headroom_bytes_{kUnbounded};   // above reserve and unflushed, at the last look
  std::atomic<std::uint64_t> usable_bytes_{0};              // of the reserve, likewise
  std::atomic<std::uint64_t> reserve_bytes_{0};
  std::atomic<std::uint64_t> free_bytes_{0};

  std::chrono::microseconds next_look_{0};                  // the scheduler's, as is the next
  std::uint64_t written_at_last_look_ = 0;
  mutable Mutex mutex_;                                     // a leaf
  Status why_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
