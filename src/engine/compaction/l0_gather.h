// When tables of L0 become one table of L0 instead of going down.
//
// Going down, each byte of L0 has rewritten what it overlaps in L1, which of keys in no order is all of L1, however few the bytes are.
// Within L0 a byte is rewritten alone. So L0 gathers first
//   while it cannot go      L1 is held by another merge: its count of tables must stay bounded;
//   while it is too little  (kTooLittle) its count of tables is at the limit, but their bytes are not near theirs, and each would drag kMuch along
//                           (unless they are so many entries, tombstones say, that they make room below);
//   while it is filled      (kLater) by one flush soon after the other: until it drags little along, or has many tables and is
//                           within its hard limit of bytes. A merge into L1 takes as long as several flushes then, and the next one
//                           would begin with the few that came meanwhile. When the writing ends it goes down at once.
// In the first and the last case this is done late, near l0-slowdown-sstables: the more tables become one, the less often each byte is
// written on the way. But ten at most, and of little more than L0's hard limit of bytes: a merge of many takes so long that as many more have come
// when it ends, and who writes is held back in between; above all where it holds what could go down, because L1 has become free.
//
// Pure, as the picker. Source: gathering within L0 is RocksDB's "intra-L0 compaction", and so is the measure of what it costs, bytes for
// each table less; that merging two runs pays when they are of about one size is size-tiered compaction's rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/compaction/picker.h"

namespace lsmkv {

enum class L0Way : std::uint8_t { kDown, kTooLittle, kLater };   ///< as above
/// `reached`: the limit that L0 has reached.
L0Way WayOfL0(const PickerInput& input, LimitKind reached);

/// What goes down at a time: all of L0, unless it is several times what lies below (and several times its limit); then the oldest of it, so that a
/// merge ends, and leaves less behind, before the next stop of the process.
std::span<const TablePtr> OldestOfL0(const PickerInput& input);

/// Tables of L0 that no running merge takes away, nor damage holds: as writers are slowed by them (write_debt.h).
std::size_t WaitingTables(const PickerInput& input);

struct Neighbours {
  std::size_t least = 2;                           ///< tables
  std::size_t most = SIZE_MAX;
  std::uint64_t most_bytes = UINT64_MAX;           ///< in all
  bool alike = false;                              ///< none larger than the others together, or it would be written again with every few that come
};
/// Neighbours in age, so many of them, to become one: those that cost the fewest bytes for each table less.
/// Not across an ingest under way: what it brings will lie between the older ones and the newer.
std::span<const TablePtr> CheapestNeighbours(const PickerInput& input, const Neighbours& wanted);
/// What keeps the count of tables bounded; nothing while there are few.
std::span<const TablePtr> TablesToGather(const PickerInput& input);
/// The same where neither that nor going down finds room on the disk: what fits into `room_bytes`; nothing until writers are slowed.
std::span<const TablePtr> TablesToGatherWithin(const PickerInput& input, std::uint64_t room_bytes);

}  // namespace lsmkv
