#include "commands/latency_report.h"

#include <fmt/core.h>

#include <algorithm>

namespace lsmkv {
namespace {

constexpr std::size_t kWidth = 80;
constexpr std::uint64_t kHeight = 8;

/// "5s", "12m", "3h", "9d".
std::string Age(std::uint64_t time_s, std::uint64_t now_s) {
  const std::uint64_t seconds = now_s - std::min(time_s, now_s);
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 120 * 60) return fmt::format("{}m", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

std::string_view Advice(LatencyEvent event) {
  switch (event) {
    case LatencyEvent::kCommand:
      return "SLOWLOG GET shows which commands these were. Reads that wait for the disk get rarer with a larger memory-budget.";
    case LatencyEvent::kFastCommand:
      return "These take no time by themselves: they waited for the disk (a larger memory-budget), or for the processor.";
    case LatencyEvent::kEventLoop:
      return "All clients of that loop waited. The log of the server says what with; more cores or io-threads may help.";
    case LatencyEvent::kWalWrite:
      return "The system held up a write to the log: the disk is busier than it can be, or shared with somebody who is.";
    case LatencyEvent::kWalSync:
      return "The disk is slow in making the log durable. With wal-fsync everysec clients do not wait for that.";
    case LatencyEvent::kWriteStall:
      return "Compaction is behind the writers: see LSM LEVELS and LSM STATS, compaction-workers and compaction-rate-mb.";
  }
  return {};
}

}  // namespace

std::string LatencyGraph(LatencyEvent event, const LatencySeries& series, std::uint64_t now_s) {
  const std::size_t columns = std::min(kWidth, series.samples.size());
  const auto first = series.samples.end() - static_cast<std::ptrdiff_t>(columns);
  const auto by_ms = [](const LatencySample& a, const LatencySample& b) { return a.ms < b.ms; };
  const auto [low, high] = std::minmax_element(first, series.samples.end(), by_ms);
  std::string text = fmt::format("{} - high {} ms, low {} ms (all time high {} ms)\n{}\n", NameOf(event), high->ms, low->ms, series.max_ms,
                                 std::string(kWidth, '-'));
  const std::uint64_t top = std::max<std::uint64_t>(high->ms, 1);
  for (std::uint64_t row = kHeight; row > 0; --row) {
    for (auto sample = first; sample != series.samples.end(); ++sample) {
      const std::uint64_t filled = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(static_cast<double>(sample->ms) /
                                                                                         static_cast<double>(top) * kHeight + 0.5));
      text += filled >= row ? '#' : ' ';
    }
    text += '\n';
  }
  return text + fmt::format("\nfrom {} ago to {} ago\n", Age(first->time_s, now_s), Age(series.samples.back().time_s, now_s));
}

std::string LatencyAdvice(const std::array<LatencySeries, kLatencyEvents>& all, std::uint64_t threshold_ms, std::uint64_t now_s) {
  std::string text;
  if (threshold_ms == 0) {
    text = "The latency monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> makes it keep what takes longer.\n";
  }
  bool any = false;
  for (std::size_t i = 0; i < kLatencyEvents; ++i) {
    const LatencySeries& series = all[i];
    if (series.samples.empty()) continue;
    any = true;
    std::uint64_t sum = 0;
    for (const LatencySample& sample : series.samples) sum += sample.ms;
    const auto event = static_cast<LatencyEvent>(i);
    text += fmt::format("{}: {} seconds with spikes since {} ago, the last {} ago; {} ms on average, {} ms at worst. {}\n", NameOf(event),
                        series.samples.size(), Age(series.samples.front().time_s, now_s), Age(series.samples.back().time_s, now_s),
                        sum / series.samples.size(), series.max_ms, Advice(event));
  }
  if (!any && threshold_ms != 0) text += fmt::format("Nothing took {} ms or longer since the last LATENCY RESET.\n", threshold_ms);
  return text;
}

}  // namespace lsmkv
