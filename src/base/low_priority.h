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

}  // namespace lsmkv
