#include "base/histogram.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

namespace lsmkv {
namespace {

std::uint64_t ExactPercentile(const std::vector<std::uint64_t>& sorted, double percent) {
  const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
  return sorted[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

/// Values as different latencies would give them: of one size, long-tailed, over the whole range.
std::vector<std::uint64_t> SomeValues(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> long_tailed(6, 2);
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 5000; ++i) {
    switch (seed % 3) {
      case 0: values.push_back(100 + random() % 50); break;
      case 1: values.push_back(static_cast<std::uint64_t>(long_tailed(random))); break;
      default: values.push_back(random() >> (random() % 64));
    }
  }
  return values;
}

}  // namespace

TEST_CASE("percentiles are at most 1/32 above the exact ones and never below", "[histogram]") {
  const auto seed = GENERATE(range(0u, 12u));
  CAPTURE(seed);
  std::vector<std::uint64_t> values = SomeValues(seed);
  Histogram histogram;
  for (const std::uint64_t value : values) histogram.Add(value);
  std::ranges::sort(values);
  for (const double percent : {0.0, 0.01, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const std::uint64_t exact = ExactPercentile(values, percent);
    const std::uint64_t got = histogram.Percentile(percent);
    CAPTURE(percent, exact, got);
    CHECK(got >= exact);
    CHECK(got - exact <= exact / 32);
  }
  CHECK(histogram.max() == values.back());
  CHECK(histogram.min() == values.front());
  CHECK(histogram.count() == values.size());
}

TEST_CASE("small values are counted exactly", "[histogram]") {
  Histogram histogram;
  for (std::uint64_t value = 0; value < 64; ++value) histogram.Add(value);
  for (int rank = 1; rank <= 64; ++rank) {
    CHECK(histogram.Percentile(100.0 * rank / 64) == static_cast<std::uint64_t>(rank - 1));
  }
  CHECK(histogram.mean() == Approx(31.5));
  CHECK(histogram.sum() == 63 * 64 / 2);
}

TEST_CASE("every power of two and its neighbours have a bucket", "[histogram]") {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    for (const std::uint64_t value : {power - 1, power, power + 1, UINT64_MAX - power}) {
      CAPTURE(value);
      Histogram histogram;
      histogram.Add(value);
      histogram.Add(UINT64_MAX);
      CHECK(histogram.Percentile(50) >= value);
      CHECK(histogram.Percentile(50) - value <= value / 32);
      CHECK(histogram.Percentile(100) == UINT64_MAX);
    }
  }
}

TEST_CASE("merging gives what adding to one would have given", "[histogram]") {
  Histogram one;
  Histogram parts[3];
  for (const std::uint64_t value : SomeValues(1)) {
    one.Add(value);
    parts[value % 3].Add(value);
  }
  Histogram merged;
  for (const Histogram& part : parts) merged.Merge(part);
  for (int percent = 0; percent <= 100; ++percent) CHECK(merged.Percentile(percent) == one.Percentile(percent));
  CHECK(merged.count() == one.count());
  CHECK(merged.sum() == one.sum());
  CHECK(merged.min() == one.min());
  CHECK(merged.max() == one.max());
}

TEST_CASE("an empty histogram answers 0, and a sum does not wrap", "[histogram]") {
  Histogram histogram;
  CHECK(histogram.Percentile(50) == 0);
  CHECK(histogram.mean() == 0);
  CHECK(histogram.min() == 0);
  histogram.Add(UINT64_MAX);
  histogram.Add(UINT64_MAX);
  CHECK(histogram.sum() == UINT64_MAX);
  CHECK(histogram.Percentile(-1) == UINT64_MAX);
  CHECK(histogram.Percentile(200) == UINT64_MAX);
  CHECK(histogram.Percentile(std::nan("")) == UINT64_MAX);
  histogram.Clear();
  CHECK(histogram.count() == 0);
  CHECK(histogram.max() == 0);
}

}  // namespace lsmkv
