// How fast compactions may write, so that they leave disk and processor to those who wait for answers.
//
//   fixed       compaction-rate-mb says
//   automatic   past a hard limit (CompactionDebt): no bound, compaction must catch up. Below: a rate that falls while the foreground's p99 is
//               several times what it is without compaction, and rises again when it is not; the nearer the hard limit, the
//               higher the least rate, so that there is no step when the limit is passed.
//
// Flushes are never slowed: a writer may be waiting for them.
// Threads  Charge: the merge workers. Adapt: the scheduler.
// Source   the feedback is that of TCP's congestion control (Jacobson, 1988): gentle up, sharply down.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/clock.h"
#include "base/mutex.h"
#include "engine/version/version.h"

namespace lsmkv {

/// How far behind compaction is, 1 where it must catch up: the largest figure / hard limit of all levels and of the dead part of blob files.
/// L0 is past its limits by choice while it is filled (l0_gather.h); what counts there is how near writers are to being slowed. Pure.
double CompactionDebt(const Version& version, const Options& options);

class CompactionRate {
 public:
  /// @param fixed_bytes_per_second  0: automatic
  CompactionRate(Clock& clock, std::uint64_t fixed_bytes_per_second);

  /// Waits until `bytes` more may be written; returns early, paid or not, when `hurry` becomes true.
  void Charge(std::uint64_t bytes, const std::atomic<bool>& hurry) LSMKV_EXCLUDES(mutex_);

  struct Pressure {
    double debt = 0;                                 ///< CompactionDebt()
    bool merging = false;
    std::chrono::microseconds foreground_p99{0};     ///< since the last call; 0: nobody was there
  };
  void Adapt(const Pressure& pressure);
  /// 0: no bound.
  std::uint64_t bytes_per_second() const { return rate_.load(std::memory_order_relaxed); }

  static constexpr std::uint64_t kLeastRate = 16 << 20;
  static constexpr std::uint64_t kMostRate = 1 << 30;
  static constexpr std::chrono::microseconds kAdaptInterval{100'000};

 private:
  Clock& clock_;
  const bool fixed_;
  std::atomic<std::uint64_t> rate_;                  // relaxed: a measure
  double wanted_ = kMostRate;                        // the scheduler's, as is the next
  double quiet_p99_us_ = 0;                          // without compaction; 0: not known
  Mutex mutex_;                                      // a leaf
  std::chrono::microseconds paid_until_ LSMKV_GUARDED_BY(mutex_){0};
};

/// The 99th percentile of what was added since it was last asked, within a factor of 1.2. Any thread adds; one asks.
class LatencyWindow {
 public:
  void Add(std::chrono::microseconds latency);
  /// 0: nothing was added.
  std::chrono::microseconds TakeP99();

 private:
  static constexpr std::size_t kBuckets = 96;        // four to a power of two: up to 16 s
  std::atomic<std::uint32_t> counts_[kBuckets] = {}; // relaxed: a sample lost between two windows does no harm
};

}  // namespace lsmkv
