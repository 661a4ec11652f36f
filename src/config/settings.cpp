#include "config/settings.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/assert.h"
#include "base/words.h"
#include "config/directive.h"
#include "config/memory_plan.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kMb = 1ull << 20;
constexpr std::uint32_t kMostAutomaticIoThreads = 4;

Settings MakeDefaults() {
  Settings settings;
  for (const Directive& directive : Directives()) {
    const auto words = SplitWords(directive.default_text);
    LSMKV_ASSERT(words.has_value());
    LSMKV_ASSERT(!ParseValue(directive, *words, &settings).has_value());
  }
  return settings;
}

/// Of directives whose bounds are within 32 bits.
std::uint32_t Narrow(std::uint64_t value) {
  LSMKV_ASSERT(value <= UINT32_MAX);
  return static_cast<std::uint32_t>(value);
}

}  // namespace

const Settings& DefaultSettings() {
  static const Settings defaults = MakeDefaults();
  return defaults;
}

Options EngineOptions(const Settings& settings) {
  Options options;
  options.dir = settings.dir;
  options.memtable_entries = settings.memtable_entries;
  options.max_immutable_memtables = Narrow(settings.max_immutable_memtables);
  options.level_ratio = Narrow(settings.level_ratio);
  options.base_level_bytes = settings.base_level_mb * kMb;
  options.base_level_entries = settings.base_level_entries;
  options.max_l0_sstables = Narrow(settings.max_l0_sstables);
  options.l0_slowdown_sstables = Narrow(settings.l0_slowdown_sstables);
  options.l0_stop_sstables = Narrow(settings.l0_stop_sstables);
  options.soft_limit_ratio = settings.soft_limit_ratio;
  options.compaction_bytes_per_second = settings.compaction_rate_mb * kMb;
  options.dead_ratio = settings.dead_ratio;
  options.dead_max_age_ms = settings.dead_max_age_s * 1000;
  options.max_sstable_bytes = settings.max_sstable_mb * kMb;
  options.block_bytes = settings.block_bytes;
  options.bloom_bits_per_key = Narrow(settings.bloom_bits_per_key);
  options.optimize_for_hits = settings.optimize_for_hits;
  options.compression = settings.compression;
  options.min_blob_bytes = settings.min_blob_bytes;
  options.wal_fsync = settings.wal_fsync;
  options.wal_skip_corruption = settings.wal_skip_corruption;
  options.scrub_interval_ms = settings.scrub_interval_s * 1000;
  options.disk_reserve_bytes = settings.disk_reserve_bytes;
  options.flush_workers = Narrow(settings.flush_workers);
  options.compaction_workers = Narrow(settings.compaction_workers);
  return options;
}

std::uint32_t IoThreads(const Settings& settings, std::uint32_t cores) {
  if (settings.io_threads != 0) return Narrow(settings.io_threads);
  return std::clamp((cores + 1) / 2, 1u, kMostAutomaticIoThreads);
}

std::optional<Contradiction> FindContradiction(const Settings& s) {
  if (s.l0_slowdown_sstables >= s.l0_stop_sstables) {
    return Contradiction{"l0-slowdown-sstables",
                         fmt::format("{} is not below l0-stop-sstables {}: writers are slowed before they wait",
                                     s.l0_slowdown_sstables, s.l0_stop_sstables)};
  }
  if (s.max_l0_sstables > s.l0_slowdown_sstables) {
    return Contradiction{"max-l0-sstables",
                         fmt::format("{} is above l0-slowdown-sstables {}: level 0 is compacted before writers are slowed",
                                     s.max_l0_sstables, s.l0_slowdown_sstables)};
  }
  if (s.max_memory_mb != 0 && s.max_memory_mb < 2 * s.memtable_mb) {
    return Contradiction{"max-memory-mb", fmt::format("{} is less than two memtables of memtable-size-mb {} take: one is filled "
                                                      "while another is flushed", s.max_memory_mb, s.memtable_mb)};
  }
  if (s.memory_budget_bytes != 0) {
    const Status fits = PlanMemory(s, {}).status();
    if (!fits.ok()) return Contradiction{"memory-budget", fits.message()};
  }
  if (s.port == 0 && s.unixsocket.empty()) {
    return Contradiction{"port", "is 0 and there is no unixsocket: nobody could connect"};
  }
  if (s.port != 0 && s.bind.empty() && s.unixsocket.empty()) {
    return Contradiction{"bind", "names no address and there is no unixsocket: nobody could connect"};
  }
  return std::nullopt;
}

}  // namespace lsmkv
