#pragma once

#include <vector>

#include "engine/memtable/node.h"

namespace lsmkv {

/// Sorts by key, and versions of one key newest first.
///
/// Comparing keys where they lie would cost two cache misses a comparison. Instead the 8 bytes that follow what a group
/// of keys has in common are fetched once for each key and sorted as integers; keys that are still equal form a smaller
/// group and go the same way from there (a multikey sort with a radix of 8 bytes).
/// Cost  one pass over the nodes and n log n integer comparisons, and the same again for each group that ties.
void SortByKey(std::vector<const MemTableNode*>* nodes);

}  // namespace lsmkv
