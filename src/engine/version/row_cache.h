// Row cache: single keys with the value the tables hold for them, in front of the whole search through the levels. A hit costs two
// cache misses, as in a hash table in memory; and of a hot key it keeps a hundred bytes, where the block cache keeps four thousand.
//
//   shard   := one of 64, by the hash's top bits: a mutex, a budget, a clock hand, buckets
//   bucket  := 8 slots, one cache line, by the hash's low bits
//   slot    := 16 bits of the hash | address of the row | 1 bit: was found since the hand came by      0: empty
//
// Why a row is never stale. It is what the tables say, and memtables are asked first; so it goes wrong only when a version of
// the tree takes over that has something newer of the key in a *table*:
//   a flush      the worker raises the epoch, then renews every key of the memtable, and only later the tables change. Whoever
//                takes a ticket (the epoch) after that sees the memtable, finds the key there, and never comes here; whoever took it
//                before may have searched without that memtable, and its Insert is refused. When another memtable's flush begins
//                meanwhile, or a younger one's has begun before, this one's values may be old: then Renew() only forgets.
//   an ingest, a reload       Closed: the epoch is odd, nothing may be inserted, and all is forgotten, until the new version is there.
//   a merge      changes no key's newest version: nothing to do. What it drops because of a deadline has a row still: the reader leaves out rows
//                whose deadline is past, or not later than one that was dropped (EngineContext::expired_deadline_ms), as the clock may go back.
// The order is the whole point: Ticket() first, then the view, then the search, then Insert() with that ticket.
//
// A flush also brings in keys that have no row, as long as there is room without evicting: what was written is likely to be read, and
// data that fits is found at once from the first read on.
//
// Invariants
//   1. Charges of the rows of a shard, and its buckets, are at most its share of the capacity, but for buckets that a larger one had
//      asked for: hints look at them without a lock, so they stay. Rows that readers still hold after they went are not counted.
//   2. While a shard is full it takes one row in kAdmitOneIn, so that a scan of cold keys costs little and hot keys still get in; one in
//      kAdmitOneOfColdIn while its rows are found so rarely (keys read at random from far more than there is room for) that they do not
//      pay for being made. Should some become hot, they get in soon enough, are found, and the door is open again.
//   3. Every reader that compares keys does so under the shard's mutex; prefetching reads slots without, and follows no address.
// Threads  all methods from any thread; Closed: one at a time (the scheduler's). The mutexes are leaves.
// Source   RocksDB's row cache for the idea (it is keyed by file, so that each table must be asked); slots with tags: MemC3 (Fan,
//          Andersen, Kaminsky, 2013); CLOCK: Corbato, "A Paging Experiment with the Multics System" (1968).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "engine/version/row.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

class RowCache {
 public:
  /// Rows of more, key and value together, are not kept.
  static constexpr std::uint64_t kMaxRowBytes = 2048;

  explicit RowCache(std::uint64_t capacity_bytes);
  ~RowCache();
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  /// To be taken before the view that is searched.
  std::uint64_t Ticket() const { return epoch_.load(std::memory_order_acquire); }
  /// The row, or null. Counts a hit or a miss.
  RowRef Find(std::string_view key, std::uint64_t hash);
  /// What the tables of a view had that was taken after `ticket`. A hint: it may be refused.
  void Insert(std::uint64_t ticket, std::string_view key, std::uint64_t hash, std::string_view value, std::uint64_t expire_at_ms);

  /// Start loading what Find will touch: the slots, then, once they have come, the row. False: there is none.
  void PrefetchSlots(std::uint64_t hash) const;
  bool PrefetchRow(std::uint64_t hash) const;

  /// A memtable that takes no more writes and is among the view's will be a table. For each of its keys Renew() or Forget() must follow,
  /// with the ticket that this returns.
  /// @param newest  the memtable's largest sequence number.
  std::uint64_t BeginFlush(SequenceNumber newest) LSMKV_EXCLUDES(flush_mutex_);
  /// The key's newest value in the memtable.
  void Renew(std::uint64_t ticket, std::string_view key, std::uint64_t hash, std::string_view value, std::uint64_t expire_at_ms);
  void Forget(std::uint64_t hash);

  /// While it lives the cache is empty. For a version with entries that were neither in a table nor in a memtable.
  class Closed {
   public:
    explicit Closed(RowCache& cache);
    ~Closed();
    Closed(const Closed&) = delete;
    Closed& operator=(const Closed&) = delete;

   private:
    RowCache& cache_;
  };

  void SetCapacity(std::uint64_t capacity_bytes);
  std::uint64_t capacity_bytes() const { return capacity_.load(std::memory_order_relaxed); }
  /// Charges of the rows, and the buckets.
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  struct Stats {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
  };
  Stats stats() const;

 private:
  struct Bucket;
  struct Shard;
  class Counted;
  static constexpr unsigned kShardBits = 6;
  static constexpr std::size_t kShardCount = 1u << kShardBits;

  Shard& ShardOf(std::uint64_t hash) const;
  const Bucket* BucketOf(std::uint64_t hash) const;
  std::uint64_t ShardBudget() const { return capacity_bytes() / kShardCount; }
  bool Admits(Shard& shard, std::uint64_t row_bytes) const;
  void Clear();

  const std::unique_ptr<Shard[]> shards_;
  std::atomic<std::uint64_t> capacity_;         // relaxed: a bound
  std::atomic<std::uint64_t> bytes_{0};         // relaxed: a sum over the shards
  Mutex flush_mutex_;                           // a leaf
  SequenceNumber newest_flush_ LSMKV_GUARDED_BY(flush_mutex_) = 0;
  std::atomic<std::uint64_t> epoch_{0};         // odd: closed. Raised before a shard's mutex is taken for it, compared under it
};

}  // namespace lsmkv
