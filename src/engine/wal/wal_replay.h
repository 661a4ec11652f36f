// Recovery's half of the WAL: hands every record from the floor on to the engine, and decides what damage means (the rule
// and its reasons are in log_format.h).
//
// Threads: one; nothing else may touch the WAL's directory meanwhile (the engine holds its lock).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/wal/aside_file.h"
#include "fs/file_system.h"
#include "lsmkv/status.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

/// A batch beside the log that is missing or damaged, though the log is whole.
struct LostBatch {
  std::uint64_t segment = 0;             ///< of the record that names it
  SequenceNumber first_sequence = 0;
  SequenceNumber last_sequence = 0;
  Status damage;                         ///< names the file, and says what is lost with it
};

struct ReplayOptions {
  bool skip_corruption = false;
  /// Only looks: nothing is set aside, synced or removed, and nothing is logged. For offline checks; the verdict is the same.
  bool read_only = false;
  /// Everything up to this sequence number, and nothing after it, was in tables when the floor segment became the floor
  /// (the manifest's `flushed_sequence`). Only if known exactly; 0: not known. It tells a lost first record of the floor
  /// segment from one that was never there.
  SequenceNumber flushed_sequence = 0;
  bool flushed_sequence_known = false;
};

struct ReplaySummary {
  SequenceNumber last_sequence = 0;      ///< of the last record handed over, or flushed_sequence
  std::uint64_t max_segment_id = 0;      ///< of any segment there is or was set aside; 0: none. The next one is larger.
  std::uint64_t segments = 0;            ///< at or above the floor
  std::uint64_t records = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t dropped_records = 0;     ///< good ones behind the cut
  std::uint64_t dropped_bytes = 0;       ///< cut off as the unsynced tail of a power cut, or a kill in a write
  std::uint64_t cut_segment = 0;         ///< where that tail begins; 0: nothing was cut off
  std::uint64_t cut_offset = 0;
  std::uint64_t skipped_bytes = 0;       ///< damaged, passed over; flush soon, or the next start meets them again
  bool lost_writes = false;              ///< some that had been durable (skip_corruption); once the rest is flushed, the log's
                                         ///< note (durable_note.h) tells of what is not there any more and must go
  RecoveredAsides asides;                ///< batches beside the log (aside_file.h) that its records name
  std::uint64_t skipped_segment = 0;     ///< where the first of them are; 0: there are none
  std::uint64_t skipped_offset = 0;
};

/// One record: which segment it is in, its first sequence number, how many operations, their bytes (until it returns).
using ReplayRecord = std::function<Status(std::uint64_t segment, SequenceNumber first, std::uint32_t count,
                                          std::string_view operations)>;

/// Calls `on_record` for every record in `wal_dir` from segment `floor_segment` on, in order. Segments below the floor are
/// not opened. A tail that was cut off is set aside before it returns, so that the next recovery sees a clean end;
/// and what was read is durable, also what a killed process had written and not synced, or failed to (unsynced_tail.h).
/// @param lost  where lost batches are told, which are no error then: replay goes on behind them. For offline checks and rescue.
/// Errors   kCorruption names file, offset and remedy; what `on_record` returns is passed on.
Result<ReplaySummary> ReplayWal(FileSystem& fs, const std::string& wal_dir, std::uint64_t floor_segment,
                                const ReplayOptions& options, const ReplayRecord& on_record, std::vector<LostBatch>* lost = nullptr);

}  // namespace lsmkv
