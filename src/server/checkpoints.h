// SAVE and BGSAVE: checkpoints of the tree by hard links, in DIR/checkpoints/<UTC time>, the newest few kept.
// Threads  any; one checkpoint at a time. Save() blocks on the disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "lsmkv/engine.h"

namespace lsmkv {

class Checkpoints {
 public:
  /// `engine` outlives this.
  Checkpoints(Engine& engine, std::string data_dir, std::uint64_t started_seconds)
      : engine_(engine), dir_(std::move(data_dir) + "/checkpoints"), last_save_seconds_(started_seconds) {}

  /// Makes one and then removes all but the newest `kept`. kBusy while another is being made.
  Status Save(std::uint64_t kept, std::uint64_t now_ms);
  bool running() const { return running_.load(std::memory_order_relaxed); }
  /// Of the last success; the server's start before the first.
  std::uint64_t last_save_seconds() const { return last_save_seconds_.load(std::memory_order_relaxed); }
  bool last_failed() const { return last_failed_.load(std::memory_order_relaxed); }
  std::uint64_t saves() const { return saves_.load(std::memory_order_relaxed); }

 private:
  Status Make(std::uint64_t now_ms);
  void RemoveUnfinished();
  void RemoveOld(std::uint64_t kept);

  Engine& engine_;
  const std::string dir_;
  std::atomic<bool> running_{false};
  std::atomic<bool> last_failed_{false};
  std::atomic<std::uint64_t> last_save_seconds_;
  std::atomic<std::uint64_t> saves_{0};
};

}  // namespace lsmkv
