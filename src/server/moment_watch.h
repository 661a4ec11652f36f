#pragma once

#include <algorithm>
#include <chrono>

namespace lsmkv {

/// Whether moments that a loop lets pass last about as long as they should. Where timers are coarse or others want the processor
/// they do not, and then there had better be none for a second. Threads: its loop's.
class MomentWatch {
 public:
  explicit MomentWatch(std::chrono::microseconds too_long) : too_long_(too_long) {}
  /// A moment was taken from `from` to `to`.
  void Took(std::chrono::microseconds from, std::chrono::microseconds to) {
    overslept_ = to - from > too_long_ ? overslept_ + kOneInMany : std::max(overslept_, 1) - 1;
    if (overslept_ <= kTooOften) [[likely]] return;
    overslept_ = 0;
    none_before_ = to + kRest;
  }
  bool Fine(std::chrono::microseconds now) const { return now >= none_before_; }

 private:
  static constexpr std::chrono::seconds kRest{1};
  static constexpr int kOneInMany = 8;       // oversleeping is too often when it is one moment in so many,
  static constexpr int kTooOften = 64;       // for some time

  const std::chrono::microseconds too_long_;
  int overslept_ = 0;
  std::chrono::microseconds none_before_{0};
};

}  // namespace lsmkv
