// std::mutex with the annotations that let clang's -Wthread-safety check who may touch what (libstdc++ has none).
// In a build with LSMKV_SIMULATION a simulated thread asks its simulation instead of the system (simulated_thread.h).
// Source: clang's "Thread Safety Analysis" documentation.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/simulated_thread.h"

#if defined(__clang__)
#define LSMKV_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define LSMKV_THREAD_ATTRIBUTE(x)
#endif
#define LSMKV_CAPABILITY(name) LSMKV_THREAD_ATTRIBUTE(capability(name))
#define LSMKV_SCOPED_CAPABILITY LSMKV_THREAD_ATTRIBUTE(scoped_lockable)
#define LSMKV_GUARDED_BY(x) LSMKV_THREAD_ATTRIBUTE(guarded_by(x))
#define LSMKV_PT_GUARDED_BY(x) LSMKV_THREAD_ATTRIBUTE(pt_guarded_by(x))
#define LSMKV_REQUIRES(...) LSMKV_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define LSMKV_EXCLUDES(...) LSMKV_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define LSMKV_ACQUIRE(...) LSMKV_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define LSMKV_RELEASE(...) LSMKV_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define LSMKV_TRY_ACQUIRE(...) LSMKV_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define LSMKV_NO_THREAD_SAFETY_ANALYSIS LSMKV_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace lsmkv {

class LSMKV_CAPABILITY("mutex") Mutex {
 public:
  void Lock() LSMKV_ACQUIRE() {
#ifdef LSMKV_SIMULATION
    if (SimulatedThread* const self = SimulatedThread::Current()) return self->Lock(mutex_);
#endif
    mutex_.lock();
  }
  void Unlock() LSMKV_RELEASE() {
#ifdef LSMKV_SIMULATION
    if (SimulatedThread* const self = SimulatedThread::Current()) return self->Unlock(mutex_);
#endif
    mutex_.unlock();
  }
  bool TryLock() LSMKV_TRY_ACQUIRE(true) {
#ifdef LSMKV_SIMULATION
    if (SimulatedThread* const self = SimulatedThread::Current()) return self->TryLock(mutex_);
#endif
    return mutex_.try_lock();
  }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class LSMKV_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) LSMKV_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() LSMKV_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// Waits may end without a signal: always wait in a loop on the condition itself.
class CondVar {
 public:
  void Wait(Mutex& mutex) LSMKV_REQUIRES(mutex) {
#ifdef LSMKV_SIMULATION
    if (SimulatedThread* const self = SimulatedThread::Current()) {
      self->Wait(this, mutex.mutex_, std::nullopt);
      return;
    }
#endif
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  /// False when the time ran out.
  bool WaitFor(Mutex& mutex, std::chrono::microseconds time) LSMKV_REQUIRES(mutex) {
#ifdef LSMKV_SIMULATION
    if (SimulatedThread* const self = SimulatedThread::Current()) return self->Wait(this, mutex.mutex_, time);
#endif
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool signalled = condition_.wait_for(lock, time) == std::cv_status::no_timeout;
    lock.release();
    return signalled;
  }
  void NotifyOne() {
#ifdef LSMKV_SIMULATION
    if (SimulatedThread* const self = SimulatedThread::Current()) return self->Notify(this, false);
#endif
    condition_.notify_one();
  }
  void NotifyAll() {
#ifdef LSMKV_SIMULATION
    if (SimulatedThread* const self = SimulatedThread::Current()) return self->Notify(this, true);
#endif
    condition_.notify_all();
  }

 private:
  std::condition_variable condition_;
};

}  // namespace lsmkv
