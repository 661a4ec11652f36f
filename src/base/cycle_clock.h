#pragma once

#include <cstdint>

namespace lsmkv {

/// The processor's time stamp counter: a reading costs a few nanoseconds, so every command gets one.
class CycleClock {
 public:
  CycleClock();
  static std::uint64_t Now();
  /// Calibrated against the monotonic clock over the time since construction: exact enough after some milliseconds.
  double MicrosPerCycle() const;

 private:
  std::uint64_t start_cycles_ = 0;
  std::uint64_t start_nanos_ = 0;
};

}  // namespace lsmkv
