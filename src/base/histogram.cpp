#include "base/histogram.h"

#include <algorithm>
#include <cmath>

namespace lsmkv {

void Histogram::Merge(const Histogram& other) {
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) counts_[bucket] += other.counts_[bucket];
  count_ += other.count_;
  if (__builtin_add_overflow(sum_, other.sum_, &sum_)) sum_ = UINT64_MAX;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::LargestIn(std::size_t bucket) {
  if (bucket < 2 * kSubBuckets) return bucket;
  const auto shift = static_cast<unsigned>(bucket / kSubBuckets) - 1;
  const std::uint64_t first = (kSubBuckets + bucket % kSubBuckets) << shift;
  return first + ((std::uint64_t{1} << shift) - 1);
}

std::uint64_t Histogram::Percentile(double percent) const {
  if (count_ == 0) return 0;
  if (!(percent > 0)) return min_;
  if (percent >= 100) return max_;
  const auto rank = static_cast<std::uint64_t>(std::ceil(percent / 100 * static_cast<double>(count_)));
  const std::uint64_t wanted = std::clamp<std::uint64_t>(rank, 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted) return std::clamp(LargestIn(bucket), min_, max_);
  }
  return max_;
}

}  // namespace lsmkv
