#include "engine/version/row_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <span>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/prefetch.h"
#include "base/simulated_thread.h"
#include "base/size_class.h"
#include "engine/version/row.h"

namespace lsmkv {
namespace {

constexpr std::size_t kSlots = 8;
constexpr std::uint64_t kUsualRowBytes = 160;      // what the number of buckets is guessed from
constexpr std::uint64_t kUsualRowsPerBucket = 5;
constexpr std::uint64_t kFirstBuckets = 16;
constexpr std::uint64_t kLargestShare = 4;         // a row may take its shard's budget / this
constexpr std::uint32_t kAdmitOneIn = 8;
constexpr std::uint32_t kAdmitOneOfColdIn = 128;   // while fewer than one in kColdBelow of the last kJudgedSearches found a row
constexpr std::uint64_t kColdBelow = 64;
constexpr std::uint64_t kJudgedSearches = 4096;
constexpr std::size_t kSweepBuckets = 32;          // the hand passes for one row at most
constexpr std::size_t kClearBuckets = 256;         // Clear empties under one lock

constexpr std::uint64_t kNoTicket = ~std::uint64_t{0};   // no epoch comes so far
constexpr std::uint64_t kFoundBit = 1;
constexpr unsigned kTagShift = 48;
constexpr std::uint64_t kAddressMask = ((std::uint64_t{1} << kTagShift) - 1) & ~kFoundBit;

std::uint64_t TagOf(std::uint64_t hash) { return hash >> 32 & 0xffff; }     // shards and buckets go by other bits
bool HasTag(std::uint64_t slot, std::uint64_t hash) { return slot != 0 && slot >> kTagShift == TagOf(hash); }
const Row* RowAt(std::uint64_t slot) { return reinterpret_cast<const Row*>(slot & kAddressMask); }
std::uint64_t SlotFor(const Row& row, std::uint64_t hash) {
  const auto address = reinterpret_cast<std::uint64_t>(&row);
  LSMKV_INVARIANT((address & ~kAddressMask) == 0);
  return TagOf(hash) << kTagShift | address;
}

}  // namespace

struct alignas(kCacheLineBytes) RowCache::Bucket {
  /// From a smaller table, where it shared a bucket with at most as many as there is room for here.
  void TakeIn(std::uint64_t slot) {
    for (std::atomic<std::uint64_t>& at : slots)
      if (at.load(std::memory_order_relaxed) == 0) return at.store(slot, std::memory_order_relaxed);
    LSMKV_ASSERT(false);
  }
  std::array<std::atomic<std::uint64_t>, kSlots> slots{};      // relaxed: changed under the shard's mutex; hints read them without
};

struct alignas(kCacheLineBytes) RowCache::Shard {
  Mutex mutex;
  // Written under the mutex, the buckets first; hints read them without it, the mask first: a mask is never too large for the buckets.
  std::atomic<Bucket*> buckets{nullptr};                       // release, acquire
  std::atomic<std::uint64_t> mask{0};                          // likewise
  std::atomic<std::uint64_t> bytes{0};                         // relaxed; changed under the mutex
  std::atomic<std::uint32_t> turned_away{0};                   // relaxed
  std::atomic<std::uint32_t> admit_one_in{kAdmitOneIn};        // relaxed
  std::vector<std::unique_ptr<Bucket[]>> arrays LSMKV_GUARDED_BY(mutex);   // the last is in use; hints may still look at the others
  std::size_t hand LSMKV_GUARDED_BY(mutex) = 0;
  std::uint64_t rows LSMKV_GUARDED_BY(mutex) = 0;
  std::uint64_t hits LSMKV_GUARDED_BY(mutex) = 0;
  std::uint64_t misses LSMKV_GUARDED_BY(mutex) = 0;
  std::uint64_t hits_judged LSMKV_GUARDED_BY(mutex) = 0;

