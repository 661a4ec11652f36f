// A fixed number of named threads that take tasks from one queue, first come first served.
//
// The queue has no bound of its own: who submits looks at pending() and keeps its own measure.
// Tasks must not throw, and must not call Stop().
// Threads  Submit and pending: any. Stop and the destructor: the owner.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/thread.h"

namespace lsmkv {

class ThreadPool {
 public:
  enum class StopMode {
    kDrain,  ///< run what is queued, also what those tasks submit, then end
    kDrop,   ///< destroy what is queued without running it; what runs already is waited for
  };

  /// @param name     shown by ps and top as `name-0`, `name-1`, …; cut to the 15 bytes Linux allows.
  /// @param threads  1 or more. Where the system refuses some of them the pool goes on with those it got, and
  ///                 without a single one it aborts: there is nothing useful to do then.
  /// @param nice     0 .. 19: how far the threads stand back for others; best effort.
  ThreadPool(const std::string& name, std::size_t threads, int nice = 0);
  /// Drains.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// False, and `task` is destroyed unrun, once Stop() has dropped the queue or has ended.
  bool Submit(std::function<void()> task) LSMKV_EXCLUDES(mutex_);
  /// Tasks that wait for a thread.
  std::size_t pending() const LSMKV_EXCLUDES(mutex_);
  /// Tasks that run at this moment.
  std::size_t running() const LSMKV_EXCLUDES(mutex_);
  std::size_t threads() const { return thread_count_; }
  /// Returns when every thread has ended. Again is fine and does nothing.
  void Stop(StopMode mode) LSMKV_EXCLUDES(mutex_);

 private:
  void Run() LSMKV_EXCLUDES(mutex_);

  std::vector<Thread> threads_;             // the owner's
  std::size_t thread_count_ = 0;            // constant after construction
  mutable Mutex mutex_;                     // a leaf; no task runs or is destroyed under it
  CondVar work_or_stop_;
  std::deque<std::function<void()>> queue_ LSMKV_GUARDED_BY(mutex_);
  std::size_t running_ LSMKV_GUARDED_BY(mutex_) = 0;
  bool stopping_ LSMKV_GUARDED_BY(mutex_) = false;  // threads end when there is nothing to do
  bool closed_ LSMKV_GUARDED_BY(mutex_) = false;    // nothing is taken in any more
};

}  // namespace lsmkv
