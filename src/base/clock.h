#pragma once

#include <chrono>
#include <cstdint>

namespace lsmkv {

/// Where time comes from, so that tests can move it.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::uint64_t WallMillis() const = 0;                     ///< since 1970; may jump
  virtual std::chrono::microseconds Monotonic() const = 0;          ///< never goes back
  static Clock& System();
};

}  // namespace lsmkv