  using Gone = std::vector<RowRef>;     // rows to be freed after the mutex
  Bucket* Of(std::uint64_t hash) LSMKV_REQUIRES(mutex) {
    Bucket* const all = buckets.load(std::memory_order_relaxed);
    return all == nullptr ? nullptr : all + (hash & mask.load(std::memory_order_relaxed));
  }
  std::size_t bucket_count() const {
    return buckets.load(std::memory_order_relaxed) == nullptr ? 0 : mask.load(std::memory_order_relaxed) + 1;
  }
  void CountMiss() LSMKV_REQUIRES(mutex);
  void MakeBuckets(std::uint64_t budget) LSMKV_REQUIRES(mutex);
  void Empty(std::span<Bucket> some, Gone* gone) LSMKV_REQUIRES(mutex);
  std::atomic<std::uint64_t>* FindSlot(std::string_view key, std::uint64_t hash) LSMKV_REQUIRES(mutex);
  bool HasEmptySlot(std::uint64_t hash) LSMKV_REQUIRES(mutex) {
    return std::ranges::any_of(Of(hash)->slots, [](const auto& slot) { return slot.load(std::memory_order_relaxed) == 0; });
  }
  bool Put(RowRef row, std::uint64_t hash, Gone* gone) LSMKV_REQUIRES(mutex);
  std::atomic<std::uint64_t>* FreeSlot(Bucket& bucket, Gone* gone) LSMKV_REQUIRES(mutex);
  void Remove(std::atomic<std::uint64_t>& slot, Gone* gone) LSMKV_REQUIRES(mutex);
  bool MakeRoom(std::uint64_t wanted, std::uint64_t budget, Gone* gone) LSMKV_REQUIRES(mutex);
};

/// Now and then: do the rows that are kept earn the room and the time they cost?
void RowCache::Shard::CountMiss() {
  if (++misses % kJudgedSearches != 0) return;
  const std::uint64_t found = hits - std::exchange(hits_judged, hits);
  admit_one_in.store(found < kJudgedSearches / kColdBelow ? kAdmitOneOfColdIn : kAdmitOneIn, std::memory_order_relaxed);
}

/// Twice as many when they have become full, up to what the budget asks for: a few rows take little. What smaller arrays take never
/// adds up to more than the last one.
void RowCache::Shard::MakeBuckets(std::uint64_t budget) {
  const std::uint64_t before = bucket_count();
  if (before != 0 && rows < before * kUsualRowsPerBucket) return;
  const std::uint64_t most = std::bit_ceil(budget / (kUsualRowBytes * kUsualRowsPerBucket) + 1);
  const std::uint64_t wanted = std::min(most, std::max(kFirstBuckets, 2 * before));
  if (wanted <= before) return;
  auto wider = std::make_unique<Bucket[]>(wanted);
  for (const Bucket& bucket : std::span(buckets.load(std::memory_order_relaxed), before)) {
    for (const std::atomic<std::uint64_t>& at : bucket.slots) {
      const std::uint64_t slot = at.load(std::memory_order_relaxed);
      if (slot != 0) wider[Hash(RowAt(slot)->key()) & (wanted - 1)].TakeIn(slot);
    }
  }
  arrays.push_back(std::move(wider));
  hand = 0;
  buckets.store(arrays.back().get(), std::memory_order_release);
  mask.store(wanted - 1, std::memory_order_release);
  bytes.fetch_add(wanted * sizeof(Bucket), std::memory_order_relaxed);
}

void RowCache::Shard::Empty(std::span<Bucket> some, Gone* gone) {
  for (Bucket& bucket : some) {
    for (std::atomic<std::uint64_t>& at : bucket.slots)
      if (at.load(std::memory_order_relaxed) != 0) Remove(at, gone);
  }
}

std::atomic<std::uint64_t>* RowCache::Shard::FindSlot(std::string_view key, std::uint64_t hash) {
  Bucket* const bucket = Of(hash);
  if (bucket == nullptr) return nullptr;
  for (std::atomic<std::uint64_t>& at : bucket->slots) {
    const std::uint64_t slot = at.load(std::memory_order_relaxed);
    if (HasTag(slot, hash) && RowAt(slot)->key() == key) return &at;
  }
  return nullptr;
}

void RowCache::Shard::Remove(std::atomic<std::uint64_t>& slot, Gone* gone) {
  const Row* const row = RowAt(slot.load(std::memory_order_relaxed));
  slot.store(0, std::memory_order_relaxed);
  --rows;
  bytes.fetch_sub(row->charge_bytes(), std::memory_order_relaxed);
  gone->push_back(std::move(row->self));
}

/// An empty slot, or one whose row nobody has found lately; null when all were: they have to be found again.
std::atomic<std::uint64_t>* RowCache::Shard::FreeSlot(Bucket& bucket, Gone* gone) {
  std::atomic<std::uint64_t>* cold = nullptr;
  for (std::atomic<std::uint64_t>& at : bucket.slots) {
    const std::uint64_t slot = at.load(std::memory_order_relaxed);
    if (slot == 0) return &at;
    if ((slot & kFoundBit) == 0) cold = &at;
  }
  if (cold != nullptr) {
    Remove(*cold, gone);
  } else {
    for (std::atomic<std::uint64_t>& at : bucket.slots) at.store(at.load(std::memory_order_relaxed) & ~kFoundBit, std::memory_order_relaxed);
  }
  return cold;
}

bool RowCache::Shard::MakeRoom(std::uint64_t wanted, std::uint64_t budget, Gone* gone) {
  Bucket* const all = buckets.load(std::memory_order_relaxed);
  for (std::size_t step = 0; step < kSweepBuckets && bytes.load(std::memory_order_relaxed) + wanted > budget; ++step) {
    for (std::atomic<std::uint64_t>& at : all[hand].slots) {
      const std::uint64_t slot = at.load(std::memory_order_relaxed);
      if (slot == 0) continue;
      if ((slot & kFoundBit) != 0) {
        at.store(slot & ~kFoundBit, std::memory_order_relaxed);
      } else if (bytes.load(std::memory_order_relaxed) + wanted > budget) {
        Remove(at, gone);
      }
    }
    hand = (hand + 1) % bucket_count();
  }
  return bytes.load(std::memory_order_relaxed) + wanted <= budget;
}

RowCache::RowCache(std::uint64_t capacity_bytes) : shards_(std::make_unique<Shard[]>(kShardCount)), capacity_(capacity_bytes) {}

RowCache::~RowCache() { Clear(); }

RowCache::Shard& RowCache::ShardOf(std::uint64_t hash) const { return shards_[hash >> (64 - kShardBits)]; }

const RowCache::Bucket* RowCache::BucketOf(std::uint64_t hash) const {
  const Shard& shard = ShardOf(hash);
  const std::uint64_t mask = shard.mask.load(std::memory_order_acquire);
  const Bucket* const buckets = shard.buckets.load(std::memory_order_acquire);
  return buckets == nullptr ? nullptr : buckets + (hash & mask);
}

void RowCache::PrefetchSlots(std::uint64_t hash) const { Prefetch(BucketOf(hash)); }

bool RowCache::PrefetchRow(std::uint64_t hash) const {
  const Bucket* const bucket = BucketOf(hash);
  if (bucket == nullptr) return false;
  for (const std::atomic<std::uint64_t>& at : bucket->slots) {
    const std::uint64_t slot = at.load(std::memory_order_relaxed);
    if (!HasTag(slot, hash)) continue;
    const char* const row = reinterpret_cast<const char*>(RowAt(slot));      // may be gone by now: only its address is used
    for (unsigned line = 0; line < 3; ++line) Prefetch(row + line * kCacheLineBytes);
    return true;
  }
  return false;
}

RowRef RowCache::Find(std::string_view key, std::uint64_t hash) {
  if (bytes() == 0) return nullptr;
  Shard& shard = ShardOf(hash);
  const MutexLock lock(shard.mutex);
  std::atomic<std::uint64_t>* const at = shard.FindSlot(key, hash);
  if (at == nullptr) {
    shard.CountMiss();
    return nullptr;
  }
  ++shard.hits;
  const std::uint64_t slot = at->load(std::memory_order_relaxed);
  if ((slot & kFoundBit) == 0) at->store(slot | kFoundBit, std::memory_order_relaxed);
  return RowAt(slot)->self;
}

/// Invariant 2. A hint, without the mutex.
bool RowCache::Admits(Shard& shard, std::uint64_t row_bytes) const {
  const std::uint64_t budget = ShardBudget();
  if (row_bytes > budget / kLargestShare) return false;
  if (shard.bytes.load(std::memory_order_relaxed) + row_bytes <= budget) return true;
  return shard.turned_away.fetch_add(1, std::memory_order_relaxed) % shard.admit_one_in.load(std::memory_order_relaxed) == 0;
}

/// `row` goes into a free slot; false when there is none.
bool RowCache::Shard::Put(RowRef row, std::uint64_t hash, Gone* gone) {
  std::atomic<std::uint64_t>* const slot = FreeSlot(*Of(hash), gone);
  if (slot == nullptr) return false;
  slot->store(SlotFor(*row, hash), std::memory_order_relaxed);
  bytes.fetch_add(row->charge_bytes(), std::memory_order_relaxed);
  ++rows;
  const Row& kept = *row;
  kept.self = std::move(row);
  return true;
}

/// Counts what a shard has come to take, or no longer takes, in `bytes_`.
class RowCache::Counted {
 public:
  Counted(RowCache& cache, const Shard& shard) : cache_(cache), shard_(shard), before_(shard.bytes.load(std::memory_order_relaxed)) {}
  ~Counted() { cache_.bytes_.fetch_add(shard_.bytes.load(std::memory_order_relaxed) - before_, std::memory_order_relaxed); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  RowCache& cache_;
  const Shard& shard_;
  const std::uint64_t before_;
};

void RowCache::Insert(std::uint64_t ticket, std::string_view key, std::uint64_t hash, std::string_view value, std::uint64_t expire_at_ms) {
  if (key.size() + value.size() > kMaxRowBytes || (ticket & 1) != 0) return;
  Shard& shard = ShardOf(hash);
  if (!Admits(shard, Row::ChargeBytes(key.size(), value.size(), expire_at_ms))) return;
  RowRef row = Row::Make(key, value, expire_at_ms);
  Shard::Gone gone;
  SwitchPoint();
  const MutexLock lock(shard.mutex);
  if (epoch_.load(std::memory_order_acquire) != ticket || shard.FindSlot(key, hash) != nullptr) return;
  const Counted counted(*this, shard);
  shard.MakeBuckets(ShardBudget());
  if (shard.MakeRoom(row->charge_bytes(), ShardBudget(), &gone)) shard.Put(std::move(row), hash, &gone);
}

std::uint64_t RowCache::BeginFlush(SequenceNumber newest) {
  MutexLock lock(flush_mutex_);
  const std::uint64_t ticket = epoch_.fetch_add(2, std::memory_order_acq_rel) + 2;
  if (newest < newest_flush_) return kNoTicket;
  newest_flush_ = newest;
  return ticket;
}

void RowCache::Renew(std::uint64_t ticket, std::string_view key, std::uint64_t hash, std::string_view value, std::uint64_t expire_at_ms) {
  Shard& shard = ShardOf(hash);
  const std::uint64_t charge = Row::ChargeBytes(key.size(), value.size(), expire_at_ms);
  Shard::Gone gone;
  const MutexLock lock(shard.mutex);
  const std::uint64_t budget = ShardBudget();
  const Counted counted(*this, shard);
  const bool keeps = epoch_.load(std::memory_order_acquire) == ticket && key.size() + value.size() <= kMaxRowBytes && charge <= budget / kLargestShare;
  if (std::atomic<std::uint64_t>* const slot = shard.FindSlot(key, hash)) {
    if (keeps && RowAt(slot->load(std::memory_order_relaxed))->Overwrite(value, expire_at_ms)) return;
    shard.Remove(*slot, &gone);
  }
  if (!keeps) return;
  shard.MakeBuckets(budget);
  if (shard.bytes.load(std::memory_order_relaxed) + charge > budget || !shard.HasEmptySlot(hash)) return;
  shard.Put(Row::Make(key, value, expire_at_ms), hash, &gone);
}

void RowCache::Forget(std::uint64_t hash) {
  Shard& shard = ShardOf(hash);
  Shard::Gone gone;
  const MutexLock lock(shard.mutex);
  Bucket* const bucket = shard.Of(hash);
  if (bucket == nullptr) return;
  const Counted counted(*this, shard);
  for (std::atomic<std::uint64_t>& at : bucket->slots)      // another key with this tag goes too: it would cost a miss to tell them apart
    if (HasTag(at.load(std::memory_order_relaxed), hash)) shard.Remove(at, &gone);
}

void RowCache::Clear() {
  for (Shard& shard : std::span(shards_.get(), kShardCount)) {
    for (std::size_t next = 0, more = 1; more != 0;) {
      Shard::Gone gone;
      const MutexLock lock(shard.mutex);
      const Counted counted(*this, shard);
      const std::span<Bucket> all(shard.buckets.load(std::memory_order_relaxed), shard.bucket_count());
      const std::size_t count = std::min(all.size() - next, kClearBuckets);
      shard.Empty(all.subspan(next, count), &gone);
      next += count;
      more = all.size() - next;
    }
  }
}

RowCache::Closed::Closed(RowCache& cache) : cache_(cache) {
  cache_.epoch_.fetch_add(1, std::memory_order_seq_cst);
  cache_.Clear();
}

RowCache::Closed::~Closed() { cache_.epoch_.fetch_add(1, std::memory_order_seq_cst); }

void RowCache::SetCapacity(std::uint64_t capacity_bytes) {
  capacity_.store(capacity_bytes, std::memory_order_relaxed);
  for (Shard& shard : std::span(shards_.get(), kShardCount)) {
    // Twice round at most: the first may find that all were found.
    for (std::size_t swept = 0, fits = 0; fits == 0 && swept <= 2 * shard.bucket_count(); swept += kSweepBuckets) {
      Shard::Gone gone;
      const MutexLock lock(shard.mutex);
      if (shard.bucket_count() == 0) break;
      const Counted counted(*this, shard);
      fits = shard.MakeRoom(0, ShardBudget(), &gone) ? 1 : 0;
    }
  }
}

RowCache::Stats RowCache::stats() const {
  Stats stats;
  for (Shard& shard : std::span(shards_.get(), kShardCount)) {
    const MutexLock lock(shard.mutex);
    stats.hits += shard.hits;
    stats.misses += shard.misses;
    stats.rows += shard.rows;
    stats.bytes += shard.bytes.load(std::memory_order_relaxed);
  }
  return stats;
}

}  // namespace lsmkv
