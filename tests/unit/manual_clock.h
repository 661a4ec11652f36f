// A clock that stands still until a test moves it, so that how long something takes does not hang on the machine.
#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace lsmkv {

class ManualClock final : public Clock {
 public:
  std::uint64_t WallMillis() const override { return 1'000'000 + static_cast<std::uint64_t>(Monotonic().count()) / 1000; }
  std::chrono::microseconds Monotonic() const override { return std::chrono::microseconds(now_us_.load()); }
  void Advance(std::chrono::microseconds time) { now_us_ += time.count(); }

 private:
  std::atomic<std::int64_t> now_us_{1'000'000};
};

}  // namespace lsmkv
