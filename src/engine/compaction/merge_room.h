// How much room a merge takes on the disk. Pure.
#pragma once

#include <cstdint>
#include <set>

#include "engine/compaction/picker.h"

namespace lsmkv {

/// What it reads, and so the most it writes: the tables, and the values it moves.
std::uint64_t BytesOf(const Merge& merge);
/// The part of its inputs, 0 to 1, that it is likely to keep: a tombstone goes in time, and takes an entry with it.
double LivePart(const Merge& merge);
/// The ids of its inputs.
std::set<std::uint64_t> InputIdsOf(const Merge& merge);

}  // namespace lsmkv
