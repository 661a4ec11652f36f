#pragma once

namespace lsmkv {

/// While it lives, this thread's disk accesses stand back for everybody else's (Linux's idle I/O class; the schedulers of
/// some disks know none). Best effort, and put back at the end.
class LowIoPriority {
 public:
  LowIoPriority();
  ~LowIoPriority();
  LowIoPriority(const LowIoPriority&) = delete;
  LowIoPriority& operator=(const LowIoPriority&) = delete;

 private:
  long before_;   // -1: could not be asked
};

/// How far this thread stands back for others at the processor, 0 .. 19 (Linux's nice level, which belongs to a thread there, against what
/// POSIX says: setpriority(2), NOTES).
int NiceOfThisThread();
/// Best effort.
void SetNiceOfThisThread(int nice);
/// Whether a thread that has stood back further may come forward again to where it was: a privilege (CAP_SYS_NICE, RLIMIT_NICE).
bool MayLowerNiceAgain();

}  // namespace lsmkv
