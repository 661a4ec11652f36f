#pragma once

#include <chrono>

#include "base/log.h"
#include "server/stats.h"

namespace lsmkv {

/// Notices when a loop was busy for so long that its clients felt it, and says what with: a loop should wait for nothing, but the
/// operating system may make a write to the log wait for the disk, or give the processor to somebody else.
class TickWatch {
 public:
  explicit TickWatch(std::size_t loop) : loop_(loop) {}

  void Began(std::chrono::microseconds now) {
    began_ = now;
    commit_ = std::chrono::microseconds{0};
  }
  void CommitTook(std::chrono::microseconds duration) { commit_ = duration; }
  void Ended(std::chrono::microseconds now, LoopStats* stats) {
    const std::chrono::microseconds took = now - began_;
    if (took < kSlow) [[likely]] return;
    stats->slow_ticks.Add();
    if (now < next_log_) return;
    next_log_ = now + kLogInterval;
    LogWarning("server", "loop {} was busy for {} ms without a look at its clients, {} ms of them with writing the log", loop_,
               took.count() / 1000, commit_.count() / 1000);
  }

 private:
  static constexpr std::chrono::milliseconds kSlow{50};
  static constexpr std::chrono::seconds kLogInterval{1};

  const std::size_t loop_;
  std::chrono::microseconds began_{0};
  std::chrono::microseconds commit_{0};
  std::chrono::microseconds next_log_{0};
};

}  // namespace lsmkv
