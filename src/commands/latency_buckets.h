#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lsmkv {

/// How many runs of a command took how long, by powers of two of 1032 ns: bucket 0 is all below 1032 ns, bucket n all from
/// 1032 << (n - 1) ns on below twice that, the last one everything longer too (18 minutes and more). 1032 and not 1024 is where Redis's
/// LATENCY HISTOGRAM, which is made from an HdrHistogram of two digits, draws its lines; it ends at a second.
inline constexpr std::size_t kLatencyBuckets = 32;
inline constexpr std::uint64_t kLatencyBucketNanos = 1032;
using LatencyBuckets = std::array<std::uint64_t, kLatencyBuckets>;

/// What it goes by in LATENCY HISTOGRAM: the longest time it counts, in microseconds.
constexpr std::uint64_t BucketMicros(std::size_t bucket) { return ((kLatencyBucketNanos << bucket) - 1) / 1000; }

/// Within how many microseconds `percentile` of a hundred runs ended, of those that are counted: the upper end of a bucket, and so up to twice what it was.
/// At least one run is counted.
double MicrosAtPercentile(const LatencyBuckets& buckets, double percentile);

}  // namespace lsmkv
