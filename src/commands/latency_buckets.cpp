#include "commands/latency_buckets.h"

#include <algorithm>
#include <numeric>

#include "base/assert.h"

namespace lsmkv {

double MicrosAtPercentile(const LatencyBuckets& buckets, double percentile) {
  const std::uint64_t runs = std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
  LSMKV_ASSERT(runs > 0);
  const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(percentile / 100 * static_cast<double>(runs) + 0.5), 1, runs);
  std::size_t bucket = 0;
  for (std::uint64_t counted = buckets[0]; counted < rank; counted += buckets[bucket]) ++bucket;
  return static_cast<double>((kLatencyBucketNanos << bucket) - 1) / 1000;
}

}  // namespace lsmkv
