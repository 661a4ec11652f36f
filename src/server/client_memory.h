// What all clients together make the server hold (input that has not been run, replies that have not been sent) against
// their part of the memory budget, and what happens above it.
//
// Nobody is closed, with two exceptions below. While the sum is over half of the limit (*tight*)
//   1. a session whose own part is larger than the fair share, a quarter of the limit divided by the clients, is *held*:
//      nothing is read from it, and its client feels that as a full socket;
//   2. replies pile up to the fair share only, before a session runs no further command until its socket has taken them;
//   3. buffers that hold nothing are given back at once;
//   4. on each loop one held session at a time is *favoured*: it goes on until its command is whole, however large. The one
//      that lacks least goes first, and one whose client sends nothing loses the favour. So there is always one that gets
//      done and gives its memory back: clients in the middle of large arguments do not wait for each other for ever.
//      Of commands of megabytes one is favoured at a time in the whole server.
// Held sessions go on when the sum has fallen to three eighths of the limit.
//
// The exceptions: who is favoured with more than the whole limit, sends nothing for seconds and keeps others waiting, of that kind anywhere,
// or of its own loop; and who takes nothing of megabytes of replies, whatever they are, for ten seconds of a tight time.
//
// A command of megabytes that is whole runs on a pool thread when there is room for it among those that run already, in the limit and in
// the pool; else its session is parked and tries again. One always may.
//
// What replies of megabytes may hold is decided while their values are read (large_reads.h).
//
// So the sum stays below the limit: half of it, and what those below their fair share may still read, in buffers that grow by
// half. Beyond it there are only one large command, the favoured one of each loop, replies of commands that were running, and the first
// kilobytes of each client when there are too many clients for the limit.
// Threads  loops add and subtract what changed in a session, which is seldom; anyone may look.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/mutex.h"
#include "server/large_reads.h"

namespace lsmkv {

class ClientMemory {
 public:
  static constexpr std::uint64_t kLeastShareBytes = 4 << 10;

  explicit ClientMemory(std::uint64_t limit_bytes = UINT64_MAX) : limit_bytes_(limit_bytes), large_reads_(limit_bytes) {}

  void SetLimit(std::uint64_t bytes) {
    limit_bytes_.store(bytes, std::memory_order_relaxed);
    large_reads_.SetLimit(bytes);
  }
  LargeReads& large_reads() { return large_reads_; }
  const LargeReads& large_reads() const { return large_reads_; }
  /// A session holds `after` now and held `before`.
  void Change(std::uint64_t before, std::uint64_t after) { bytes_.fetch_add(after - before, std::memory_order_relaxed); }

  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  std::uint64_t limit_bytes() const { return limit_bytes_.load(std::memory_order_relaxed); }
  bool tight() const { return bytes() > limit_bytes() / 2; }
  bool relieved() const { return bytes() <= limit_bytes() / 8 * 3; }
  std::uint64_t FairShare(std::uint64_t clients) const {
    return std::max(limit_bytes() / 4 / std::max<std::uint64_t>(clients, 1), kLeastShareBytes);
  }

  /// The one large command that may arrive though it is tight. `session` is its id.
  bool TryFavourLarge(std::uint64_t session) {
    std::uint64_t nobody = 0;
    const bool favoured = favoured_large_.compare_exchange_strong(nobody, session, std::memory_order_relaxed) || nobody == session;
    if (!favoured) others_wait_.store(true, std::memory_order_relaxed);
    return favoured;
  }
  void EndFavourLarge(std::uint64_t session) {
    if (favoured_large_.compare_exchange_strong(session, 0, std::memory_order_relaxed)) others_wait_.store(false, std::memory_order_relaxed);
  }
  /// Sessions of its own loop wait for it, whose turn does not come while it has its.
  void NoteOthersWait(std::uint64_t session) {
    if (IsFavouredLarge(session)) others_wait_.store(true, std::memory_order_relaxed);
  }
  bool IsFavouredLarge(std::uint64_t session) const { return favoured_large_.load(std::memory_order_relaxed) == session; }
  /// It is favoured, and somebody else would be.
  bool IsInTheWay(std::uint64_t session) const {
    return IsFavouredLarge(session) && others_wait_.load(std::memory_order_relaxed);
  }

  /// A large command is about to run; `most` of them may at once. False: not now.
  bool TryBeginLarge(std::uint64_t bytes, std::uint64_t most) LSMKV_EXCLUDES(large_mutex_) {
    MutexLock lock(large_mutex_);
    if (large_commands_ > 0 && (large_commands_ >= most || large_bytes_ + bytes > limit_bytes())) return false;
    ++large_commands_;
    large_bytes_ += bytes;
    return true;
  }
  void EndLarge(std::uint64_t bytes) LSMKV_EXCLUDES(large_mutex_) {
    MutexLock lock(large_mutex_);
    --large_commands_;
    large_bytes_ -= bytes;
  }

 private:
  std::atomic<std::uint64_t> bytes_{0};        // relaxed, both: a sum and a bound, not a hand-over
  std::atomic<std::uint64_t> limit_bytes_;
  LargeReads large_reads_;
  std::atomic<std::uint64_t> favoured_large_{0};   // the session; 0: none
  std::atomic<bool> others_wait_{false};
  Mutex large_mutex_;                              // a leaf
  std::uint64_t large_commands_ LSMKV_GUARDED_BY(large_mutex_) = 0;
  std::uint64_t large_bytes_ LSMKV_GUARDED_BY(large_mutex_) = 0;
};

}  // namespace lsmkv
