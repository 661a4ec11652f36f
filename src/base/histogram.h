// A histogram of latencies (or any 64-bit quantity) in fixed memory, 15 KiB, with a relative error of at most 1/32.
//
//   values below 32            a bucket each
//   values in [2^n, 2^(n+1))   32 buckets of equal width, for n = 5 .. 63
//
// A percentile is the largest value its bucket may hold, but never more than the largest value added: it is exact or
// up to 3.2% too high, never too low.
// Threads: none of its own. Give each thread its own and Merge() copies of them.
// Source: HdrHistogram (Gil Tene), with 5 significant bits and without its range limits.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace lsmkv {

class Histogram {
 public:
  void Add(std::uint64_t value) {
    ++counts_[BucketOf(value)];
    ++count_;
    if (__builtin_add_overflow(sum_, value, &sum_)) sum_ = UINT64_MAX;
    if (value > max_) max_ = value;
    if (value < min_) min_ = value;
  }
  void Merge(const Histogram& other);
  void Clear() { *this = Histogram(); }

  std::uint64_t count() const { return count_; }
  std::uint64_t sum() const { return sum_; }                        ///< stays at UINT64_MAX once it got there
  std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  std::uint64_t max() const { return max_; }
  double mean() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_); }
  /// The smallest value that at least `percent` of the added values do not exceed; 0 when there are none.
  /// @param percent  0 .. 100; values outside are taken for the nearer end.
  std::uint64_t Percentile(double percent) const;

 private:
  static constexpr unsigned kSubBits = 5;
  static constexpr std::size_t kSubBuckets = std::size_t{1} << kSubBits;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSubBuckets;

  static std::size_t BucketOf(std::uint64_t value) {
    if (value < kSubBuckets) return static_cast<std::size_t>(value);
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    return (shift << kSubBits) + static_cast<std::size_t>(value >> shift);   // value >> shift is 32 .. 63
  }
  static std::uint64_t LargestIn(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t min_ = UINT64_MAX;
  std::uint64_t max_ = 0;
};

}  // namespace lsmkv
