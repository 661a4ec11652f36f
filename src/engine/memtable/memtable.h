// The newest data: every version that is not in an SSTable yet, in memory.
//
//   Add --> node in the arena (node.h)
//             |-> hash index   (hash_index.h)      newest version of each key     --> Get, O(1)
//             '-> insertion log (insertion_log.h)  sorted into runs when asked    --> NewIterator (sorted_runs.h)
//
// Point operations are what a key-value server lives from, so they get the hash table; order is made only for those
// who ask (scans, the flush), on their thread. A skip list would make every write and every read pay for it.
//
// Invariants
//   1. Sequence numbers only grow from Add to Add. The newest version of a key is the one added last.
//   2. A version that has been added stays, unchanged and at its address, until the memtable goes.
//   3. A reader at snapshot S that learnt of S after every Add up to S returned sees exactly the versions <= S:
//      later ones are there, and are skipped.
// Threads  Add and Freeze: one writer at a time (the engine's write mutex). Everything else: any thread, at any time,
//          concurrently with the writer; Get takes no lock. What makes this safe is said in hash_index.h and
//          insertion_log.h. The last owner frees tens of megabytes: it should not be an event loop.
// Source   sharded hash index and lazily sorted runs are our own mix; node chains as in any multi-version store.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "engine/internal_iterator.h"
#include "engine/memtable/hash_index.h"
#include "engine/memtable/insertion_log.h"
#include "engine/memtable/sorted_runs.h"

namespace lsmkv {

struct MemTableOptions {
  /// How many different keys are likely. Too small: the index grows on the way. Too large: address space, and lookups
  /// spread over more memory. 0: unknown.
  std::uint64_t expected_entries = 0;
  /// Bring the index's memory in now (some 0.2 ms a MiB), so that no Add waits for it. For a memtable that is made ahead
  /// of time, on a thread that may wait. False: page by page, as keys come.
  bool warm_index = false;
};

class MemTable {
 public:
  explicit MemTable(const MemTableOptions& options = {});
  MemTable(const MemTable&) = delete;
  MemTable& operator=(const MemTable&) = delete;

  /// Adds one version; copies key and value. `entry.sequence` is ignored.
  /// @param sequence  larger than that of every Add before.
  /// @param hash      Hash(entry.key).
  /// Cost  one copy, two cache misses; sometimes a shard of the index is copied (hash_index.h).
  void Add(SequenceNumber sequence, const EntryView& entry, std::uint64_t hash);

  /// The same without copying a value: for those in memory that Keep() was given.
  void AddKept(SequenceNumber sequence, const EntryView& entry, std::uint64_t hash);
  /// `bytes` of memory stay until the memtable goes.
  void Keep(std::shared_ptr<const void> memory, std::uint64_t bytes);

  /// `sequence` was given to nothing: no version here has it, and it counts as seen (largest_sequence).
  /// @param sequence  larger than that of every Add before.
  void Skip(SequenceNumber sequence);

  /// The newest version of `key` with a sequence number <= snapshot, tombstones included, into `*out`.
  /// Its bytes live as long as the memtable. False, with `*out` untouched, when there is none.
  bool Get(std::string_view key, std::uint64_t hash, SequenceNumber snapshot, EntryView* out) const {
    const MemTableNode* node = index_.Find(key, hash);
    if (node != nullptr) node = node->VisibleAt(snapshot);
    if (node == nullptr) return false;
    *out = node->View();
    return true;
  }

  /// Starts loading what Get or Add for a key with this hash will touch first. Worth it a few keys ahead.
  void Prefetch(std::uint64_t hash) const { index_.Prefetch(hash); }

  /// When that has come: the same for the key's newest node. False when no key has this hash; true may be another key's.
  bool PrefetchNode(std::uint64_t hash) const { return index_.PrefetchNode(hash); }

  /// Calls visit(newest version's node) for every key, in no order. The nodes may not be in the processor's caches.
  template <typename Visit>
  void VisitNewest(Visit visit) const { index_.VisitNewest(visit); }

  /// Each key once, with its newest version <= snapshot (tombstones too); keys without one are left out. The memtable
  /// must outlive the iterator. Sorts what has come since the last iterator: up to some 100 ns an entry, on this thread.
  std::unique_ptr<InternalIterator> NewIterator(SequenceNumber snapshot) const;

  /// No Add will follow: iterators made from now on walk a single run. Nothing else changes.
  void Freeze() { frozen_.store(true, std::memory_order_release); }

  /// The key of some version, picked by `random`: a key is picked in proportion to how often it was written.
  std::optional<std::string> SampleKey(std::uint64_t random) const;
  /// The same among the keys in [begin, end), dead or alive; an empty `end` means no end. nullopt: there is none.
  /// Cost  a few tries when the range holds much of the memtable; else it sorts like NewIterator, on this thread.
  std::optional<std::string> SampleKey(std::string_view begin, std::string_view end, std::uint64_t random) const;

  std::uint64_t entries() const { return log_.count(); }      ///< versions
  std::uint64_t keys() const { return index_.keys(); }        ///< different keys
  /// Keys whose newest version is not a tombstone; those that have expired since are counted.
  std::uint64_t live_hint() const { return live_keys_.load(std::memory_order_relaxed); }
  /// Memory in use: nodes, log and index, and what is kept. Sorted runs (8 bytes an entry) are left out: it stays the same once frozen.
  std::uint64_t bytes() const;
  /// Of them, what Keep() was given.
  std::uint64_t own_bytes() const { return bytes() - kept_bytes(); }
  std::uint64_t kept_bytes() const { return kept_bytes_.load(std::memory_order_relaxed); }
  /// 0 while empty.
  SequenceNumber smallest_sequence() const { return smallest_sequence_.load(std::memory_order_relaxed); }
  SequenceNumber largest_sequence() const { return largest_sequence_.load(std::memory_order_relaxed); }

 private:
  void AddNode(MemTableNode* node, std::uint64_t hash);
  std::optional<std::string> SampleRareKey(std::string_view begin, std::string_view end, std::uint64_t random) const;

  const bool warm_index_;
  Arena arena_;
  HashIndex index_;
  InsertionLog log_;
  mutable SortedRuns runs_;
  std::vector<std::shared_ptr<const void>> kept_;             // the writer's
  // Written by the writer only. Relaxed: they publish nothing; whoever needs them exact has synchronised with the writer.
  std::atomic<std::uint64_t> live_keys_{0};
  std::atomic<SequenceNumber> smallest_sequence_{0};
  std::atomic<SequenceNumber> largest_sequence_{0};
  std::atomic<std::uint64_t> kept_bytes_{0};
  std::atomic<bool> frozen_{false};                           // release by Freeze, acquire by NewIterator
};

}  // namespace lsmkv
