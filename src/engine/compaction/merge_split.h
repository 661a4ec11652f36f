// Where to cut a large merge into sub-compactions: ranges of keys that weigh about the same.
//
// The weights come from the top indexes of the inputs, which are in memory once a table is open: each says how many bytes lie
// up to which key. All inputs' sections are put in the order of their last keys, and a cut falls wherever the next share is full.
// Source   the sub-compactions of RocksDB.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/compaction/picker.h"
#include "engine/sstable/table.h"

namespace lsmkv {

/// Ascending keys, at most `pieces` - 1 of them: piece i holds the keys in [cut i-1, cut i). The sections need no order.
std::vector<std::string> CutsOf(std::vector<Table::Section> sections, std::size_t pieces);

/// How many pieces pay: none smaller than a few tables, so that the last, short table of each costs little. 1: not to be split.
std::size_t PiecesWorthMaking(const Merge& merge, std::uint64_t max_sstable_bytes);

/// The cuts of `merge`; empty when it stays whole, also when an input cannot be opened (the merge itself will tell).
std::vector<std::string> SplitMerge(const Merge& merge, std::uint64_t max_sstable_bytes);

}  // namespace lsmkv
