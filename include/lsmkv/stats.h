// What the engine tells about itself: LSM LEVELS, LSM STATS, INFO lsm and the log all read these.
#pragma once

#include <cstdint>
#include <vector>

namespace lsmkv {

/// One level. A limit of 0 means there is none.
struct LevelInfo {
  std::uint32_t level = 0;
  std::uint64_t sstables = 0;
  std::uint64_t entries = 0;
  std::uint64_t tombstones = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t max_entries = 0;
  std::uint64_t max_size_bytes = 0;
  std::uint64_t soft_max_entries = 0;
  std::uint64_t soft_max_size_bytes = 0;
  std::uint64_t max_sstables = 0;       ///< L0 only
  std::uint64_t soft_max_sstables = 0;  ///< L0 only
  double score = 0;                     ///< the largest figure / soft limit; 1 or more asks for compaction
  bool compacting = false;
};

struct EngineStats {
  std::vector<LevelInfo> levels;
  std::uint64_t memtable_entries = 0;       ///< active and immutable, versions counted
  std::uint64_t memtable_bytes = 0;
  std::uint64_t retired_memtable_bytes = 0; ///< flushed, but still in the hands of a reader
  std::uint64_t immutable_memtables = 0;
  std::uint64_t block_cache_bytes = 0;
  std::uint64_t block_cache_index_bytes = 0;    ///< of these
  std::uint64_t block_cache_filter_bytes = 0;   ///< of these
  std::uint64_t block_cache_capacity_bytes = 0;
  std::uint64_t block_cache_hits = 0;
  std::uint64_t block_cache_misses = 0;
  std::uint64_t row_cache_bytes = 0;        ///< taken from the block cache's capacity
  std::uint64_t row_cache_rows = 0;
  std::uint64_t row_cache_hits = 0;         ///< lookups that no memtable answered and a row did
  std::uint64_t row_cache_misses = 0;
  std::uint64_t open_sstables = 0;
  std::uint64_t open_sstable_bytes = 0;     ///< memory: their top indexes and files
  std::uint64_t table_record_bytes = 0;     ///< memory: what is known of each table, open or not
  std::uint64_t wal_buffer_bytes = 0;
  std::uint64_t background_bytes = 0;       ///< memory: what running flushes and merges were given
  std::uint64_t filter_checks = 0;
  std::uint64_t filter_negatives = 0;       ///< table reads saved by a filter
  std::uint64_t filter_false_positives = 0;  ///< table reads in vain that a filter had let pass
  std::uint64_t blob_files = 0;             ///< that tables of the present refer to
  std::uint64_t blob_bytes = 0;             ///< of their values as stored: live and dead
  std::uint64_t blob_live_bytes = 0;        ///< that some table refers to
  std::uint64_t blob_dead_bytes = 0;        ///< that no table refers to any more
  std::uint64_t blob_bytes_moved = 0;       ///< written again since the start, to empty blob files
  std::uint64_t flushes = 0;
  std::uint64_t flush_bytes_written = 0;
  std::uint64_t compactions = 0;
  std::uint64_t subcompactions = 0;         ///< pieces of compactions that were split
  std::uint64_t trivial_moves = 0;
  std::uint64_t compactions_running = 0;
  std::uint64_t compaction_rate_bytes = 0;    ///< what compactions may write a second; 0: no bound at present
  std::uint64_t compaction_bytes_wanted = 0;  ///< of the compaction that waits for room on the disk; 0: none does
  std::uint64_t disk_free_bytes = 0;          ///< when last looked at; 0: not looked at, as nothing is kept
  std::uint64_t disk_reserve_bytes = 0;       ///< of them, kept for deleting, flushes and compaction
  bool disk_low = false;                      ///< no more than that is left: writes that add data are refused
  std::uint64_t compaction_bytes_read = 0;
  std::uint64_t compaction_bytes_written = 0;
  std::uint64_t expired_entries = 0;        ///< removed by compactions because their deadline had passed
  std::uint64_t removed_bytes_kept = 0;     ///< of files that are gone: given back as others are written, or soon (fs/gradual_removal.h)
  std::uint64_t dead_bytes_known = 0;       ///< of tables: the share of tombstones and expired entries
  std::uint64_t oldest_dead_ms = 0;         ///< for how long a table has been over dead-ratio; 0: none is
  std::uint64_t ingests = 0;
  std::uint64_t ingest_bytes_written = 0;   ///< by their jobs, tables that were merged with them included
  std::uint64_t scrubs = 0;                 ///< read to the end since the start
  std::uint64_t scrub_bytes = 0;            ///< read by them, and by the one that runs
  std::uint64_t scrub_damage = 0;           ///< damaged places found by the last one that was read to the end
  std::uint64_t damaged_sstables = 0;       ///< tables of the tree that a compaction has met damage in, and leaves alone
  std::uint64_t last_scrub_ms = 0;          ///< when that was, since 1970; 0: not known
  bool scrub_running = false;
  std::uint64_t user_bytes_written = 0;     ///< keys and values handed to Write since the start
  std::uint64_t wal_bytes_written = 0;
  std::uint64_t wal_syncs = 0;
  std::uint64_t wal_segments = 0;
  std::uint64_t wal_spare_segments = 0;     ///< files that the next segments are written over; no part of the log, and not among `wal_segments`
  std::uint64_t wal_spare_bytes = 0;
  std::uint64_t wal_recycled_segments = 0;  ///< made so since the start
  bool wal_at_rest = false;                 ///< nothing has been written for a while, and the room that the log kept is given back
  std::uint64_t stalls = 0;                 ///< writes that were delayed or parked
  std::uint64_t stall_micros = 0;           ///< their time, added up
  std::uint64_t writers_waiting = 0;        ///< delayed or parked at this moment
  std::uint64_t longest_stall_micros = 0;
  std::uint64_t last_sequence = 0;
  std::uint64_t durable_sequence = 0;
  double write_debt = 0;                    ///< for which writers are held back: 0 not at all, 1 as far as it goes
  std::uint64_t write_limit_bytes = 0;      ///< a second, that pass while writers are slowed; 0: no limit
  std::uint64_t l0_sstables_in_merges = 0;  ///< that running merges take away, and that no longer slow writers
  bool writes_slowed = false;
  bool writes_stopped = false;
  /// (flushes' + compactions' bytes written) / flushes' bytes written, over the latest events that LSM HISTORY remembers, also
  /// those before the last restart (else what was written before and is merged after it would count as amplification alone); 0
  /// without a flush among them.
  double write_amplification = 0;
  std::uint64_t write_amplification_since_ms = 0;   ///< when the first of these was; 0: none
};

}  // namespace lsmkv
