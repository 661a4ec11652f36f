#include "server/command_watch.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "commands/command.h"
#include "config/settings.h"
#include "server/stats.h"

namespace lsmkv {

void CommandWatch::NoteSlow(const CommandSpec& spec, std::vector<std::string> args, const ClientState& client, std::uint64_t cycles,
                            std::uint64_t now_ms) {
  if (static_cast<std::int64_t>(cycles) < 0) return;     // the counters of two cores are not quite one
  const auto took_us = static_cast<std::uint64_t>(static_cast<double>(cycles) * clock_.MicrosPerCycle());
  const std::uint64_t now_s = now_ms / 1000;
  const std::int64_t slower_than_us = slower_than_us_.load(std::memory_order_relaxed);
  if (slower_than_us >= 0 && took_us >= static_cast<std::uint64_t>(slower_than_us) && !args.empty()) {
    slow_log_.Add({0, now_s, took_us, std::move(args), client.address, client.name});
  }
  const LatencyEvent event = (spec.flags & kFast) != 0 ? LatencyEvent::kFastCommand : LatencyEvent::kCommand;
  latency_.Note(event, std::chrono::microseconds(took_us), now_s);
}

void CommandWatch::Apply(const Settings& settings) {
  slow_log_.SetCapacity(settings.slowlog_max_entries);
  latency_.SetThreshold(settings.latency_monitor_threshold_ms);
  slower_than_us_.store(settings.slowlog_max_entries == 0 ? -1 : settings.slowlog_log_slower_than_us, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  tracking_ = settings.latency_tracking;
  CalibrateLocked();
}

void CommandWatch::Calibrate() {
  MutexLock lock(mutex_);
  CalibrateLocked();
}

void CommandWatch::CalibrateLocked() {
  const double micros_per_cycle = clock_.MicrosPerCycle();
  double slow_us = std::ldexp(1.0, 64);
  if (const std::int64_t us = slower_than_us_.load(std::memory_order_relaxed); us >= 0) slow_us = static_cast<double>(us);
  if (const std::uint64_t ms = latency_.threshold_ms(); ms != 0) slow_us = std::min(slow_us, static_cast<double>(ms) * 1000);
  // A little less, since the clock may get more exact meanwhile: NoteSlow() looks again.
  const double cycles = micros_per_cycle == 0 ? 0 : slow_us / micros_per_cycle * 0.99;
  slow_cycles_.store(cycles < std::ldexp(1.0, 63) ? static_cast<std::uint64_t>(cycles) : UINT64_MAX, std::memory_order_relaxed);
  const double factor = std::ldexp(micros_per_cycle * 1000 / static_cast<double>(kLatencyBucketNanos), 65);
  bucket_factor_.store(tracking_ ? static_cast<std::uint64_t>(std::clamp(factor, 1.0, std::ldexp(1.0, kCountedBuckets - 1))) : 0, std::memory_order_relaxed);
}

}  // namespace lsmkv
