// SAVE and BGSAVE: checkpoints of the tree by hard links, in DIR/checkpoints/<UTC time>, the newest few kept. Where the clock has gone back
// the name is that of the newest and a millisecond more, so that names sort by age.
// Threads  any; one checkpoint at a time. Save() blocks on the disk.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lsmkv/engine.h"

namespace lsmkv {

class Checkpoints {
 public:
  /// `engine` outlives this.
  Checkpoints(Engine& engine, std::string data_dir, std::uint64_t started_seconds)
      : engine_(engine),
        dir_(std::move(data_dir) + "/checkpoints"),
        last_save_seconds_(started_seconds),
        saved_sequence_(engine.last_sequence()) {}

  /// Makes one and then removes all but the newest `kept`. kBusy while another is being made.
  Status Save(std::uint64_t kept, std::uint64_t now_ms);
  bool running() const { return running_.load(std::memory_order_relaxed); }
  /// Of the last success; the server's start before the first.
  std::uint64_t last_save_seconds() const { return last_save_seconds_.load(std::memory_order_relaxed); }
  bool last_failed() const { return last_failed_.load(std::memory_order_relaxed); }
  /// Writes since the last success, or since the server's start.
  std::uint64_t changes() const {
    const std::uint64_t saved = saved_sequence_.load(std::memory_order_relaxed);
    return std::max(engine_.last_sequence(), saved) - saved;
  }
  /// How long the last one took; nothing before the first.
  std::optional<std::chrono::seconds> last_duration() const;
  /// For how long one has been running; nothing when none is.
  std::optional<std::chrono::seconds> running_for() const;
  std::uint64_t saves() const { return saves_.load(std::memory_order_relaxed); }

 private:
  Status Make(const std::string& path);
  void RemoveUnfinished();
  std::vector<std::string> Names() const;
  void RemoveOld(const std::vector<std::string>& older, std::uint64_t kept);

  Engine& engine_;
  const std::string dir_;
  std::atomic<bool> running_{false};
  std::atomic<bool> last_failed_{false};
  std::atomic<std::uint64_t> last_save_seconds_;
  std::atomic<SequenceNumber> saved_sequence_;      // what the last one holds at least
  std::atomic<std::int64_t> began_micros_{0};       // monotonic
  std::atomic<std::int64_t> took_micros_{-1};
  std::atomic<std::uint64_t> saves_{0};
};

}  // namespace lsmkv
