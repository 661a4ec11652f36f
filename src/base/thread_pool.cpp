#include "base/thread_pool.h"

#include <system_error>
#include <utility>

#include "base/assert.h"

namespace lsmkv {
namespace {

constexpr std::size_t kMaxThreadNameBytes = 15;

/// The number at the end tells threads apart, so it is the name in front that is cut.
std::string ThreadName(const std::string& name, std::size_t index) {
  const std::string suffix = "-" + std::to_string(index);
  return name.substr(0, kMaxThreadNameBytes - suffix.size()) + suffix;
}

}  // namespace

ThreadPool::ThreadPool(const std::string& name, std::size_t threads, int nice) {
  LSMKV_ASSERT(threads > 0);
  threads_.reserve(threads);
  for (std::size_t index = 0; index < threads; ++index) {
    try {
      threads_.emplace_back(ThreadName(name, index), [this] { Run(); }, nice);
    } catch (const std::system_error&) {
      break;  // the system's limit on threads
    }
  }
  LSMKV_ASSERT(!threads_.empty());
  thread_count_ = threads_.size();
}

ThreadPool::~ThreadPool() { Stop(StopMode::kDrain); }

bool ThreadPool::Submit(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    if (closed_) return false;
    queue_.push_back(std::move(task));
  }
  work_or_stop_.NotifyOne();
  return true;
}

std::size_t ThreadPool::pending() const {
  MutexLock lock(mutex_);
  return queue_.size();
}

std::size_t ThreadPool::running() const {
  MutexLock lock(mutex_);
  return running_;
}

void ThreadPool::Stop(StopMode mode) {
  std::deque<std::function<void()>> dropped;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    if (mode == StopMode::kDrop) {
      closed_ = true;
      dropped.swap(queue_);
    }
  }
  work_or_stop_.NotifyAll();
  for (Thread& thread : threads_) {
    LSMKV_ASSERT(!thread.IsCurrent());
    thread.Join();
  }
  threads_.clear();
}

void ThreadPool::Run() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) work_or_stop_.Wait(mutex_);
      if (queue_.empty()) {
        // A task that still runs may submit more; its own thread takes that, so no thread need stay for it. The last
        // one to go closes the door, or a task would be taken in that nobody runs.
        if (running_ == 0) closed_ = true;
        return;
      }
      task = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
    }
    task();
    task = nullptr;  // what it held is destroyed here, not under the lock
    MutexLock lock(mutex_);
    --running_;
  }
}

}  // namespace lsmkv
