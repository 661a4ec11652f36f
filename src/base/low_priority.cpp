#include "base/low_priority.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace lsmkv {
namespace {

// As ioprio_set(2) names them; the kernel's header for them is no C++.
constexpr int kIoprioWhoProcess = 1;
constexpr int kThisThread = 0;
constexpr long kIoprioClassIdle = 3;
constexpr int kIoprioClassShift = 13;

void Set(long priority) { static_cast<void>(::syscall(SYS_ioprio_set, kIoprioWhoProcess, kThisThread, priority)); }

}  // namespace

LowIoPriority::LowIoPriority() : before_(::syscall(SYS_ioprio_get, kIoprioWhoProcess, kThisThread)) {
  Set(kIoprioClassIdle << kIoprioClassShift);
}

LowIoPriority::~LowIoPriority() {
  if (before_ >= 0) Set(before_);
}

}  // namespace lsmkv
