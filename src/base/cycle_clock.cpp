#include "base/cycle_clock.h"

#include <chrono>
#include <tuple>
#include <utility>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace lsmkv {
namespace {

std::uint64_t MonotonicNanos() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

/// Cycles and nanoseconds of one moment: taken again, a few times at most, when something came between the two.
std::pair<std::uint64_t, std::uint64_t> OneMoment() {
  constexpr std::uint64_t kCloseNanos = 2000;
  constexpr int kTries = 10;
  std::uint64_t cycles = 0, nanos = 0;
  for (int i = 0; i < kTries; ++i) {
    const std::uint64_t before = MonotonicNanos();
    cycles = CycleClock::Now();
    nanos = MonotonicNanos();
    if (nanos - before < kCloseNanos) break;
  }
  return {cycles, nanos};
}

}  // namespace

CycleClock::CycleClock() { std::tie(start_cycles_, start_nanos_) = OneMoment(); }

std::uint64_t CycleClock::Now() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return MonotonicNanos();
#endif
}

double CycleClock::MicrosPerCycle() const {
  const auto [now_cycles, now_nanos] = OneMoment();
  const std::uint64_t cycles = now_cycles - start_cycles_;
  const std::uint64_t nanos = now_nanos - start_nanos_;
  return cycles == 0 ? 0.0 : static_cast<double>(nanos) / 1000.0 / static_cast<double>(cycles);
}

}  // namespace lsmkv
