// How many replies with values of megabytes are in memory at once.
//
// A value that a GET reads from the disk is there until its client has taken it, and a hundred clients that ask for half a gigabyte each
// would make the server hold all of that. So a read-only command asks, in the pool, before memory is taken for a value of
// Engine::kLargeBatchBytes or more (LargeValueGate): together they may hold what all clients may (client_memory.h), and one always may.
// Who is refused gives up (kWouldBlock), stands in one queue for all loops, parked, and is woken when it is at its front and there is room.
//
//   nothing held --Admit: yes--> holds --the reply has left, or the session closes--> nothing held
//        '--------Admit: no----> waits (parked) --woken--> runs again
//
// Nobody waits for ever. When none of the others has given anything back for kPatience, one command, the first in the queue, runs whatever
// they hold, and the next one after as long again: however slow they all are, what they hold grows by one reply in that time. Should the
// first not ask (its command runs, or is paused), it may be any other. And who takes nothing of its reply for kPatience while others wait
// is closed (Session::Cron).
// Left out  commands that only look at a value (EXISTS, TTL, STRLEN): they have it for a moment, one a read thread, and would wait here for
//           slow readers. Commands that write, and EXEC: they are not run twice, and so what they reply with is not bounded here. Values
//           below Engine::kLargeBatchBytes, however many of them one MGET names, and those of tables (min-blob-size 0).
// Threads   Admit: whoever runs the command. The rest: the session's loop, while no job runs.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>

#include "base/mutex.h"
#include "lsmkv/engine.h"

namespace lsmkv {

class LargeReads {
 public:
  static constexpr std::chrono::seconds kPatience{10};
  static constexpr std::chrono::seconds kFirstAsks{1};     // so long the first in the queue has, before it may be any other

  explicit LargeReads(std::uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  void SetLimit(std::uint64_t bytes) { limit_bytes_.store(bytes, std::memory_order_relaxed); }
  std::uint64_t held_bytes() const LSMKV_EXCLUDES(mutex_);
  std::uint64_t waiting() const LSMKV_EXCLUDES(mutex_);

  /// One session's place: what the reply of its command holds, or that it waits.
  class Turn final : public LargeValueGate {
   public:
    /// `wake`, on any thread: it may be this one's turn. `all` outlives it.
    Turn(LargeReads& all, std::function<void()> wake) : all_(all), wake_(std::move(wake)) {}
    ~Turn() override { Leave(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// Of a command that may ask several times. False: it holds nothing any more, and waits.
    bool Admit(std::uint64_t bytes) override { return all_.Admit(this, bytes); }
    /// Its command is about to run, perhaps once more: what an earlier reply has held is given back, its place in the queue is not.
    void Begin() {
      if (holds()) all_.GiveBack(this);
    }
    /// The reply has left, or nobody wants it any more.
    void Leave() {
      if (holds() || waits()) all_.Leave(this);
    }
    /// May a command that waits run now? To be asked again after a fraction of a second.
    bool MayRun(std::chrono::microseconds now) { return !waits() || all_.MayRun(this, now); }

    bool holds() const { return holds_.load(std::memory_order_relaxed); }
    bool waits() const { return waits_.load(std::memory_order_relaxed); }
    /// It holds something, and others wait.
    bool IsInTheWay() const { return holds() && all_.waiting() > 0; }

   private:
    friend class LargeReads;
    LargeReads& all_;
    const std::function<void()> wake_;
    std::atomic<bool> holds_{false};       // relaxed, both: written under all_.mutex_, read by the session, which the end of the job orders
    std::atomic<bool> waits_{false};
    // Guarded by all_.mutex_.
    std::uint64_t bytes_ = 0;              // held, or wanted when it waits
    bool overdue_ = false;                 // it runs whatever the others hold
  };

 private:
  bool Admit(Turn* turn, std::uint64_t bytes) LSMKV_EXCLUDES(mutex_);
  bool MayRun(Turn* turn, std::chrono::microseconds now) LSMKV_EXCLUDES(mutex_);
  void GiveBack(Turn* turn) LSMKV_EXCLUDES(mutex_);
  void Leave(Turn* turn) LSMKV_EXCLUDES(mutex_);
  bool Fits(std::uint64_t held_by_others, std::uint64_t bytes) const {
    return held_by_others == 0 || held_by_others + bytes <= limit_bytes_.load(std::memory_order_relaxed);
  }
  void Release(Turn* turn) LSMKV_REQUIRES(mutex_);
  void StopWaiting(Turn* turn) LSMKV_REQUIRES(mutex_);
  void WakeFirst() LSMKV_REQUIRES(mutex_);

  std::atomic<std::uint64_t> limit_bytes_;
  mutable Mutex mutex_;                    // before the mailbox's of a loop, which a wake takes
  std::uint64_t held_bytes_ LSMKV_GUARDED_BY(mutex_) = 0;
  std::deque<Turn*> queue_ LSMKV_GUARDED_BY(mutex_);
  std::chrono::microseconds stuck_since_ LSMKV_GUARDED_BY(mutex_){0};   // nothing has been given back; 0: not looked at yet
};

}  // namespace lsmkv
