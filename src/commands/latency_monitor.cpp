#include "commands/latency_monitor.h"

#include <algorithm>
#include <utility>

namespace lsmkv {
namespace {

constexpr std::array<std::string_view, kLatencyEvents> kNames = {"command", "event-loop", "fast-command", "wal-sync", "wal-write", "write-stall"};

}  // namespace

std::string_view NameOf(LatencyEvent event) { return kNames[static_cast<std::size_t>(event)]; }

std::optional<LatencyEvent> FindLatencyEvent(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<LatencyEvent>(found - kNames.begin());
}

void LatencyMonitor::SetThreshold(std::uint64_t milliseconds) {
  constexpr std::uint64_t kMost = kOff / 1000;
  threshold_us_.store(milliseconds == 0 || milliseconds >= kMost ? kOff : static_cast<std::int64_t>(milliseconds * 1000),
                      std::memory_order_relaxed);
}

std::uint64_t LatencyMonitor::threshold_ms() const {
  const std::int64_t threshold_us = threshold_us_.load(std::memory_order_relaxed);
  return threshold_us == kOff ? 0 : static_cast<std::uint64_t>(threshold_us / 1000);
}

void LatencyMonitor::Keep(LatencyEvent event, std::chrono::microseconds took, std::uint64_t now_s) {
  const auto ms = static_cast<std::uint64_t>(took.count() / 1000);
  MutexLock lock(mutex_);
  LatencySeries& series = series_[static_cast<std::size_t>(event)];
  series.max_ms = std::max(series.max_ms, ms);
  if (!series.samples.empty() && series.samples.back().time_s == now_s) {
    series.samples.back().ms = std::max(series.samples.back().ms, ms);
    return;
  }
  if (series.samples.size() == kMostSamples) series.samples.pop_front();
  series.samples.push_back({now_s, ms});
}

LatencySeries LatencyMonitor::Series(LatencyEvent event) const {
  MutexLock lock(mutex_);
  return series_[static_cast<std::size_t>(event)];
}

bool LatencyMonitor::Reset(LatencyEvent event) {
  MutexLock lock(mutex_);
  const LatencySeries dropped = std::exchange(series_[static_cast<std::size_t>(event)], {});
  return !dropped.samples.empty();
}

}  // namespace lsmkv
