// CLIENT PAUSE: until when, and which commands wait. One atomic word, so that asking costs one relaxed load a command.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "commands/command.h"

namespace lsmkv {

class PauseGate {
 public:
  void Pause(std::uint64_t until_ms, PauseMode mode) {
    const std::uint64_t before = word_.load(std::memory_order_relaxed) >> 1;
    word_.store(std::max(until_ms, before) << 1 | (mode == PauseMode::kAll ? 1u : 0u), std::memory_order_relaxed);
  }
  void Unpause() { word_.store(0, std::memory_order_relaxed); }

  /// Whether a command with these CommandFlags has to wait at `now_ms`.
  bool Holds(std::uint32_t flags, std::uint64_t now_ms) const {
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    if (word == 0) [[likely]] return false;
    return now_ms < word >> 1 && ((word & 1) != 0 || (flags & kWrite) != 0);
  }
  std::uint64_t until_ms() const { return word_.load(std::memory_order_relaxed) >> 1; }

 private:
  std::atomic<std::uint64_t> word_{0};   // until_ms << 1 | all
};

}  // namespace lsmkv
