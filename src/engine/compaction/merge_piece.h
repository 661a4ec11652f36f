// One range of keys of a merge, from start to end on one thread. A small merge is one piece; a large one is cut into several
// (merge_split.h) that run side by side and are committed together.
//
// What a merge keeps, for each key, of the newest version among the inputs:
//   dead for the compaction filter        nothing: every older version is dead as well
//   expired                               a tombstone in its place
//   tombstone                             kept only while an older version may lie below the inputs
//   value                                 itself
// Where values are put, and which of them are moved out of old blob files: value_sink.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/compaction/compaction_rate.h"
#include "engine/compaction/picker.h"
#include "engine/compaction/table_output.h"
#include "engine/version/engine_context.h"
#include "engine/version/version.h"

namespace lsmkv {

/// True, and counted, when the compaction filter has `key` dropped.
bool IsFiltered(EngineContext& context, std::string_view key);

class MergePiece {
 public:
  /// All outlive the piece. `version` is the one the merge was planned for: it tells what lies below the inputs.
  /// `ingest_point`: of that moment too, since an ingest that has landed meanwhile is not in that version.
  MergePiece(EngineContext& context, const Version& version, const Merge& merge, KeyBounds bounds, CompactionRate& rate, SequenceNumber ingest_point);

  /// `cancelled` is looked at now and then. Errors: kShuttingDown when it or the engine's end stopped the work.
  Status Run(const std::atomic<bool>& cancelled);
  /// After a Run that went well; see TableOutput::Keep.
  Result<std::vector<TableRecord>> Keep() { return output_.Keep(); }

  std::uint64_t bytes_written() const { return output_.bytes_written(); }
  std::uint64_t blob_bytes_moved() const { return output_.blob_bytes_moved(); }
  std::uint64_t entries_out() const { return entries_out_; }
  std::uint64_t expired() const { return expired_; }   ///< entries whose deadline has passed

 private:
  /// Now and then: kShuttingDown when the work is to end, and what was written since is paid for.
  Status Pause(const std::atomic<bool>& cancelled);
  std::uint64_t BytesBetweenChecks() const;

  EngineContext& context_;
  const Version& version_;
  const Merge& merge_;
  const KeyBounds bounds_;
  CompactionRate& rate_;
  const SequenceNumber ingest_point_;
  TableOutput output_;
  std::uint64_t entries_out_ = 0;
  std::uint64_t expired_ = 0;
  std::uint64_t bytes_paid_ = 0;
};

}  // namespace lsmkv
