#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace lsmkv {

/// Collects the files nobody reads any more. Whoever lets go last may be an event loop, and unlinking a large file takes
/// milliseconds: so the last holder only leaves a note here, and the scheduler has the file removed.
class FileJanitor {
 public:
  struct Discarded {
    std::uint64_t id;
    std::string path;
  };
  void SetWake(std::function<void()> wake) LSMKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    wake_ = std::move(wake);
  }
  void Discard(std::uint64_t id, std::string path) LSMKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    discarded_.push_back({id, std::move(path)});
    if (wake_) wake_();   // under the lock, so that SetWake({}) is a barrier; it only sets a flag
  }
  std::vector<Discarded> Take() LSMKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return std::exchange(discarded_, {});
  }

 private:
  Mutex mutex_;
  std::function<void()> wake_ LSMKV_GUARDED_BY(mutex_);
  std::vector<Discarded> discarded_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
