#include "commands/lsm_fields.h"

#include <fmt/core.h>

#include "base/numbers.h"

namespace lsmkv {

namespace {

/// Of the lookups of keys that a table did not have, the share its filter failed to save.
double FalsePositiveRate(const EngineStats& stats) {
  const std::uint64_t absent = stats.filter_negatives + stats.filter_false_positives;
  return absent == 0 ? 0 : static_cast<double>(stats.filter_false_positives) / static_cast<double>(absent);
}

}  // namespace

LsmFields LevelFields(const LevelInfo& level) {
  LsmFields fields = {
      {"level", std::uint64_t{level.level}},
      {"sstables", level.sstables},
      {"entries", level.entries},
      {"tombstones", level.tombstones},
      {"size_bytes", level.size_bytes},
      {"max_entries", level.max_entries},
      {"max_size_bytes", level.max_size_bytes},
      {"soft_max_entries", level.soft_max_entries},
      {"soft_max_size_bytes", level.soft_max_size_bytes},
  };
  if (level.level == 0) {
    fields.emplace_back("max_sstables", level.max_sstables);
    fields.emplace_back("soft_max_sstables", level.soft_max_sstables);
  }
  fields.emplace_back("score", level.score);
  fields.emplace_back("compacting", level.compacting);
  return fields;
}

LsmFields StatsFields(const EngineStats& stats) {
  std::uint64_t sstables = 0;
  std::uint64_t bytes = 0;
  LsmFields levels;
  for (const LevelInfo& level : stats.levels) {
    sstables += level.sstables;
    bytes += level.size_bytes;
    levels.emplace_back(fmt::format("l{}_sstables", level.level), level.sstables);
    levels.emplace_back(fmt::format("l{}_size_bytes", level.level), level.size_bytes);
  }
  LsmFields fields = {
      {"num_sstables", sstables},
      {"total_sstable_size_bytes", bytes},
      {"num_levels", std::uint64_t{stats.levels.size()}},
  };
  fields.insert(fields.end(), levels.begin(), levels.end());
  const LsmFields rest = {
      {"memtable_entries", stats.memtable_entries},
      {"memtable_bytes", stats.memtable_bytes},
      {"immutable_memtables", stats.immutable_memtables},
      {"block_cache_bytes", stats.block_cache_bytes},
      {"block_cache_capacity_bytes", stats.block_cache_capacity_bytes},
      {"block_cache_hits", stats.block_cache_hits},
      {"block_cache_misses", stats.block_cache_misses},
      {"row_cache_bytes", stats.row_cache_bytes},
      {"row_cache_rows", stats.row_cache_rows},
      {"row_cache_hits", stats.row_cache_hits},
      {"row_cache_misses", stats.row_cache_misses},
      {"open_sstables", stats.open_sstables},
      {"blob_files", stats.blob_files},
      {"blob_bytes", stats.blob_bytes},
      {"blob_live_bytes", stats.blob_live_bytes},
      {"blob_dead_bytes", stats.blob_dead_bytes},
      {"blob_bytes_moved", stats.blob_bytes_moved},
      {"filter_checks", stats.filter_checks},
      {"filter_negatives", stats.filter_negatives},
      {"filter_false_positives", stats.filter_false_positives},
      {"filter_false_positive_rate", FalsePositiveRate(stats)},
      {"flushes", stats.flushes},
      {"flush_bytes_written", stats.flush_bytes_written},
      {"compactions", stats.compactions},
      {"subcompactions", stats.subcompactions},
      {"ingests", stats.ingests},
      {"ingest_bytes_written", stats.ingest_bytes_written},
      {"compactions_running", stats.compactions_running},
      {"trivial_moves", stats.trivial_moves},
      {"compaction_rate_bytes", stats.compaction_rate_bytes},
      {"compaction_bytes_wanted", stats.compaction_bytes_wanted},
      {"disk_free_bytes", stats.disk_free_bytes},
      {"disk_reserve_bytes", stats.disk_reserve_bytes},
      {"disk_low", stats.disk_low},
      {"compaction_bytes_read", stats.compaction_bytes_read},
      {"compaction_bytes_written", stats.compaction_bytes_written},
      {"write_amplification", stats.write_amplification},
      {"write_amplification_since_ms", stats.write_amplification_since_ms},
      {"expired_entries", stats.expired_entries},
      {"removed_bytes_kept", stats.removed_bytes_kept},
      {"dead_bytes_known", stats.dead_bytes_known},
      {"oldest_dead_ms", stats.oldest_dead_ms},
      {"scrubs", stats.scrubs},
      {"scrub_running", stats.scrub_running},
      {"scrub_bytes", stats.scrub_bytes},
      {"scrub_damage", stats.scrub_damage},
      {"damaged_sstables", stats.damaged_sstables},
      {"last_scrub_time", stats.last_scrub_ms / 1000},
      {"user_bytes_written", stats.user_bytes_written},
      {"wal_bytes_written", stats.wal_bytes_written},
      {"wal_syncs", stats.wal_syncs},
      {"wal_segments", stats.wal_segments},
      {"wal_spare_segments", stats.wal_spare_segments},
      {"wal_spare_bytes", stats.wal_spare_bytes},
      {"wal_recycled_segments", stats.wal_recycled_segments},
      {"stalls", stats.stalls},
      {"stall_seconds_total", static_cast<double>(stats.stall_micros) / 1e6},
      {"writers_waiting", stats.writers_waiting},
      {"longest_stall_micros", stats.longest_stall_micros},
      {"write_debt", stats.write_debt},
      {"write_limit_bytes", stats.write_limit_bytes},
      {"l0_sstables_in_merges", stats.l0_sstables_in_merges},
      {"writes_slowed", stats.writes_slowed},
      {"writes_stopped", stats.writes_stopped},
      {"last_sequence", stats.last_sequence},
      {"durable_sequence", stats.durable_sequence},
  };
  fields.insert(fields.end(), rest.begin(), rest.end());
  return fields;
}

std::string LsmText(const LsmValue& value) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return std::to_string(*number);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "1" : "0";
  char buffer[kDoubleTextBytes];
  return std::string(FormatDouble(std::get<double>(value), buffer));
}

}  // namespace lsmkv
