// CLIENT PAUSE: until when, by the monotonic clock, and which commands wait. One atomic word, so that asking costs one relaxed load a command.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

#include "commands/command.h"

namespace lsmkv {

class PauseGate {
 public:
  void Pause(std::chrono::microseconds now, std::uint64_t duration_ms, PauseMode mode) {
    const std::uint64_t until_ms = MillisOf(now) + std::min(duration_ms, kForEverMillis);
    std::uint64_t before = word_.load(std::memory_order_relaxed);
    std::uint64_t after = 0;
    do {
      after = std::max(until_ms, before >> 1) << 1 | (mode == PauseMode::kAll ? 1u : 0u);
    } while (!word_.compare_exchange_weak(before, after, std::memory_order_relaxed));
  }
  void Unpause() { word_.store(0, std::memory_order_relaxed); }

  /// Whether a command with these CommandFlags has to wait at `now`.
  bool Holds(std::uint32_t flags, std::chrono::microseconds now) const {
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    if (word == 0) [[likely]] return false;
    return MillisOf(now) < word >> 1 && ((word & 1) != 0 || (flags & kWrite) != 0);
  }
  std::chrono::milliseconds until() const {
    return std::chrono::milliseconds(static_cast<std::int64_t>(word_.load(std::memory_order_relaxed) >> 1));
  }

 private:
  static constexpr std::uint64_t kForEverMillis = std::numeric_limits<std::int64_t>::max() / 2;
  static std::uint64_t MillisOf(std::chrono::microseconds time) { return static_cast<std::uint64_t>(time.count()) / 1000; }

  std::atomic<std::uint64_t> word_{0};   // until_ms << 1 | all
};

}  // namespace lsmkv
