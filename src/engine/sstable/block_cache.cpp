#include "engine/sstable/block_cache.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/prefetch.h"

namespace lsmkv {
namespace {

constexpr std::uint8_t kHitCount = 2;  // rounds a hit is worth
constexpr std::uint8_t kMaxDataCount = 4;
constexpr std::uint8_t kFirstIndexCount = 4;
constexpr std::uint8_t kMaxIndexCount = 8;
constexpr std::size_t kFirstBuckets = 16;
constexpr std::size_t kSweepSteps = 64;     // blocks a hand passes under one lock
constexpr std::size_t kEraseBuckets = 512;  // buckets EraseTable empties under one lock
constexpr std::uint64_t kLargestShare = 8;  // a block may take capacity / this

bool HoldsValues(BlockKind kind) { return kind == BlockKind::kData || kind == BlockKind::kBlob; }
std::uint8_t FirstCount(BlockKind kind) { return HoldsValues(kind) ? 0 : kFirstIndexCount; }
std::uint8_t MaxCount(BlockKind kind) { return HoldsValues(kind) ? kMaxDataCount : kMaxIndexCount; }

}  // namespace

/// One load under way. Its own mutex, so that waiting readers do not hold up the shard.
struct BlockCache::Flight {
  explicit Flight(BlockKey flight_key) : key(flight_key) {}
  const BlockKey key;
  Mutex mutex;
  CondVar landed;
  std::optional<Result<BlockRef>> result LSMKV_GUARDED_BY(mutex);
};

struct alignas(64) BlockCache::Shard {
  Mutex mutex;
  std::vector<const CachedBlock*> buckets LSMKV_GUARDED_BY(mutex) = std::vector<const CachedBlock*>(kFirstBuckets);
  std::size_t block_count LSMKV_GUARDED_BY(mutex) = 0;
  const CachedBlock* hand LSMKV_GUARDED_BY(mutex) = nullptr;
  std::uint64_t hits LSMKV_GUARDED_BY(mutex) = 0;
  std::uint64_t misses LSMKV_GUARDED_BY(mutex) = 0;
  std::vector<std::shared_ptr<Flight>> flights LSMKV_GUARDED_BY(mutex);
  std::atomic<std::uint64_t> charged{0};  // relaxed; changed under the mutex, compared by who looks for a victim

