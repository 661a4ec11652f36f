// The latency monitor: for a few kinds of event, the moments in which one took `latency-monitor-threshold` milliseconds and more.
//
//   command        a command ran so long (what it waited for the disk included, what it waited to be admitted not)
//   fast-command   likewise, one that is O(1) or O(log N): it was the machine that was slow
//   event-loop     a loop went so long without a look at its clients
//   wal-write      handing the log to the operating system, which should take no time, took it
//   wal-sync       the disk took so long to make the log durable; with wal-fsync=always clients have waited for that
//   write-stall    a write waited so long because compaction is behind, or for memory
//
// Of each the last 160 seconds in which there was one are kept, each with the longest of it. Nothing is kept while the threshold is 0.
//
// Threads  any; a leaf mutex, which nobody takes for what did not last.
// Source   Redis 7.0, latency.c, for what a client sees; the events are our own but for the first two.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "base/mutex.h"

namespace lsmkv {

enum class LatencyEvent : std::uint8_t { kCommand, kEventLoop, kFastCommand, kWalSync, kWalWrite, kWriteStall };   // by name
inline constexpr std::size_t kLatencyEvents = 6;
std::string_view NameOf(LatencyEvent event);
/// As it is written by NameOf(); nullopt: there is none.
std::optional<LatencyEvent> FindLatencyEvent(std::string_view name);

struct LatencySample {
  std::uint64_t time_s = 0;
  std::uint64_t ms = 0;
  bool operator==(const LatencySample&) const = default;
};

struct LatencySeries {
  std::deque<LatencySample> samples;            ///< oldest first
  std::uint64_t max_ms = 0;                     ///< of all since the last reset, those that are no longer kept included
};

class LatencyMonitor {
 public:
  static constexpr std::size_t kMostSamples = 160;

  /// 0: nothing is kept from now on; what was stays.
  void SetThreshold(std::uint64_t milliseconds);
  std::uint64_t threshold_ms() const;
  /// Costs a comparison when it was shorter than the threshold.
  void Note(LatencyEvent event, std::chrono::microseconds took, std::uint64_t now_s) LSMKV_EXCLUDES(mutex_) {
    if (took.count() >= threshold_us_.load(std::memory_order_relaxed)) [[unlikely]] Keep(event, took, now_s);
  }
  /// Empty when nothing has been kept.
  LatencySeries Series(LatencyEvent event) const LSMKV_EXCLUDES(mutex_);
  /// Whether there was something to forget.
  bool Reset(LatencyEvent event) LSMKV_EXCLUDES(mutex_);

 private:
  static constexpr std::int64_t kOff = INT64_MAX;

  void Keep(LatencyEvent event, std::chrono::microseconds took, std::uint64_t now_s) LSMKV_EXCLUDES(mutex_);

  std::atomic<std::int64_t> threshold_us_{kOff};   // relaxed: nothing hangs on when a change is seen
  mutable Mutex mutex_;                            // a leaf
  std::array<LatencySeries, kLatencyEvents> series_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
