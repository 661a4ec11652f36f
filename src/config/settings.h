// What the server was told, typed: one field for each row of the directive table (directive.h), in the units the row
// is written in. A Settings is a plain value. The running ones are const and shared (config.h), so that a loop
// that holds one sees a consistent set while CONFIG SET publishes the next.
// The defaults stand in the table, not here: DefaultSettings() makes them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lsmkv/options.h"

namespace lsmkv {

/// Redis's names, in its order. kDebug shows everything, kNotice what an operator wants to read.
enum class LogVerbosity : std::uint8_t { kDebug, kVerbose, kNotice, kWarning };

enum class ClientClass : std::uint8_t { kNormal, kReplica, kPubSub };
inline constexpr std::size_t kClientClasses = 3;

/// 0 means no limit. A client is closed above `hard_bytes`, or after `soft_seconds` in a row above `soft_bytes`.
struct OutputBufferLimit {
  std::uint64_t hard_bytes = 0;
  std::uint64_t soft_bytes = 0;
  std::uint64_t soft_seconds = 0;
  bool operator==(const OutputBufferLimit&) const = default;
};
using OutputBufferLimits = std::array<OutputBufferLimit, kClientClasses>;

struct Settings {
  // Network
  std::vector<std::string> bind;            ///< addresses; a leading '-' means: fine if it is not there; may be empty
  std::uint64_t port = 0;                   ///< 0: no TCP
  std::string unixsocket;                   ///< empty: none
  std::uint32_t unixsocketperm = 0;         ///< 0: left to the umask
  std::uint64_t tcp_backlog = 0;
  std::uint64_t tcp_keepalive_seconds = 0;  ///< 0: off
  std::uint64_t timeout_seconds = 0;        ///< 0: idle clients stay

  // Security
  std::string requirepass;                  ///< empty: no password
  bool protected_mode = false;

  // Clients
  std::uint64_t maxclients = 0;
  std::uint64_t proto_max_bulk_bytes = 0;
  std::uint64_t client_query_buffer_bytes = 0;
  OutputBufferLimits client_output_buffer;
  std::uint64_t maxmemory_clients_bytes = 0;  ///< 0: by the budget

  // Memory; 0 in this and in the parts: see memory_plan.h
  std::uint64_t memory_budget_bytes = 0;

  // General
  std::uint64_t databases = 0;
  LogVerbosity loglevel = LogVerbosity::kNotice;
  std::string logfile;                      ///< empty: standard output
  std::uint64_t shutdown_timeout_seconds = 0;

  // Monitoring
  std::int64_t slowlog_log_slower_than_us = 0;   ///< -1: nothing is logged
  std::uint64_t slowlog_max_entries = 0;
  std::uint64_t latency_monitor_threshold_ms = 0;  ///< 0: off
  bool latency_tracking = false;
  std::vector<double> latency_tracking_info_percentiles;

  // Threads
  std::uint64_t io_threads = 0;             ///< 0: as many as IoThreads() says
  std::uint64_t read_threads = 0;
  std::uint64_t admin_threads = 0;

  // Data directory and durability
  std::string dir;                          ///< absolute once loaded
  WalFsync wal_fsync = WalFsync::kEverySec;
  bool wal_skip_corruption = false;
  std::uint64_t disk_reserve_bytes = 0;     ///< 0: nothing is kept
  std::uint64_t checkpoints_kept = 0;
  std::uint64_t scrub_interval_s = 0;       ///< 0: only when asked

  // Memtables
  std::uint64_t memtable_entries = 0;
  std::uint64_t memtable_mb = 0;            ///< 0: by the budget; likewise the next but one, block_cache_mb, max_open_sstables
  std::uint64_t max_immutable_memtables = 0;
  std::uint64_t max_memory_mb = 0;
  std::uint64_t flush_workers = 0;

  // Levels and compaction
  std::uint64_t level_ratio = 0;
  std::uint64_t base_level_mb = 0;
  std::uint64_t base_level_entries = 0;
  std::uint64_t max_l0_sstables = 0;
  std::uint64_t l0_slowdown_sstables = 0;
  std::uint64_t l0_stop_sstables = 0;
  double soft_limit_ratio = 0;
  std::uint64_t max_sstable_mb = 0;
  std::uint64_t compaction_workers = 0;
  std::uint64_t compaction_rate_mb = 0;
  double dead_ratio = 0;
  std::uint64_t dead_max_age_s = 0;

  // Tables and caches
  std::uint64_t block_cache_mb = 0;
  std::uint64_t row_cache_percent = 0;
  std::uint64_t block_bytes = 0;
  bool optimize_for_hits = false;
  std::uint64_t max_open_sstables = 0;
  std::uint64_t bloom_bits_per_key = 0;
  Compression compression = Compression::kNone;
  std::uint64_t min_blob_bytes = 0;
};

/// Every row's default.
const Settings& DefaultSettings();
/// The engine's part, in the engine's units. The pointers (file system, clock, filter) are left null, and what the memory
/// budget decides has the engine's default: see ApplyPlan (memory_plan.h).
Options EngineOptions(const Settings& settings);
/// How many event loops to run on a machine with `cores` cores.
std::uint32_t IoThreads(const Settings& settings, std::uint32_t cores);

}  // namespace lsmkv
