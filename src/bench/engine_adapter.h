// One interface over the engines that are compared. Each adapter uses its engine the way its own documentation says an embedder
// should, through public headers alone, and asks it for the same things:
//
//   a write    has been handed to the operating system when it returns (kill -9 cannot undo it), and with wal_sync=always
//              is on the disk; in everysec it is synced within about a second
//   a read     verifies the checksums of what it reads from files
//   memory     memtables x memtable_bytes, and a block cache that filters and indexes are charged to as well
//   levels     L0 compacts at l0_tables tables, or base_bytes; LN is limited to base_bytes x level_ratio^N
//
// Where an engine has no such knob it keeps its own way, and EngineKind::differs says so below the table.
// Threads  Put, Delete, Get and NewCursor from any number; the rest from one, while nobody writes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lsmkv/options.h"
#include "lsmkv/status.h"

namespace lsmkv::bench {

struct EngineOptions {
  std::string dir;
  std::uint64_t memtable_bytes = 0;
  std::uint64_t memtables = 2;
  std::uint64_t memtables_bytes = 0;       ///< of all of them
  std::uint64_t cache_bytes = 0;
  std::uint64_t level_ratio = 10;
  std::uint64_t base_bytes = 0;
  std::uint64_t l0_tables = 4;
  std::uint64_t l0_slowdown_tables = 20;
  std::uint64_t l0_stop_tables = 36;
  std::uint64_t table_bytes = 0;
  std::uint64_t workers = 2;
  std::uint64_t bloom_bits = 10;
  Compression compression = Compression::kNone;
  WalFsync wal_sync = WalFsync::kNo;
};

/// Entries in key order, as of the moment it was made. One thread.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual void SeekToFirst() = 0;
  virtual void Seek(std::string_view key) = 0;
  virtual void Next() = 0;
  virtual bool Valid() const = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual Status status() const = 0;
};

class EngineAdapter {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  virtual ~EngineAdapter() = default;                          ///< closes
  virtual Status Put(std::string_view key, std::string_view value) = 0;
  virtual Status Delete(std::string_view key) = 0;
  /// The value's length; nullopt: not there. The value was at hand, as the engine's cheapest way of reading gives it.
  virtual Result<std::optional<std::size_t>> Get(std::string_view key) = 0;
  /// @param whole_tree  true: a walk that should not push others out of the cache.
  virtual std::unique_ptr<Cursor> NewCursor(bool whole_tree) = 0;

  /// Whether it syncs its log each second by itself in everysec; where not, Sync() is called each second, by one thread.
  virtual bool SyncsEachSecond() const = 0;
  virtual Status Sync() = 0;
  /// Everything written so far into tables.
  virtual Status Flush() = 0;
  /// Merges all there is into as few tables as the engine would.
  virtual Status CompactAll() = 0;
  /// Since when no flush or compaction has been running or due; nullopt: one is. To be asked again and again.
  virtual Result<std::optional<TimePoint>> AtRestSince() = 0;
  /// The levels, as the engine puts it; for the JSON output.
  virtual std::string Describe() = 0;
};

}  // namespace lsmkv::bench
