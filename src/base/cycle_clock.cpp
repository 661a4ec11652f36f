#include "base/cycle_clock.h"

#include <chrono>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace lsmkv {
namespace {

std::uint64_t MonotonicNanos() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

}  // namespace

CycleClock::CycleClock() : start_cycles_(Now()), start_nanos_(MonotonicNanos()) {}

std::uint64_t CycleClock::Now() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return MonotonicNanos();
#endif
}

double CycleClock::MicrosPerCycle() const {
  const std::uint64_t cycles = Now() - start_cycles_;
  const std::uint64_t nanos = MonotonicNanos() - start_nanos_;
  return cycles == 0 ? 0.0 : static_cast<double>(nanos) / 1000.0 / static_cast<double>(cycles);
}

}  // namespace lsmkv
