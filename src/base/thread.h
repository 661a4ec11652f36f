// A thread with a name, and the one place where base and engine make threads, sleep and join.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "base/simulated_thread.h"

namespace lsmkv {

class Thread {
 public:
  Thread() = default;
  /// Runs `run` on a thread of its own.
  /// @param name  shown by ps and top; cut to the 15 bytes Linux allows.
  /// @param nice  0 .. 19: how far the thread stands back for the process's others; best effort.
  /// Errors   std::system_error when the system refuses another thread.
  Thread(const std::string& name, std::function<void()> run, int nice = 0);
#ifdef LSMKV_SIMULATION
  /// For a simulation's first thread, which no other of its threads makes.
  static Thread InSimulation(const std::shared_ptr<SimulatedThread>& simulated, std::function<void()> run);
#endif
  Thread(Thread&&) noexcept = default;
  Thread& operator=(Thread&&) noexcept = default;   ///< aborts unless this one is joined or empty, as std::thread does

  bool joinable() const { return thread_.joinable(); }
  bool IsCurrent() const { return thread_.get_id() == std::this_thread::get_id(); }
  /// Returns when the thread has ended. Once, and only if joinable().
  void Join();

 private:
#ifdef LSMKV_SIMULATION
  std::shared_ptr<SimulatedThread> simulated_;   // null: the system's
#endif
  std::thread thread_;
};

void SleepFor(std::chrono::microseconds time);

}  // namespace lsmkv
