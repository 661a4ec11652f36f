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
constexpr std::size_t kFirstSlots = 16;
constexpr std::size_t kSweepSteps = 64;     // places a hand passes under one lock
constexpr std::size_t kErasePlaces = 512;   // places EraseTable looks at under one lock
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
  struct Slot {
    const CachedBlock* block = nullptr;
    std::uint32_t hash = 0;      // low bits of the key's: tells nearly all others apart without touching their blocks
    std::uint32_t position = 0;  // in the ring
  };
  Mutex mutex;
  std::vector<Slot> slots LSMKV_GUARDED_BY(mutex) = std::vector<Slot>(kFirstSlots);  // a power of two, at most half of them taken
  std::vector<const CachedBlock*> ring LSMKV_GUARDED_BY(mutex);                      // null: a place that is free
  std::vector<std::uint8_t> counts LSMKV_GUARDED_BY(mutex);                          // of the ring's places: rounds each block has left
  std::vector<std::uint32_t> free_places LSMKV_GUARDED_BY(mutex);                    // the last one is the nearest behind the hand
  std::size_t hand LSMKV_GUARDED_BY(mutex) = 0;                                      // into the ring
  std::size_t block_count LSMKV_GUARDED_BY(mutex) = 0;
  std::uint64_t hits LSMKV_GUARDED_BY(mutex) = 0;
  std::uint64_t misses LSMKV_GUARDED_BY(mutex) = 0;
  std::vector<std::shared_ptr<Flight>> flights LSMKV_GUARDED_BY(mutex);
  std::atomic<std::uint64_t> charged{0};  // relaxed; changed under the mutex, compared by who looks for a victim

  std::size_t Home(std::uint64_t hash) const LSMKV_REQUIRES(mutex) { return hash & (slots.size() - 1); }
  std::size_t After(std::size_t slot) const LSMKV_REQUIRES(mutex) { return (slot + 1) & (slots.size() - 1); }
  /// The first slot from `hash`'s on that is free or of a block that `is` names.
  template <typename Is>
  Slot& Probe(std::uint64_t hash, Is&& is) LSMKV_REQUIRES(mutex);
  /// The block's slot; a free one if it is not here.
  Slot& Find(BlockKey key, std::uint64_t hash) LSMKV_REQUIRES(mutex);
  BlockRef Hit(BlockKey key, std::uint64_t hash) LSMKV_REQUIRES(mutex);
  /// Takes the reference that keeps the block here; its links say where it belongs.
  void Add(BlockRef block, std::uint8_t count) LSMKV_REQUIRES(mutex);
  std::uint32_t TakePlace() LSMKV_REQUIRES(mutex);
  /// Gives that reference back, to be dropped after unlocking.
  BlockRef Remove(const CachedBlock& block) LSMKV_REQUIRES(mutex);
  void CloseGap(std::size_t gap) LSMKV_REQUIRES(mutex);
  void Grow() LSMKV_REQUIRES(mutex);
  /// Moves the hand until one block falls or kSweepSteps are done.
  BlockRef Sweep() LSMKV_REQUIRES(mutex);
  void RemoveFlight(const Flight& flight) LSMKV_REQUIRES(mutex);
};

template <typename Is>
BlockCache::Shard::Slot& BlockCache::Shard::Probe(std::uint64_t hash, Is&& is) {
  const auto low = static_cast<std::uint32_t>(hash);
  std::size_t at = Home(hash);
  while (slots[at].block != nullptr && !(slots[at].hash == low && is(*slots[at].block))) at = After(at);
  return slots[at];
}

BlockCache::Shard::Slot& BlockCache::Shard::Find(BlockKey key, std::uint64_t hash) {
  return Probe(hash, [&key](const CachedBlock& block) { return LinksOf(block).key == key; });
}

BlockRef BlockCache::Shard::Hit(BlockKey key, std::uint64_t hash) {
  const Slot& slot = Find(key, hash);
  if (slot.block == nullptr) return nullptr;
  const std::uint8_t most = MaxCount(slot.block->kind());
  std::uint8_t& count = counts[slot.position];
  if (count < most) count = std::min<std::uint8_t>(count + kHitCount, most);
  return LinksOf(*slot.block).self;
}

