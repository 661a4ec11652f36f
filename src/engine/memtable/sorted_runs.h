// The order of a memtable, made when somebody asks for it. Writers never pay for it: they append to the insertion log,
// and an iterator sorts the part of the log that has not been sorted yet into an immutable run.
//
//   log    [ sorted into run 0 ......... | run 1 .... | run 2 | not sorted yet ]
//   run := node*                 ascending keys, each key once: its newest version within the run's part of the log
//
// Runs are kept like a log-structured store's: when the newest has at least half the size of the one before, the two are
// merged. So n entries lie in at most about log2(n) runs, an entry is merged about log2(n) times in its life, and an iterator
// soon after another costs only what was written in between.
//
// Invariants
//   1. The runs, oldest first, cover the log's first covered_count_ entries without a gap.
//   2. A run needs only the newest version of a key: the older ones, in this run or in those before it, hang off it by
//      `older`. An iterator at an earlier snapshot walks that chain, and finds what Get would find.
//   3. A run never changes. Iterators pin the runs they use; merging makes new ones.
// Threads  any thread may ask. Sorting is done by the asking thread under sort_mutex_, so that two that ask together do
//          the work once; one whose snapshot is covered already does not wait for a sort.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "engine/internal_iterator.h"
#include "engine/memtable/insertion_log.h"

namespace lsmkv {

using SortedRun = std::vector<const MemTableNode*>;
using SortedRunList = std::vector<std::shared_ptr<const SortedRun>>;   // oldest first

class SortedRuns {
 public:
  /// Runs that hold every entry of `log` with a sequence number <= snapshot (and maybe later ones).
  /// @param into_one  merge them all into one run: worth it when the log will not grow any more.
  SortedRunList Cover(const InsertionLog& log, SequenceNumber snapshot, bool into_one)
      LSMKV_EXCLUDES(sort_mutex_, mutex_);

 private:
  bool Covered(const InsertionLog& log, SequenceNumber snapshot, bool into_one, SortedRunList* runs)
      LSMKV_EXCLUDES(mutex_);

  Mutex sort_mutex_;                                           // held while sorting; taken before mutex_
  Mutex mutex_;                                                // a leaf; held for a copy of the list
  SortedRunList runs_ LSMKV_GUARDED_BY(mutex_);
  std::uint64_t covered_count_ LSMKV_GUARDED_BY(mutex_) = 0;   // of the log's entries
};

/// The place of the run's first key that is >= `key`; its size when there is none.
std::size_t LowerBound(const SortedRun& run, std::string_view key);

/// Walks one run: for each key its newest version that `snapshot` sees; keys without one are left out.
std::unique_ptr<InternalIterator> NewRunIterator(std::shared_ptr<const SortedRun> run, SequenceNumber snapshot);

}  // namespace lsmkv
