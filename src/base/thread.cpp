#include "base/thread.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace lsmkv {
namespace {

constexpr std::size_t kMaxThreadNameBytes = 15;
constexpr int kNicest = 19;

#ifdef LSMKV_SIMULATION

/// The first thread_local object of its thread, so the last one to go: what the others do when they are destroyed is simulated too.
struct Membership {
  std::shared_ptr<SimulatedThread> thread;
  ~Membership() {
    if (thread == nullptr) return;
    SimulatedThread::SetCurrent(nullptr);
    thread->Leave();
  }
};

void RunSimulated(std::shared_ptr<SimulatedThread> thread, const std::function<void()>& run) {
  static thread_local Membership membership;
  membership.thread = std::move(thread);
  membership.thread->Enter();
  SimulatedThread::SetCurrent(membership.thread.get());
  run();
}

#endif

void RunNamed(const std::string& name, int nice, const std::function<void()>& run) {
  pthread_setname_np(pthread_self(), name.substr(0, kMaxThreadNameBytes).c_str());
  // On Linux a nice level belongs to the thread, against what POSIX says (setpriority(2), NOTES).
  const auto self = static_cast<id_t>(gettid());
  if (nice != 0) setpriority(PRIO_PROCESS, self, std::min(getpriority(PRIO_PROCESS, self) + nice, kNicest));
  run();
}

}  // namespace

Thread::Thread(const std::string& name, std::function<void()> run, int nice) {
#ifdef LSMKV_SIMULATION
  if (SimulatedThread* const self = SimulatedThread::Current()) {
    *this = InSimulation(self->NewThread(name), std::move(run));
    return;
  }
#endif
  thread_ = std::thread([name, nice, run = std::move(run)] { RunNamed(name, nice, run); });
}

#ifdef LSMKV_SIMULATION
Thread Thread::InSimulation(const std::shared_ptr<SimulatedThread>& simulated, std::function<void()> run) {
  Thread thread;
  thread.simulated_ = simulated;
  thread.thread_ = std::thread([simulated, run = std::move(run)] { RunSimulated(simulated, run); });
  return thread;
}
#endif

void Thread::Join() {
#ifdef LSMKV_SIMULATION
  if (simulated_ != nullptr) {
    if (SimulatedThread* const self = SimulatedThread::Current()) self->Join(*simulated_);
  }
#endif
  thread_.join();
}

void SleepFor(std::chrono::microseconds time) {
#ifdef LSMKV_SIMULATION
  if (SimulatedThread* const self = SimulatedThread::Current()) return self->Sleep(time);
#endif
  std::this_thread::sleep_for(time);
}

}  // namespace lsmkv
