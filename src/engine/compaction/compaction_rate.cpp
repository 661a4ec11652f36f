#include "engine/compaction/compaction_rate.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/thread.h"
#include "engine/compaction/blob_garbage.h"

namespace lsmkv {

using std::chrono::microseconds;

double CompactionDebt(const Version& version, const Options& options) {
  double debt = BlobGarbage(version).dead_share() / kBlobDeadLimit;
  for (std::uint32_t n = 0; n < version.level_count(); ++n) {
    const LevelFigures figures = version.figures(n);
    const Score score = ScoreOf(figures, LimitsOfLevel(options, n));
    const bool grows_by_choice = n == 0 && options.max_sstable_bytes != 0;
    const std::uint64_t figure = grows_by_choice ? figures.sstables : score.figure;
    const std::uint64_t hard = grows_by_choice ? options.l0_slowdown_sstables : score.limit.hard;
    if (hard != 0) debt = std::max(debt, static_cast<double>(figure) / static_cast<double>(hard));
  }
  return debt;
}

CompactionRate::CompactionRate(Clock& clock, std::uint64_t fixed_bytes_per_second)
    : clock_(clock), fixed_(fixed_bytes_per_second != 0), rate_(fixed_bytes_per_second) {}

void CompactionRate::Charge(std::uint64_t bytes, const std::atomic<bool>& hurry) {
  constexpr microseconds kBurst{20'000};       // shorter pauses than this are saved up
  constexpr microseconds kSlice{10'000};       // how late `hurry` and a new rate are noticed
  const std::uint64_t rate = bytes_per_second();
  if (rate == 0) return;
  microseconds wait{0};
  {
    MutexLock lock(mutex_);
    const microseconds now = clock_.Monotonic();
    paid_until_ = std::max(paid_until_, now) + microseconds(static_cast<std::int64_t>(1e6 * static_cast<double>(bytes) / static_cast<double>(rate)));
    wait = paid_until_ - now;
  }
  if (wait < kBurst) return;
  for (; wait.count() > 0 && !hurry.load(std::memory_order_relaxed) && bytes_per_second() != 0; wait -= kSlice)
    SleepFor(std::min(wait, kSlice));
}

void CompactionRate::Adapt(const Pressure& pressure) {
  constexpr double kTooSlow = 3;               // times the quiet p99
  constexpr double kNoticeable = 1000;         // microseconds: below this nobody is disturbed
  if (fixed_) return;
  const auto p99 = static_cast<double>(pressure.foreground_p99.count());
  if (!pressure.merging && p99 > 0) quiet_p99_us_ = quiet_p99_us_ == 0 ? p99 : 0.9 * quiet_p99_us_ + 0.1 * p99;
  const bool disturbed = pressure.merging && p99 > std::max(kNoticeable, kTooSlow * quiet_p99_us_);
  constexpr double kLeast = kLeastRate, kMost = kMostRate;
  const double near_limit = std::clamp((pressure.debt - 0.5) / 0.5, 0.0, 1.0);
  wanted_ = std::clamp(wanted_ * (disturbed ? 0.7 : 1.1), kLeast * std::pow(kMost / kLeast, near_limit), kMost);
  const bool unbounded = pressure.debt >= 1 || wanted_ >= kMost;
  rate_.store(unbounded ? 0 : static_cast<std::uint64_t>(wanted_), std::memory_order_relaxed);
}

void LatencyWindow::Add(microseconds latency) {
  const double quarter_powers = 4 * std::log2(static_cast<double>(std::max<std::int64_t>(1, latency.count())));
  const auto bucket = static_cast<std::size_t>(quarter_powers);
  counts_[std::min(bucket, kBuckets - 1)].fetch_add(1, std::memory_order_relaxed);
}

microseconds LatencyWindow::TakeP99() {
  std::array<std::uint64_t, kBuckets> counts{};
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) total += counts[i] = counts_[i].exchange(0, std::memory_order_relaxed);
  if (total == 0) return microseconds(0);
  std::uint64_t above = total / 100;           // that many may be slower
  for (std::size_t i = kBuckets; i-- > 0;) {
    if (counts[i] > above) return microseconds(static_cast<std::int64_t>(std::ceil(std::exp2(static_cast<double>(i + 1) / 4))));
    above -= counts[i];
  }
  return microseconds(0);
}

}  // namespace lsmkv
