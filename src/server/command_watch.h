// What is looked at when a command is over: did it take long enough for the slow log or the latency monitor, and into which
// bucket of its histogram does it go. All in cycles of the time stamp counter, which is read for each command anyway, so that one
// that was not slow costs a comparison and a plain add.
//
// Threads  the inline ones: any; Apply() and Calibrate() write what they read, relaxed, since nothing hangs on which command is the
//          first to be seen with new thresholds. CONFIG SET itself is judged by what it has set, as in Redis.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "base/cycle_clock.h"
#include "base/mutex.h"
#include "commands/latency_buckets.h"
#include "commands/latency_monitor.h"
#include "commands/slow_log.h"

namespace lsmkv {

struct ClientState;
struct CommandSpec;
struct Settings;

class alignas(64) CommandWatch {
 public:
  explicit CommandWatch(const CycleClock& clock) : clock_(clock) {}

  /// A command that ran for so many cycles or more is to be told to NoteSlow().
  std::uint64_t slow_cycles() const { return slow_cycles_.load(std::memory_order_relaxed); }
  bool tracks() const { return bucket_factor_.load(std::memory_order_relaxed) != 0; }
  /// Below kCountedBuckets, whatever `cycles` is.
  std::size_t BucketOf(std::uint64_t cycles) const {
    const auto product = static_cast<unsigned __int128>(cycles) * bucket_factor_.load(std::memory_order_relaxed);
    return static_cast<std::size_t>(63 - std::countl_zero(static_cast<std::uint64_t>(product >> 64) | 1));
  }
  /// `args` are made by SlowArguments() and empty where the command is in no slow log.
  void NoteSlow(const CommandSpec& spec, std::vector<std::string> args, const ClientState& client, std::uint64_t cycles, std::uint64_t now_ms);

  SlowLog& slow_log() { return slow_log_; }
  LatencyMonitor& latency() { return latency_; }

  /// Takes thresholds over from the directives.
  void Apply(const Settings& settings) LSMKV_EXCLUDES(mutex_);
  /// Reckons them in cycles anew: to be called now and then, for as long as the clock gets more exact.
  void Calibrate() LSMKV_EXCLUDES(mutex_);

 private:
  void CalibrateLocked() LSMKV_REQUIRES(mutex_);

  std::atomic<std::uint64_t> slow_cycles_{UINT64_MAX};
  std::atomic<std::uint64_t> bucket_factor_{0};          // 2^64 by half the cycles of the first bucket; 0: latency-tracking is off
  std::atomic<std::int64_t> slower_than_us_{-1};
  const CycleClock& clock_;
  SlowLog slow_log_;
  LatencyMonitor latency_;
  Mutex mutex_;                                          // a leaf
  bool tracking_ LSMKV_GUARDED_BY(mutex_) = false;
};

}  // namespace lsmkv
