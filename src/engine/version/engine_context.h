// What all parts of one open engine share: where it lives, what it may use, what it has counted.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/clock.h"
#include "engine/version/file_janitor.h"
#include "engine/version/table_file.h"
#include "fs/file_system.h"
#include "fs/gradual_removal.h"
#include "lsmkv/options.h"

namespace lsmkv {

/// Since the start of the engine. Relaxed: they are read for people only.
struct EngineCounters {
  std::atomic<std::uint64_t> user_bytes_written{0};
  std::atomic<std::uint64_t> flushes{0};
  std::atomic<std::uint64_t> flush_bytes_written{0};
  std::atomic<std::uint64_t> compactions{0};
  std::atomic<std::uint64_t> subcompactions{0};
  std::atomic<std::uint64_t> trivial_moves{0};
  std::atomic<std::uint64_t> compactions_running{0};
  std::atomic<std::uint64_t> compaction_bytes_read{0};
  std::atomic<std::uint64_t> compaction_bytes_written{0};
  std::atomic<std::uint64_t> ingests{0};
  std::atomic<std::uint64_t> content_changes{0};    ///< Engine::content_changes()
  std::atomic<std::uint64_t> ingest_bytes_written{0};
  std::atomic<std::uint64_t> blob_bytes_moved{0};   ///< values rewritten to empty blob files
  std::atomic<std::uint64_t> expired{0};            ///< entries that were removed because their deadline had passed
  std::atomic<std::uint64_t> filtered{0};           ///< times the compaction filter had something dropped
};

/// What of the options may change while the engine is open. Relaxed: bounds, not hand-overs.
struct RunningMemoryLimits {
  explicit RunningMemoryLimits(const Options& options)
      : memtable_bytes(options.memtable_bytes), max_memory_bytes(options.max_memory_bytes), background_bytes(options.background_bytes) {}
  std::atomic<std::uint64_t> memtable_bytes;
  std::atomic<std::uint64_t> max_memory_bytes;
  std::atomic<std::uint64_t> background_bytes;
};

struct EngineContext {
  explicit EngineContext(const Options& opened_with);

  std::string TablePath(std::uint64_t id) const { return options.dir + "/" + TableRecordFile(id); }
  std::string BlobPath(std::uint64_t id) const { return options.dir + "/" + BlobRecordFile(id); }
  /// For a table or a blob file.
  std::uint64_t TakeTableId() { return next_table_id.fetch_add(1, std::memory_order_relaxed); }
  /// The table that `record` describes, with its blob files, each one object however many tables refer to it.
  TablePtr MakeTable(const TableRecord& record);
  /// Before a version without it is shown: something whose deadline was past is dropped.
  void NoteExpired(std::uint64_t deadline_ms) {
    std::uint64_t latest = expired_deadline_ms.load(std::memory_order_relaxed);
    while (latest < deadline_ms && !expired_deadline_ms.compare_exchange_weak(latest, deadline_ms, std::memory_order_relaxed)) {
    }
  }

  const Options options;
  FileSystem& fs;
  Clock& clock;
  const std::string wal_dir;
  const std::string sst_dir;
  const std::string blob_dir;
  GradualRemoval removal;
  const std::shared_ptr<TableStore> tables;
  const std::shared_ptr<FileJanitor> janitor = std::make_shared<FileJanitor>();
  BlobFiles blob_files;
  std::atomic<std::uint64_t> next_table_id{1};
  std::atomic<bool> closing{false};                 ///< jobs look at it and give up
  std::atomic<bool> disk_low{false};                 ///< as the last look found it (disk_reserve.h)
  std::atomic<std::uint64_t> merges_leave_bytes{0};   ///< so much of the disk, for flushes (disk_reserve.h)
  /// While an ingest is under way, its sequence number: tombstones after it are kept by merges, since older data may come to lie below
  /// them. 0: none. Release by the ingest before any later write, acquire by merges.
  std::atomic<SequenceNumber> ingest_point{0};
  /// The latest deadline of all that was dropped as expired. The clock may go back, but what is gone stays gone: who remembers a value with
  /// a deadline up to here must ask the tables. Ordered by the version: who sees the one without the value sees this.
  std::atomic<std::uint64_t> expired_deadline_ms{0};
  EngineCounters counters;
  RunningMemoryLimits memory;
  std::atomic<std::uint64_t> background_bytes{0};   ///< in use by jobs (job_memory.h)
};

}  // namespace lsmkv
