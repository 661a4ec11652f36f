// How many large replies are in memory at once.
//
// A value that a GET reads from the disk is there until its client has taken it, and a hundred clients that ask for half a gigabyte each
// would make the server hold all of that. So a command in the pool asks for each value that it reads for its reply (ReplyGate): together
// they may hold what all clients may (client_memory.h), and one always may. What comes to less than Engine::kLargeBatchBytes in a command
// is not asked for, so that small ones know nothing of this. Who is refused gives up (kWouldBlock), stands in one queue for all loops,
// parked, and is woken when it is at its front and there is room.
//
//   nothing held --Admit: yes--> holds --the reply has left, or the session closes--> nothing held
//        '--------Admit: no----> waits (parked) --woken--> runs again
//
// A command that writes may be run again like one that reads: it reads first, and gives up before it has changed anything. EXEC may, too,
// since its writes and locks are a Transaction's, which is forgotten. It holds what its commands have replied with; what one of them has
// only looked at (GETRANGE, APPEND) is given back when that is done.
//
// Nobody waits for ever. When none of the others has given anything back for kPatience, one command, the first in the queue, runs whatever
// they hold, and the next one after as long again: however slow they all are, what they hold grows by one reply in that time. Should the
// first not ask (its command runs, or is paused), it may be any other. And who takes nothing of its reply for kPatience while others wait
// is closed (Session::Cron).
//
// One reply of several values may have as much as all clients, or kLargestReply if that is more: the largest value has to fit into the
// machine anyway, and must be readable. Beyond that it gets an error and has done nothing: Redis would answer, but has all its values in
// memory in the first place, while here an MGET may name what is larger than the machine.
// Left out  commands that only look at a value (EXISTS, TTL, STRLEN): they have it for a moment, one a read thread, and would wait here for
//           slow readers; likewise a value of a table (min-blob-size 0), which has been read when it is asked for. Replies below
//           Engine::kLargeBatchBytes: what clients that take nothing hold is that much each, beside what client_memory.h bounds. An EXEC
//           with commands that must run once only (CONFIG, CLIENT, ...). Replies of other things than values (KEYS, ECHO): who takes nothing
//           of those is closed when it is tight (client_memory.h).
// Threads   Admit, KeepOnly, End: whoever runs the command. The rest: the session's loop, while no job runs.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "base/mutex.h"
#include "commands/reply_gate.h"

namespace lsmkv {

class LargeReads {
 public:
  static constexpr std::chrono::seconds kPatience{10};
  static constexpr std::chrono::seconds kFirstAsks{1};     // so long the first in the queue has, before it may be any other

  static constexpr std::uint64_t kLargestReply = 512u << 20;          // what a single value may have anyway, as in Redis

  /// Whatever is less than `grain_bytes` in a command is not asked for.
  explicit LargeReads(std::uint64_t limit_bytes, std::uint64_t grain_bytes = Engine::kLargeBatchBytes)
      : grain_bytes_(grain_bytes), limit_bytes_(limit_bytes) {}
  void SetLimit(std::uint64_t bytes) { limit_bytes_.store(bytes, std::memory_order_relaxed); }
  /// What one reply may hold that is of more than one value.
  std::uint64_t MostOfOneReply() const { return std::max(limit_bytes_.load(std::memory_order_relaxed), kLargestReply); }
  std::uint64_t held_bytes() const LSMKV_EXCLUDES(mutex_);
  std::uint64_t waiting() const LSMKV_EXCLUDES(mutex_);

  /// One session's place: what the reply of its command holds, or that it waits.
  class Turn final : public ReplyGate {
   public:
    /// `wake`, on any thread: it may be this one's turn. `all` outlives it.
    Turn(LargeReads& all, std::function<void()> wake) : all_(all), wake_(std::move(wake)) {}
    ~Turn() override { Leave(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// Of a command that may ask several times. False: it holds nothing any more, and waits, unless it is too_large().
    bool Admit(std::uint64_t bytes) override {
      gathered_bytes_ += bytes;
      if (gathered_bytes_ < all_.grain_bytes_) return true;
      return all_.Admit(this, std::exchange(gathered_bytes_, 0));
    }
    void KeepOnly(std::uint64_t bytes) override {
      gathered_bytes_ = std::min(gathered_bytes_, bytes);
      if (holds()) all_.KeepOnly(this, bytes);
    }
    /// Its command is about to run, perhaps once more: what an earlier reply has held is given back, its place in the queue is not.
    void Begin() {
      gathered_bytes_ = 0;
      too_large_ = false;
      if (holds()) all_.GiveBack(this);
    }
    /// Its command has run and replies with so much.
    void End(std::uint64_t reply_bytes) {
      if (!holds()) return;
      reply_bytes < all_.grain_bytes_ ? all_.GiveBack(this) : all_.KeepOnly(this, reply_bytes);
    }
    /// The reply has left, or nobody wants it any more.
    void Leave() {
      if (holds() || waits()) all_.Leave(this);
    }
    /// May a command that waits run now? To be asked again after a fraction of a second.
    bool MayRun(std::chrono::microseconds now) { return !waits() || all_.MayRun(this, now); }

    bool holds() const { return holds_.load(std::memory_order_relaxed); }
    bool waits() const { return waits_.load(std::memory_order_relaxed); }
    /// What it has asked for last is more than one reply may ever hold.
    bool too_large() const { return too_large_; }
    /// It holds something, and others wait.
    bool IsInTheWay() const { return holds() && all_.waiting() > 0; }

   private:
    friend class LargeReads;
    LargeReads& all_;
    const std::function<void()> wake_;
    std::atomic<bool> holds_{false};       // relaxed, both: written under all_.mutex_, read by the session, which the end of the job orders
    std::atomic<bool> waits_{false};
    std::uint64_t gathered_bytes_ = 0;     // not asked for yet; this and the next: whoever runs the command
    bool too_large_ = false;
    // Guarded by all_.mutex_.
    std::uint64_t bytes_ = 0;              // held, or wanted when it waits
    bool overdue_ = false;                 // it runs whatever the others hold
  };

 private:
  bool Admit(Turn* turn, std::uint64_t bytes) LSMKV_EXCLUDES(mutex_);
  bool MayRun(Turn* turn, std::chrono::microseconds now) LSMKV_EXCLUDES(mutex_);
  void KeepOnly(Turn* turn, std::uint64_t bytes) LSMKV_EXCLUDES(mutex_);
  void GiveBack(Turn* turn) LSMKV_EXCLUDES(mutex_);
  void Leave(Turn* turn) LSMKV_EXCLUDES(mutex_);
  bool Fits(std::uint64_t held_by_others, std::uint64_t bytes) const {
    return held_by_others == 0 || held_by_others + bytes <= limit_bytes_.load(std::memory_order_relaxed);
  }
  void Release(Turn* turn) LSMKV_REQUIRES(mutex_);
  void StopWaiting(Turn* turn) LSMKV_REQUIRES(mutex_);
  void WakeFirst() LSMKV_REQUIRES(mutex_);

  const std::uint64_t grain_bytes_;
  std::atomic<std::uint64_t> limit_bytes_;
  mutable Mutex mutex_;                    // before the mailbox's of a loop, which a wake takes
  std::uint64_t held_bytes_ LSMKV_GUARDED_BY(mutex_) = 0;
  std::deque<Turn*> queue_ LSMKV_GUARDED_BY(mutex_);
  std::chrono::microseconds stuck_since_ LSMKV_GUARDED_BY(mutex_){0};   // nothing has been given back; 0: not looked at yet
};

}  // namespace lsmkv
