// Block cache: parsed blocks of all tables under one byte budget, the indexes and filters among them, and values of blob
// files, whose numbers come from the same counter as those of tables.
//
// It is cut into 64 shards by the hash of (table, offset). A shard is an open-addressing hash table and a ring of its blocks under
// one mutex that is held for a lookup of some tens of nanoseconds, never for I/O, and never while a block is freed. Both are plain
// arrays, so that neither a search that finds nothing nor the hand waits for the memory of blocks that it leaves alone:
//
//   slots   hash bits | place in the ring | address of the block      linear probing
//   ring    address of the block, by place                            what falls leaves its place to the next one
//   counts  rounds it has left, by place
//
// Eviction is CLOCK with small counters, over a budget that all shards share: a hit adds two to its block's counter (no
// list is touched); when the sum of all charges is over the budget, the hand of the fuller of two random shards moves on,
// takes one from each counter it passes and evicts what stands at zero. (Not every shard in turn: blocks arrive in shards
// by chance, so equal turns would empty some down to their hottest blocks while others grew.) A new data block starts at
// zero behind the hand: it lives one round, and without a hit that round is all a scan's block gets, while what was hit
// twice lives four rounds more. Index and filter blocks start higher and rise higher: one of them serves hundreds of data
// blocks.
//
// A block that many readers miss at once is read once: the first registers a *flight* in the shard and reads, the others
// wait for its result. A reader that may not wait is told so instead (kWouldBlock is the table's answer, from Lookup's
// null).
//
// Invariants
//   1. When no insert is under way, the charges of all entries add up to at most the capacity. A block larger than an
//      eighth of it is not kept at all. Blocks that readers still hold after their eviction are not counted.
//   2. A failed load is not remembered: the flight's waiters share its error, the next reader tries again.
//   3. Table numbers are never used again, so an entry that outlives its table is never found, only evicted.
//
// Threads  all methods from any thread. A shard's mutex and a flight's are leaves; two are never held together.
// Source   CLOCK: Corbato, "A Paging Experiment with the Multics System" (1968); counters instead of a bit as in RocksDB's
//          HyperClockCache; two choices: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (1996).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "engine/sstable/cached_block.h"
#include "lsmkv/status.h"

namespace lsmkv {

class BlockCache {
 public:
  explicit BlockCache(std::uint64_t capacity_bytes);
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  using Loader = std::function<Result<BlockRef>()>;

  /// The block, or null. Counts a hit or a miss.
  BlockRef Lookup(BlockKey key);
  /// The same, but nothing is counted and nothing is made to stay longer: for hints.
  BlockRef Peek(BlockKey key);
  /// Start loading what Lookup and Peek will touch: first the block's slot, then, once that has come, the block.
  void PrefetchSlot(BlockKey key);
  void PrefetchBlock(BlockKey key);
  /// After a Lookup that gave null: the block, from `load` or from another thread's load that is under way; then kept.
  /// Waits for the disk. `load` makes a new block, on this thread, without locks, and must not use the cache. Errors: those
  /// of `load`.
  Result<BlockRef> LoadOnce(BlockKey key, const Loader& load);
  /// Keeps a block that was read some other way, and was never given to a cache before.
  void Insert(BlockKey key, BlockRef block);
  /// Forgets the blocks of a deleted table. Takes time in proportion to the cache, in short steps.
  void EraseTable(std::uint64_t table);

  void SetCapacity(std::uint64_t capacity_bytes);
  std::uint64_t capacity_bytes() const { return capacity_.load(std::memory_order_relaxed); }

  struct Stats {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t blocks = 0;
    std::uint64_t bytes = 0;  ///< charges of the blocks kept
    std::uint64_t index_bytes = 0;   ///< of these, indexes
    std::uint64_t filter_bytes = 0;  ///< of these, filters
  };
  Stats stats() const;

 private:
  struct Flight;
  struct Shard;
  static constexpr std::size_t kShardCount = 64;
  static constexpr unsigned kShardBits = 6;
  static_assert(kShardCount == 1u << kShardBits);

  static std::uint64_t HashOf(BlockKey key);
  static CacheLinks& LinksOf(const CachedBlock& block) { return block.links_; }
  Shard& ShardOf(std::uint64_t hash);
  bool Keeps(const CachedBlock& block) const;
  /// Counts a block's charge in or, when it goes, out.
  void CountIn(const CachedBlock& block);
  void CountOut(const CachedBlock& block);
  Shard& PickVictim();
  void EvictToCapacity();
  Result<BlockRef> RunFlight(BlockKey key, Shard& shard, Flight& flight, const Loader& load);

  std::unique_ptr<Shard[]> shards_;
  std::atomic<std::uint64_t> capacity_;        // relaxed: a bound, not a hand-over
  std::atomic<std::uint64_t> charged_{0};      // relaxed: sum over the shards, changed beside their entries
  std::array<std::atomic<std::uint64_t>, kBlockKinds> charged_by_kind_{};  // relaxed: for people
  std::atomic<std::uint64_t> next_victim_{0};  // relaxed: seeds the choice of a shard to evict from
};

}  // namespace lsmkv
