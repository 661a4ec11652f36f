// Holds merges where a test wants them.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "lsmkv/engine.h"

namespace lsmkv::engine_test {

/// While it is closed, merges stop at the first key that begins with `prefix`; the scheduler, which asks about ranges too, does not.
class Gate final : public CompactionFilter {
 public:
  explicit Gate(std::string prefix, bool open = false) : prefix_(std::move(prefix)), open_(open) {}

  bool IsDead(std::string_view key) const override {
    std::unique_lock lock(mutex_);
    if (std::this_thread::get_id() == scheduler_) return false;
    nice_[key[0]].insert(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())));
    if (open_ || !key.starts_with(prefix_)) return false;
    ++held_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    --held_;
    return false;
  }
  bool IsRangeDead(std::string_view, std::string_view) const override {
    const std::lock_guard lock(mutex_);
    scheduler_ = std::this_thread::get_id();
    return false;
  }
  /// How far the threads stand back that have met a key of this first letter.
  std::set<int> NiceOf(char first) const {
    const std::lock_guard lock(mutex_);
    return nice_.at(first);
  }
  void Open() { SetOpen(true); }
  void Close() { SetOpen(false); }
  void WaitUntilHeld(int threads) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return held_ >= threads; });
  }

 private:
  void SetOpen(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }

  const std::string prefix_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::thread::id scheduler_;
  mutable std::map<char, std::set<int>> nice_;
  mutable int held_ = 0;
  bool open_;
};

}  // namespace lsmkv::engine_test
