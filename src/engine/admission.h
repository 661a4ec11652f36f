// Write admission: how hard writers are held back, so that compaction keeps up and nobody meets a wall.
//
//   free     nothing is over its hard limit                        a write costs one relaxed load here
//   slowed   a figure is past its hard limit, or memtables fill    writes pass at a rate that falls smoothly with the debt
//            faster than they are flushed
//   stopped  L0 is at l0-stop-sstables, or all memtables are full  writes wait for a flush or a compaction
//
// A rate is kept on the average of some moments (kCredit): who was told to wait is woken late more often than not.
//
// The rate is the most that was written per second while the tree was free, and no less than kLeastFreeRate, times (1 - debt)^2 (write_debt.h), and
// never below kLeastRate: a small excess costs nothing or little, a large one much, without a step, and no single write waits long. The
// most, not the last: who writes less than the machine can take would else be held below what he writes by the smallest debt, as each
// large merge into L1 leaves for some seconds. For the same reason it does not fade to less than a fast machine takes: where one takes
// less, the debt at which it finds its balance is larger, and that is all. What was measured fades with a half-life of minutes.
//
// Writers who go as fast as they may are sometimes above what merges keep up with and sometimes below. So that who wants less than that pays
// nothing for the moment at which he comes, the rate is at least kSteadyShare of what was written over the last minute or two, until the debt
// is kSteadyDebt; from there that falls to nothing. Not for memtables' debt: they may be full before anything has ended.
//
// Threads  Admit and OnWritable: any. SetPressure: the scheduler, and the writer that rotates a memtable.
// Source   the idea of a delayed write rate is RocksDB's write controller; the curve is ours.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "engine/write_debt.h"
#include "lsmkv/engine.h"

namespace lsmkv {

class WriteAdmission {
 public:
  explicit WriteAdmission(Clock& clock) : clock_(clock) {}

  Admission Admit(std::uint64_t bytes) {
    if (state_.load(std::memory_order_relaxed) == State::kFree) [[likely]] return {};
    return AdmitSlowly(bytes);
  }
  void OnWritable(std::function<void()> resume) LSMKV_EXCLUDES(mutex_);
  /// Blocks until not stopped or closed; for embedded users.
  void WaitWhileStopped() LSMKV_EXCLUDES(mutex_);

  /// `debt` 0: free; up to 1: as slow as it gets. `stopped` overrides it. `written_bytes`: user bytes so far, from
  /// which the free rate is learnt.
  void SetPressure(const WriteDebt& debt, bool stopped, std::uint64_t written_bytes) LSMKV_EXCLUDES(mutex_);
  /// Resumes everyone for good.
  void Close() LSMKV_EXCLUDES(mutex_);

  void StallBegins() { waiting_.fetch_add(1, std::memory_order_relaxed); }
  void StallEnds(std::chrono::microseconds duration);
  bool slowed() const { return state_.load(std::memory_order_relaxed) == State::kSlowed; }
  bool stopped() const { return state_.load(std::memory_order_relaxed) == State::kStopped; }
  double debt() const LSMKV_EXCLUDES(mutex_);
  double limit() const LSMKV_EXCLUDES(mutex_);               ///< bytes a second that pass while writers are slowed; 0: they are not
  std::uint64_t waiting() const { return waiting_.load(std::memory_order_relaxed); }
  std::uint64_t stalls() const { return stalls_.load(std::memory_order_relaxed); }
  std::uint64_t stall_micros() const { return stall_micros_.load(std::memory_order_relaxed); }
  std::uint64_t longest_stall_micros() const { return longest_stall_micros_.load(std::memory_order_relaxed); }

 private:
  enum class State : std::uint8_t { kFree, kSlowed, kStopped };
  static constexpr double kLeastRate = 1 << 20;          // bytes a second
  static constexpr double kLeastFreeRate = 256 << 20;    // unless more has been measured
  static constexpr double kHalfLifeSeconds = 180;
  static constexpr double kSteadyShare = 0.75;
  static constexpr double kSteadyDebt = 0.8;
  static constexpr double kSteadyHalfLifeSeconds = 60;
  static constexpr std::chrono::microseconds kWorthParking{1000};
  static constexpr std::chrono::microseconds kLongestDelay{80'000};
  static constexpr std::chrono::microseconds kCredit{20'000};         // of the rate, for who was woken late

  Admission AdmitSlowly(std::uint64_t bytes) LSMKV_EXCLUDES(mutex_);
  double RateLocked(const WriteDebt& debt) const LSMKV_REQUIRES(mutex_);
  void LearnRateLocked(std::uint64_t written_bytes) LSMKV_REQUIRES(mutex_);
  void ResumeAll(std::vector<std::function<void()>> waiters);

  Clock& clock_;
  std::atomic<State> state_{State::kFree};               // relaxed: a hint; its details are under the mutex
  std::atomic<std::uint64_t> waiting_{0};
  std::atomic<std::uint64_t> stalls_{0};
  std::atomic<std::uint64_t> stall_micros_{0};
  std::atomic<std::uint64_t> longest_stall_micros_{0};

  mutable Mutex mutex_;
  CondVar resumed_;
  bool closed_ LSMKV_GUARDED_BY(mutex_) = false;
  double free_rate_ LSMKV_GUARDED_BY(mutex_) = kLeastFreeRate;
  double steady_rate_ LSMKV_GUARDED_BY(mutex_) = 0;                   // what was written of late, slowed or not
  double rate_ LSMKV_GUARDED_BY(mutex_) = kLeastFreeRate;
  double debt_ LSMKV_GUARDED_BY(mutex_) = 0;
  std::chrono::microseconds next_free_ LSMKV_GUARDED_BY(mutex_){0};   // when the bytes admitted so far are paid for
  std::chrono::microseconds measured_at_ LSMKV_GUARDED_BY(mutex_){0};
  std::uint64_t measured_bytes_ LSMKV_GUARDED_BY(mutex_) = 0;
  std::vector<std::function<void()>> waiters_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
