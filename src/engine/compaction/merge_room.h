// How much room a merge takes on the disk, and how it is done where there is little. Pure.
//
// A merge needs room for all of its result before its inputs go. Where that is more than there is, it is done in steps: each
// merges one range of keys, replaces the target's tables of that range, and leaves the tables above (the sources) where they are.
//
//   sources   [a ················· z]        stay until the last step; what has been merged is in them and below
//   target    [a b][c d][e f]···[y z]
//              step 1   step 2    last: the sources go
//
// Between two steps the target holds versions that a source above it holds as well: the same key with the same sequence number,
// or nothing where a source holds a tombstone. So a reader finds the same in either, and a step done twice changes nothing: after a
// crash the sources are merged from the start again. Not so with some of the sources, or one more: what a tombstone of one set has ended, the
// other may bring back below it. So a step of one set makes the steps of all that share a table with it begin anew (NoteStep). Nor when
// something older than some of the sources has come into L0 by an ingest: then all begin anew.
//
// What deletions in the sources have ended is freed with each step; what it costs meanwhile is the sources' own bytes once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "engine/compaction/picker.h"

namespace lsmkv {

/// What it reads, and so the most it writes: the tables, and the values it moves.
std::uint64_t BytesOf(const Merge& merge);
/// The part of its inputs, 0 to 1, that it is likely to keep: a tombstone goes in time, and takes an entry with it.
double LivePart(const Merge& merge);
/// The ids of its inputs.
std::set<std::uint64_t> InputIdsOf(const Merge& merge);

/// Merges, or steps, that came to the end of the room: they found less dead than was expected. Not to be begun again with the same tables
/// while there is no more room than they had found, or that is all that is ever done.
class GaveUp {
 public:
  void Add(const Merge& merge, std::uint64_t room_bytes);
  /// True while `room_bytes` is less than a quarter more than it had.
  bool Holds(const Merge& merge, std::uint64_t room_bytes) const;
  /// Something has succeeded.
  void Clear() { room_of_.clear(); }

 private:
  static constexpr std::size_t kMost = 64;                                    // then all are forgotten, and tried once more
  std::map<std::set<std::uint64_t>, std::uint64_t> room_of_;                  // by the ids of the inputs
};

/// How far the steps of a merge have come.
struct MergeSteps {
  std::set<std::uint64_t> sources;   ///< ids
  std::uint32_t target = 0;
  std::string next_key;              ///< all of the sources below it is in the target
};
/// The next step of `merge` that needs at most `room_bytes`: from where one of `begun` has come with the same sources or with some of
/// them, else from the start. Nothing where it cannot be done in steps, or not even one table of the target fits.
std::optional<Merge> NextStep(const Merge& merge, std::span<const MergeSteps> begun, std::uint64_t room_bytes);
/// `step` is in the tree: how far it has come is added to `begun`, and what that makes untrue goes.
void NoteStep(const Merge& step, std::vector<MergeSteps>* begun);

}  // namespace lsmkv
