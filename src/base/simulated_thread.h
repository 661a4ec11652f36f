// The seam through which a test runs threads under a simulation: instead of the system it decides who runs, one at a time, and
// what time it is. The simulation itself is a test's (tests/unit/simulation/simulation.h); here is only what Mutex, CondVar and Thread
// ask it.
//
// Only in builds with LSMKV_SIMULATION, and there only on threads that a simulation has started: on others Current() is null and
// everything is the system's. In a build without it nothing of this exists: SwitchPoint() and NoteForTrace() are empty.
#pragma once

#include <cstdint>

#ifdef LSMKV_SIMULATION
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#endif

namespace lsmkv {

#ifdef LSMKV_SIMULATION

/// A thread as its simulation sees it. All but NewThread and Enter are called by the thread itself while it is the one that runs.
class SimulatedThread {
 public:
  virtual ~SimulatedThread() = default;

  virtual void Lock(std::mutex& mutex) = 0;
  virtual bool TryLock(std::mutex& mutex) = 0;
  virtual void Unlock(std::mutex& mutex) = 0;
  /// Unlocks, waits for a signal or the time's end, locks. False when the time ran out.
  virtual bool Wait(const void* condition, std::mutex& mutex, std::optional<std::chrono::microseconds> time) = 0;
  virtual void Notify(const void* condition, bool all) = 0;
  virtual void Sleep(std::chrono::microseconds time) = 0;
  /// Another thread may run here.
  virtual void SwitchPoint() = 0;
  /// Something that must be the same whenever the seed is.
  virtual void Note(std::uint64_t what) = 0;

  /// Registered at once; runs when it is chosen and has entered.
  virtual std::shared_ptr<SimulatedThread> NewThread(const std::string& name) = 0;
  /// On the new thread, first of all: returns when it is chosen.
  virtual void Enter() = 0;
  /// On the thread, last of all, after its thread_local objects are gone.
  virtual void Leave() = 0;
  /// Waits until `other` has left.
  virtual void Join(const SimulatedThread& other) = 0;

  static SimulatedThread* Current() { return current_; }
  static void SetCurrent(SimulatedThread* thread) { current_ = thread; }

 private:
  static inline constinit thread_local SimulatedThread* current_ = nullptr;
};

#endif

/// To be put where threads meet without a mutex: between an atomic's store and what another thread concludes from it.
inline void SwitchPoint() {
#ifdef LSMKV_SIMULATION
  if (SimulatedThread* const self = SimulatedThread::Current()) self->SwitchPoint();
#endif
}

/// Makes two runs of a seed that differ in `what` differ in their trace.
inline void NoteForTrace([[maybe_unused]] std::uint64_t what) {
#ifdef LSMKV_SIMULATION
  if (SimulatedThread* const self = SimulatedThread::Current()) self->Note(what);
#endif
}

}  // namespace lsmkv
