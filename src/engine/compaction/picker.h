// What to compact next. A pure decision over a version: no file, lock, clock or random source, so that every rule of
// DESIGN section 5 is tested without a disk. The scheduler asks again after each result until the answer is Nothing.
//
// Order of the rules
//   1. A table whose every entry is dead (filter) or has expired is dropped unread.
//   2. The level with the highest score >= 1 goes first. L0 gives all its tables to L1 with what they overlap there;
//      a deeper level gives everything (one table a level) or the tables that pay best. An L1 past its hard limit goes before L0.
//   3. L0 that should go but cannot, because L1 is busy, or that had better go later, is merged within itself (l0_gather.h).
//   4. A table whose first or last key belongs to a flushed database is rewritten where it is, or goes down with L0.
//      A table whose tombstones and expired entries have made up dead-ratio of it for half of dead-max-age goes one level
//      down, or is rewritten where it is when nothing older lies below, even when no limit is reached. After all of dead-max-age it goes
//      before rule 2, as long as L0 does not slow writers. On a disk that is low none of them waits.
//   5. When dead values make up too much of the blob files, a table that refers to the file with the largest dead share is
//      rewritten where it stands, and the values move (blob_garbage.h). Of L0, which cannot be rewritten in part, all goes down.
//   6. While nothing is written, upper levels that are more than a tenth of the last one move down, so that a tree at rest
//      takes little more than its data. (Not for less than a table's worth, nor where a level is one table.)
// Whatever is merged, values of blob files whose turn it is move as they pass by, up to kMostMovedBytes a merge.
// A level that must wait for a running job keeps its levels reserved: lower scores do not prolong its wait.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "engine/version/version.h"

namespace lsmkv {

class IncomingRun;   // engine/bundle/bundle.h

struct LevelInputs {
  std::uint32_t level = 0;
  std::vector<TablePtr> tables;
};

/// The tables change their level and nothing else.
struct TrivialMove {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::vector<TablePtr> tables;
  std::string reason;
};
/// The tables go, unread.
struct Drop {
  std::vector<LevelInputs> inputs;
  std::string reason;
};
/// Keys in [begin, end); absent: no bound.
struct KeyBounds {
  std::optional<std::string> begin;
  std::optional<std::string> end;
};
struct Merge {
  std::vector<LevelInputs> inputs;   ///< L0 first; the target's own tables included
  std::uint32_t target = 0;
  std::string reason;                ///< for people: which level, which figure
  /// An ingest (ingest_plan.h): comes into the tree with this merge. Null otherwise; then there are inputs.
  std::shared_ptr<const IncomingRun> incoming = nullptr;
  std::set<std::uint64_t> blobs_to_empty = {};   ///< values of these are moved to a new blob file (blob_garbage.h)
  /// A step of a larger merge (merge_room.h): only these keys. With an end, inputs above the target stay where they are.
  KeyBounds bounds = {};
  std::uint64_t step_bytes = 0;      ///< what a step writes at most, about; 0: not one

  bool Removes(std::uint32_t level) const { return level == target || !bounds.end; }
};
/// From the smallest to the largest key of all that goes into `merge`.
KeySpan SpanOf(const Merge& merge);
using CompactionPlan = std::variant<std::monostate, Drop, TrivialMove, Merge>;

/// What is not to be merged: what running jobs hold, and what is damaged.
struct BusyTables {
  struct Job {
    std::uint32_t target = 0;
    KeySpan span;
  };
  std::set<std::uint64_t> tables;
  std::vector<Job> jobs;
  std::set<std::uint64_t> damaged = {};
  bool IsBusy(const TablePtr& table) const { return !MayBeDropped(table) || damaged.contains(table->id()); }
  /// Which reads nothing of it.
  bool MayBeDropped(const TablePtr& table) const { return !tables.contains(table->id()); }
};

struct PickerInput {
  const Version& version;
  const Options& options;
  const BusyTables& busy;
  std::uint64_t now_ms = 0;
  bool idle = false;                 ///< nothing has been flushed for a while
  bool filling = false;              ///< memtables are being flushed, one soon after the other
  SequenceNumber ingest_point = 0;   ///< of the ingest under way; 0: none
  bool l0_only = false;              ///< nothing but what makes L0 smaller
  bool disk_low = false;             ///< what is dead goes whatever its age
};

CompactionPlan PickCompaction(const PickerInput& input);
/// Instead of all of L0 at once, where that finds no room: each of its tables that lies over no older one, down to L1 alone.
std::vector<CompactionPlan> PlansOfOneOfL0(const PickerInput& input, const std::string& reason);
/// What one merge moves out of blob files, about: a second or two of a disk's time.
inline constexpr std::uint64_t kMostMovedBytes = 256ull << 20;

/// Everything from `from` (or every level) into `target`; monostate when there is nothing to do.
CompactionPlan PlanManual(const Version& version, std::optional<std::uint32_t> from, std::uint32_t target);

}  // namespace lsmkv
