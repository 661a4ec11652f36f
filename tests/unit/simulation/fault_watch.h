// Ends what has begun to fail, while the clients of a run work.
#pragma once

#include <chrono>

#include "base/mutex.h"
#include "base/thread.h"
#include "engine_client.h"

namespace lsmkv::simulation {

inline void EndFault(Run& run) {
  if (run.disturbance.never_ends) return;
  run.fs.ClearFaults();
  run.fault_ended = run.clock.Monotonic();
}

/// A disk that fails for good keeps who waits for an ingest waiting until the engine closes: nobody knows whether it has happened.
/// So the engine is told to close, a minute after the first failure. What fails for a while is well again after that.
class FaultWatch {
 public:
  FaultWatch(Run& run, Engine& engine, std::chrono::microseconds lasts) : run_(run), engine_(engine), lasts_(lasts), thread_("watch", [this] { Work(); }) {
    run_.fs.OnFault([this] {
      const MutexLock lock(mutex_);
      failed_ = true;
      changed_.NotifyAll();
    });
  }
  ~FaultWatch() {
    run_.fs.OnFault({});
    {
      const MutexLock lock(mutex_);
      over_ = true;
      changed_.NotifyAll();
    }
    thread_.Join();
  }
  FaultWatch(const FaultWatch&) = delete;
  FaultWatch& operator=(const FaultWatch&) = delete;

 private:
  void Work() {
    {
      const MutexLock lock(mutex_);
      while (!failed_ && !over_) changed_.Wait(mutex_);
      const std::chrono::microseconds time = run_.disturbance.kind == Disturbance::Kind::kLasting ? lasts_ : std::chrono::minutes(1);
      const std::chrono::microseconds until = run_.clock.Monotonic() + time;
      while (!over_ && run_.clock.Monotonic() < until) changed_.WaitFor(mutex_, time);
      if (over_) return;
    }
    if (run_.disturbance.kind == Disturbance::Kind::kPowerCut) engine_.PrepareToClose();
    if (run_.disturbance.kind == Disturbance::Kind::kLasting) EndFault(run_);
  }

  Run& run_;
  Engine& engine_;
  const std::chrono::microseconds lasts_;
  Mutex mutex_;
  CondVar changed_;
  bool failed_ LSMKV_GUARDED_BY(mutex_) = false;
  bool over_ LSMKV_GUARDED_BY(mutex_) = false;
  Thread thread_;
};

}  // namespace lsmkv::simulation
