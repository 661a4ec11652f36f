// What an engine is opened with. One field per engine directive of config/lsmkv.conf, in engine units.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lsmkv {

class FileSystem;  // fs/file_system.h
class Clock;       // base/clock.h

/// When the WAL reaches the disk. In every mode a batch has reached the operating system before its commit returns.
enum class WalFsync : std::uint8_t { kAlways, kEverySec, kNo };
enum class Compression : std::uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

/// Tells compaction which keys are garbage for reasons only the layer above knows. Called from compaction
/// workers and the scheduler at once: implementations are thread-safe. "Dead" is for ever.
class CompactionFilter {
 public:
  virtual ~CompactionFilter() = default;
  virtual bool IsDead(std::string_view key) const = 0;
  /// True when every key in [smallest, largest] is dead; such a table is dropped without being read.
  virtual bool IsRangeDead(std::string_view smallest, std::string_view largest) const = 0;
};

struct Options {
  std::string dir;                              ///< created when missing; locked while open

  // Memtables. A memtable is rotated when any limit that is not 0 is reached.
  std::uint64_t memtable_entries = 0;           ///< 0: no entry limit
  std::uint64_t memtable_bytes = 64ull << 20;
  std::uint32_t max_immutable_memtables = 4;    ///< 1 or more
  std::uint64_t max_memory_bytes = 0;           ///< all memtables together; 0: no limit but the two above
  std::uint64_t background_bytes = 64ull << 20;  ///< what all flushes and merges together read ahead and gather

  // Levels. Limit of level N: base x ratio^N; 0 means none.
  std::uint32_t level_ratio = 10;               ///< 2 or more
  std::uint64_t base_level_bytes = 256ull << 20;
  std::uint64_t base_level_entries = 0;
  std::uint32_t max_l0_sstables = 4;
  std::uint32_t l0_slowdown_sstables = 20;      ///< writers are slowed from here
  std::uint32_t l0_stop_sstables = 36;          ///< and parked from here
  double soft_limit_ratio = 0.85;               ///< 0 < ratio <= 1; soft = max(1, floor(hard x ratio))
  std::uint64_t max_sstable_bytes = 64ull << 20;  ///< 0: a level is one SSTable
  /// A table of which this part is tombstones or expired is compacted within dead_max_age_ms, limits or not.
  double dead_ratio = 0.3;                      ///< 0 < ratio <= 1
  std::uint64_t dead_max_age_ms = 600'000;

  // Tables and caches.
  std::uint64_t block_bytes = 4096;             ///< of a data block before compression
  std::uint64_t block_cache_bytes = 256ull << 20;  ///< data, index and filter blocks together, and rows
  std::uint32_t row_cache_percent = 40;         ///< so much of it may hold single keys instead of blocks; 0 to 80
  std::uint32_t max_open_sstables = 1000;
  std::uint32_t bloom_bits_per_key = 10;        ///< 0: no filters
  bool optimize_for_hits = false;               ///< no filters in the last level: most keys asked for are there
  Compression compression = Compression::kLz4;
  std::uint64_t min_blob_bytes = 4096;          ///< values from this size on live in blob files; 0: none do

  // Durability and threads.
  WalFsync wal_fsync = WalFsync::kEverySec;
  bool wal_skip_corruption = false;             ///< recovery goes on without damaged WAL records (data is lost)
  /// So much of the disk is kept for deleting, flushes and compaction; other writes are refused (kNoSpace) when no more is left.
  /// Of a small disk a twentieth is kept at most. 0: nothing is.
  std::uint64_t disk_reserve_bytes = 0;
  std::uint32_t flush_workers = 2;
  std::uint32_t compaction_workers = 2;
  std::uint64_t compaction_bytes_per_second = 0;  ///< 0: as fast as writers and readers leave room for

  std::uint64_t scrub_interval_ms = 0;          ///< how often everything on disk is read and checked; 0: when Scrub() is called

  const CompactionFilter* compaction_filter = nullptr;  ///< may be null; outlives the engine
  FileSystem* file_system = nullptr;            ///< null: the operating system's
  Clock* clock = nullptr;                       ///< null: the system's; decides what has expired
};

/// What of the options may change while the engine is open; each as in Options.
struct MemoryLimits {
  std::uint64_t memtable_bytes = 0;
  std::uint64_t max_memory_bytes = 0;
  std::uint64_t background_bytes = 0;
  std::uint64_t block_cache_bytes = 0;
  std::uint32_t max_open_sstables = 0;
  std::uint32_t row_cache_percent = 0;
};

}  // namespace lsmkv
