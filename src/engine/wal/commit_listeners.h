#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/mutex.h"
#include "lsmkv/engine.h"

namespace lsmkv {

/// Who hears of durability. Told without a lock held, yet once Remove() has returned, that listener is not called again.
class CommitListeners {
 public:
  void Add(CommitListener* listener) LSMKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    listeners_.push_back(listener);
  }
  /// Waits for a call that is under way; so not from within OnDurable().
  void Remove(CommitListener* listener) LSMKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    std::erase(listeners_, listener);
    while (telling_) told_.Wait(mutex_);
  }
  /// One caller at a time, the WAL thread.
  void Tell(SequenceNumber durable, const Status& status) LSMKV_EXCLUDES(mutex_) {
    CallEach([&](CommitListener* listener) { listener->OnDurable(durable, status); });
  }
  void TellSynced(std::chrono::microseconds took) LSMKV_EXCLUDES(mutex_) {
    CallEach([took](CommitListener* listener) { listener->OnSynced(took); });
  }

 private:
  template <typename Call>
  void CallEach(Call call) LSMKV_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      telling_ = true;
      called_ = listeners_;
    }
    for (CommitListener* const listener : called_) call(listener);
    MutexLock lock(mutex_);
    telling_ = false;
    told_.NotifyAll();
  }

  Mutex mutex_;
  CondVar told_;
  std::vector<CommitListener*> listeners_ LSMKV_GUARDED_BY(mutex_);
  bool telling_ LSMKV_GUARDED_BY(mutex_) = false;
  std::vector<CommitListener*> called_;   // CallEach()'s own; keeps its memory
};

}  // namespace lsmkv
