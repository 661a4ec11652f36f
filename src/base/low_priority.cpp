#include "base/low_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <thread>

namespace lsmkv {
namespace {

// As ioprio_set(2) names them; the kernel's header for them is no C++.
constexpr int kIoprioWhoProcess = 1;
constexpr int kThisThread = 0;
constexpr long kIoprioClassIdle = 3;
constexpr int kIoprioClassShift = 13;

void Set(long priority) { static_cast<void>(::syscall(SYS_ioprio_set, kIoprioWhoProcess, kThisThread, priority)); }

constexpr int kNicest = 19;

bool SetNice(int nice) { return setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), std::min(nice, kNicest)) == 0; }

/// On a thread of its own, since it may have to stay where that puts it.
bool TryLoweringNice() {
  bool may = false;
  try {
    std::thread([&may] {
      const int own = NiceOfThisThread();
      may = own < kNicest && SetNice(own + 1) && SetNice(own);
    }).join();
  } catch (const std::system_error&) {   // no more threads: then it stays unused
  }
  return may;
}

}  // namespace

int NiceOfThisThread() { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); }

void SetNiceOfThisThread(int nice) { static_cast<void>(SetNice(nice)); }

bool MayLowerNiceAgain() {
  static const bool may = TryLoweringNice();
  return may;
}

LowIoPriority::LowIoPriority() : before_(::syscall(SYS_ioprio_get, kIoprioWhoProcess, kThisThread)) {
  Set(kIoprioClassIdle << kIoprioClassShift);
}

LowIoPriority::~LowIoPriority() {
  if (before_ >= 0) Set(before_);
}

}  // namespace lsmkv