void BlockCache::Shard::Add(BlockRef block, std::uint8_t count) {
  if (2 * (block_count + 1) > slots.size()) Grow();
  const CachedBlock* const added = block.get();
  CacheLinks& links = LinksOf(*added);
  const std::uint32_t position = TakePlace();
  Probe(links.hash, [](const CachedBlock&) { return false; }) = {added, static_cast<std::uint32_t>(links.hash), position};
  ring[position] = added;
  counts[position] = count;
  links.self = std::move(block);
  ++block_count;
  charged.fetch_add(added->charge_bytes(), std::memory_order_relaxed);
}

/// Just behind the hand, a whole round away from it: where the last block fell. While nothing has fallen the ring grows at its end,
/// which is behind the hand, too.
std::uint32_t BlockCache::Shard::TakePlace() {
  if (free_places.empty()) {
    ring.push_back(nullptr);
    counts.push_back(0);
    return static_cast<std::uint32_t>(ring.size() - 1);
  }
  const std::uint32_t place = free_places.back();
  free_places.pop_back();
  return place;
}

BlockRef BlockCache::Shard::Remove(const CachedBlock& block) {
  CacheLinks& links = LinksOf(block);
  const Slot& slot = Probe(links.hash, [&block](const CachedBlock& other) { return &other == &block; });
  LSMKV_ASSERT(slot.block == &block);
  ring[slot.position] = nullptr;
  free_places.push_back(slot.position);
  CloseGap(static_cast<std::size_t>(&slot - slots.data()));
  --block_count;
  charged.fetch_sub(block.charge_bytes(), std::memory_order_relaxed);
  return std::move(links.self);
}

/// Linear probing without tombstones: what stands behind the gap, and would be looked for at the gap first, moves into it (Knuth,
/// "The Art of Computer Programming", volume 3, 6.4, algorithm R).
void BlockCache::Shard::CloseGap(std::size_t gap) {
  for (std::size_t at = After(gap); slots[at].block != nullptr; at = After(at)) {
    const std::size_t from_home = (at - Home(slots[at].hash)) & (slots.size() - 1);
    const std::size_t from_gap = (at - gap) & (slots.size() - 1);
    if (from_home < from_gap) continue;
    slots[gap] = slots[at];
    gap = at;
  }
  slots[gap] = Slot();
}

void BlockCache::Shard::Grow() {
  const std::vector<Slot> before = std::exchange(slots, std::vector<Slot>(slots.size() * 2));
  for (const Slot& slot : before)
    if (slot.block != nullptr) Probe(slot.hash, [](const CachedBlock&) { return false; }) = slot;
}

BlockRef BlockCache::Shard::Sweep() {
  for (std::size_t step = 0; step < kSweepSteps && block_count > 0; ++step) {
    if (hand >= ring.size()) hand = 0;
    const std::size_t at = hand++;
    if (ring[at] == nullptr) continue;
    if (counts[at] == 0) return Remove(*ring[at]);
    --counts[at];
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
    for (const CachedBlock* block : shard.ring)
      if (block != nullptr) shard.Remove(*block).reset();
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
  const CachedBlock* const block = shard.Find(key, hash).block;
  return block == nullptr ? nullptr : LinksOf(*block).self;
}

void BlockCache::PrefetchSlot(BlockKey key) {
  const std::uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  const MutexLock lock(shard.mutex);
  Prefetch(&shard.slots[shard.Home(hash)]);
}

void BlockCache::PrefetchBlock(BlockKey key) {
  const std::uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  const MutexLock lock(shard.mutex);
  const CachedBlock* const block = shard.Probe(hash, [](const CachedBlock&) { return true; }).block;
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
  {
    Shard& shard = ShardOf(hash);
    const MutexLock lock(shard.mutex);
    if (shard.Find(key, hash).block != nullptr) return;  // the same bytes, from another reader
    CountIn(*block);
    const std::uint8_t rounds = FirstCount(block->kind());
    shard.Add(std::move(block), rounds);
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
    // Blocks keep their places, and new ones of this table are read by nobody but who has begun already.
    for (std::size_t next = 0, more = 1; more != 0;) {
      std::vector<BlockRef> erased;
      const MutexLock lock(shard.mutex);
      const std::size_t end = std::min(shard.ring.size(), next + kErasePlaces);
      for (; next < end; ++next) {
        const CachedBlock* const block = shard.ring[next];
        if (block != nullptr && LinksOf(*block).key.table == table) erased.push_back(shard.Remove(*block));
      }
      more = next < shard.ring.size();
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