  const CachedBlock*& Bucket(std::uint64_t hash) LSMKV_REQUIRES(mutex) { return buckets[hash & (buckets.size() - 1)]; }
  const CachedBlock* Find(BlockKey key, std::uint64_t hash) LSMKV_REQUIRES(mutex);
  BlockRef Hit(BlockKey key, std::uint64_t hash) LSMKV_REQUIRES(mutex);
  /// Takes the reference that keeps the block here; its links say where it belongs.
  void Add(BlockRef block) LSMKV_REQUIRES(mutex);
  /// Gives that reference back, to be dropped after unlocking.
  BlockRef Remove(const CachedBlock& block) LSMKV_REQUIRES(mutex);
  void Grow() LSMKV_REQUIRES(mutex);
  /// Moves the hand until one block falls or kSweepSteps are done.
  BlockRef Sweep() LSMKV_REQUIRES(mutex);
  void RemoveFlight(const Flight& flight) LSMKV_REQUIRES(mutex);
};

const CachedBlock* BlockCache::Shard::Find(BlockKey key, std::uint64_t hash) {
  const CachedBlock* block = Bucket(hash);
  while (block != nullptr && LinksOf(*block).key != key) block = LinksOf(*block).chain;
  return block;
}

BlockRef BlockCache::Shard::Hit(BlockKey key, std::uint64_t hash) {
  const CachedBlock* const block = Find(key, hash);
  if (block == nullptr) return nullptr;
  CacheLinks& links = LinksOf(*block);
  const std::uint8_t most = MaxCount(block->kind());
  if (links.count < most) links.count = std::min<std::uint8_t>(links.count + kHitCount, most);
  return links.self;
}

void BlockCache::Shard::Add(BlockRef block) {
  if (block_count >= buckets.size()) Grow();
  const CachedBlock* const added = block.get();
  CacheLinks& links = LinksOf(*added);
  const CachedBlock*& bucket = Bucket(links.hash);
  links.chain = bucket;
  bucket = added;
  links.self = std::move(block);
  ++block_count;
  charged.fetch_add(added->charge_bytes(), std::memory_order_relaxed);
  if (hand == nullptr) {
    hand = links.before = links.after = added;
    return;
  }
  links.after = hand;  // just behind the hand: a whole round away from it
  links.before = LinksOf(*hand).before;
  LinksOf(*links.before).after = added;
  LinksOf(*hand).before = added;
}

BlockRef BlockCache::Shard::Remove(const CachedBlock& block) {
  CacheLinks& links = LinksOf(block);
  const CachedBlock** link = &Bucket(links.hash);
  while (*link != &block) link = &LinksOf(**link).chain;
  *link = links.chain;
  LinksOf(*links.before).after = links.after;
  LinksOf(*links.after).before = links.before;
  if (hand == &block) hand = links.after == &block ? nullptr : links.after;
  --block_count;
  charged.fetch_sub(block.charge_bytes(), std::memory_order_relaxed);
  return std::move(links.self);
}

void BlockCache::Shard::Grow() {
  std::vector<const CachedBlock*> wider(buckets.size() * 2);
  for (const CachedBlock* block : buckets) {
    while (block != nullptr) {
      CacheLinks& links = LinksOf(*block);
      const CachedBlock*& bucket = wider[links.hash & (wider.size() - 1)];
      block = std::exchange(links.chain, std::exchange(bucket, block));
    }
  }
  buckets.swap(wider);
}

BlockRef BlockCache::Shard::Sweep() {
  for (std::size_t step = 0; step < kSweepSteps && hand != nullptr; ++step) {
    CacheLinks& links = LinksOf(*hand);
    if (links.count == 0) return Remove(*hand);
    --links.count;
    hand = links.after;
  }
  return nullptr;
}

void BlockCache::Shard::RemoveFlight(const Flight& flight) {
  const auto at = std::find_if(flights.begin(), flights.end(), [&](const auto& other) { return other.get() == &flight; });
  LSMKV_ASSERT(at != flights.end());
  flights.erase(at);
}

BlockCache::BlockCache(std::uint64_t capacity_bytes)
    : shards_(std::make_unique<Shard[]>(kShardCount)), capacity_(capacity_bytes) {}

BlockCache::~BlockCache() {
  for (std::size_t i = 0; i < kShardCount; ++i) {
    Shard& shard = shards_[i];
    const MutexLock lock(shard.mutex);
    LSMKV_ASSERT(shard.flights.empty());
    while (shard.hand != nullptr) shard.Remove(*shard.hand).reset();
  }
}

std::uint64_t BlockCache::HashOf(BlockKey key) {
  std::uint64_t hash = (key.table + 1) * 0x9e3779b97f4a7c15 ^ key.offset;
  hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93;  // after Degski's 64-bit mixer
  hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93;
  return hash ^ hash >> 32;
}

BlockCache::Shard& BlockCache::ShardOf(std::uint64_t hash) { return shards_[hash >> (64 - kShardBits)]; }

BlockRef BlockCache::Lookup(BlockKey key) {
  const std::uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  const MutexLock lock(shard.mutex);
  BlockRef block = shard.Hit(key, hash);
  ++(block != nullptr ? shard.hits : shard.misses);
  return block;
}

BlockRef BlockCache::Peek(BlockKey key) {
  const std::uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  const MutexLock lock(shard.mutex);
  const CachedBlock* const block = shard.Find(key, hash);
  return block == nullptr ? nullptr : LinksOf(*block).self;
}

void BlockCache::PrefetchBucket(BlockKey key) {
  const std::uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  const MutexLock lock(shard.mutex);
  Prefetch(&shard.Bucket(hash));
}

void BlockCache::PrefetchBlock(BlockKey key) {
  const std::uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  const MutexLock lock(shard.mutex);
  const CachedBlock* const block = shard.Bucket(hash);
  if (block == nullptr) return;
  Prefetch(block);                                              // its links
  Prefetch(reinterpret_cast<const char*>(block) + sizeof(CachedBlock));   // what the kind adds to them
}

Result<BlockRef> BlockCache::LoadOnce(BlockKey key, const Loader& load) {
  const std::uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  std::shared_ptr<Flight> flight;
  bool ours = false;
  {
    const MutexLock lock(shard.mutex);
    if (BlockRef block = shard.Hit(key, hash)) return block;
    for (const auto& other : shard.flights) {
      if (other->key == key) flight = other;
    }
    if (flight == nullptr) {
      ours = true;
      flight = shard.flights.emplace_back(std::make_shared<Flight>(key));
    }
  }
  if (ours) return RunFlight(key, shard, *flight, load);
  const MutexLock lock(flight->mutex);
  while (!flight->result.has_value()) flight->landed.Wait(flight->mutex);
  return *flight->result;
}

Result<BlockRef> BlockCache::RunFlight(BlockKey key, Shard& shard, Flight& flight, const Loader& load) {
  Result<BlockRef> block = load();
  if (block) Insert(key, *block);  // before the flight goes, so that a reader finds one or the other
  {
    const MutexLock lock(shard.mutex);
    shard.RemoveFlight(flight);
  }
  {
    const MutexLock lock(flight.mutex);
    flight.result = block;
  }
  flight.landed.NotifyAll();
  return block;
}

bool BlockCache::Keeps(const CachedBlock& block) const { return block.charge_bytes() <= capacity_bytes() / kLargestShare; }

void BlockCache::Insert(BlockKey key, BlockRef block) {
  if (!Keeps(*block)) return;
  const std::uint64_t hash = HashOf(key);
  CacheLinks& links = LinksOf(*block);
  LSMKV_ASSERT(links.self == nullptr);  // nobody else has seen it, so that its links may be set without the mutex
  links.key = key;
  links.hash = hash;
  links.count = FirstCount(block->kind());
  {
    Shard& shard = ShardOf(hash);
    const MutexLock lock(shard.mutex);
    if (shard.Find(key, hash) != nullptr) return;  // the same bytes, from another reader
    CountIn(*block);
    shard.Add(std::move(block));
  }
  EvictToCapacity();
}

void BlockCache::CountIn(const CachedBlock& block) {
  charged_.fetch_add(block.charge_bytes(), std::memory_order_relaxed);
  charged_by_kind_[static_cast<std::size_t>(block.kind())].fetch_add(block.charge_bytes(), std::memory_order_relaxed);
}

void BlockCache::CountOut(const CachedBlock& block) {
  charged_.fetch_sub(block.charge_bytes(), std::memory_order_relaxed);
  charged_by_kind_[static_cast<std::size_t>(block.kind())].fetch_sub(block.charge_bytes(), std::memory_order_relaxed);
}

BlockCache::Shard& BlockCache::PickVictim() {
  const std::uint64_t random = HashOf({next_victim_.fetch_add(1, std::memory_order_relaxed), 0});
  Shard& one = shards_[random % kShardCount];
  Shard& other = shards_[random / kShardCount % kShardCount];
  return one.charged.load(std::memory_order_relaxed) > other.charged.load(std::memory_order_relaxed) ? one : other;
}

void BlockCache::EvictToCapacity() {
  // Ends: every shard's turn comes, each turn takes one from the counters it passes, and counters are small.
  while (charged_.load(std::memory_order_relaxed) > capacity_bytes()) {
    Shard& shard = PickVictim();
    BlockRef evicted;  // freed after the lock
    const MutexLock lock(shard.mutex);
    evicted = shard.Sweep();
    if (evicted != nullptr) CountOut(*evicted);
  }
}

void BlockCache::EraseTable(std::uint64_t table) {
  for (std::size_t i = 0; i < kShardCount; ++i) {
    Shard& shard = shards_[i];
    // When the table of buckets doubles between two steps, bucket b splits into b and b + old size: those already emptied
    // stay so, and the others are still ahead.
    for (std::size_t next = 0, more = 1; more != 0;) {
      std::vector<BlockRef> erased;
      const MutexLock lock(shard.mutex);
      const std::size_t end = std::min(shard.buckets.size(), next + kEraseBuckets);
      for (; next < end; ++next) {
        for (const CachedBlock* block = shard.buckets[next]; block != nullptr;) {
          const CachedBlock* const chain = LinksOf(*block).chain;
          if (LinksOf(*block).key.table == table) erased.push_back(shard.Remove(*block));
          block = chain;
        }
      }
      more = next < shard.buckets.size();
      for (const BlockRef& block : erased) CountOut(*block);
    }
  }
}

void BlockCache::SetCapacity(std::uint64_t capacity_bytes) {
  capacity_.store(capacity_bytes, std::memory_order_relaxed);
  EvictToCapacity();
}

BlockCache::Stats BlockCache::stats() const {
  Stats stats;
  const auto of_kind = [this](BlockKind kind) {
    return charged_by_kind_[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
  };
  stats.bytes = charged_.load(std::memory_order_relaxed);
  stats.index_bytes = of_kind(BlockKind::kIndex);
  stats.filter_bytes = of_kind(BlockKind::kFilter);
  for (std::size_t i = 0; i < kShardCount; ++i) {
    Shard& shard = shards_[i];
    const MutexLock lock(shard.mutex);
    stats.hits += shard.hits;
    stats.misses += shard.misses;
    stats.blocks += shard.block_count;
  }
  return stats;
}

}  // namespace lsmkv
