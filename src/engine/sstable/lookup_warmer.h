// Brings what a lookup in one table will touch into the processor's caches, step by step: a step looks at what the one before has
// begun to load, and begins to load what comes next. A lookup alone waits for main memory some ten times in a row; the same steps
// of several lookups taken in turn, all first ones, then all second ones, wait together.
//
//   0  the top index says which section            the cache's slots of the section's filter and index
//   1                                              those two blocks
//   2                                              the filter's line for the key, the index's array
//   3  the filter says no: the end; else           the slot of the data block
//   4                                              that block
//   5                                              its tags
//   6                                              the entry that has the key's tag
//
// A hint in all: it stops where a block is not in the cache, reads no disk, changes nothing that a lookup would find.
// Threads  one.
// Source   group prefetching: Chen, Ailamaki, Gibbons, Mowry, "Improving Hash Join Performance through Prefetching" (2004).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/sstable/data_block.h"
#include "engine/sstable/filter_block.h"
#include "engine/sstable/index_block.h"
#include "engine/sstable/table_cache.h"

namespace lsmkv {

class LookupWarmer {
 public:
  static constexpr int kSteps = 7;

  /// Forgets what it had. `table` may be empty (not open): then nothing is done. `key` outlives the steps.
  void Begin(TablePin table, std::string_view key, std::uint64_t hash);
  /// `n` counts from 0, each once, in order.
  void Step(int n);
  /// After the steps: the filter said that the table does not have the key.
  bool filtered_out() const { return filtered_out_; }

 private:
  void Stop() { table_ = TablePin(); }
  void FindSection();
  void FindBlocks();
  void FindData();

  TablePin table_;                  // empty: nothing more to do
  std::string_view key_;
  std::uint64_t hash_ = 0;
  BlockHandle filter_at_;           // of size 0: none
  BlockHandle index_at_;
  BlockHandle data_at_;
  std::shared_ptr<const FilterBlock> filter_;
  std::shared_ptr<const IndexBlock> index_;
  std::shared_ptr<const DataBlock> data_;
  bool filtered_out_ = false;
};

}  // namespace lsmkv
