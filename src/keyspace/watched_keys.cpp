#include "keyspace/watched_keys.h"

#include <algorithm>

#include "lsmkv/write_batch.h"

namespace lsmkv {
namespace {

/// Beside its key: the watch, and its nodes in two tables.
constexpr std::uint64_t kWatchOverheadBytes = sizeof(Watch) + 2 * 48;

}  // namespace

void WatchedKeys::Touch(std::string_view key, const std::function<bool(const Watch&)>& matches) {
  Shard& shard = ShardOf(key);
  const MutexLock lock(shard.mutex);
  const auto [first, last] = shard.watches.equal_range(key);
  for (auto at = first; at != last; ++at) {
    const Watch& watch = *at->second;
    if (matches(watch)) watch.owner.touched_.store(true, std::memory_order_relaxed);
  }
}

void WatchedKeys::TouchAll(const std::function<bool(const Watch&)>& matches) {
  for (Shard& shard : shards_) {
    const MutexLock lock(shard.mutex);
    for (const auto& [key, watch] : shard.watches) {
      if (matches(*watch)) watch->owner.touched_.store(true, std::memory_order_relaxed);
    }
  }
}

void WatchedKeys::Add(Watch* watch) {
  Shard& shard = ShardOf(watch->key);
  const MutexLock lock(shard.mutex);
  shard.watches.emplace(watch->key, watch);
  count_.fetch_add(1, std::memory_order_relaxed);
}

void WatchedKeys::Remove(Watch* watch) {
  Shard& shard = ShardOf(watch->key);
  const MutexLock lock(shard.mutex);
  const auto [first, last] = shard.watches.equal_range(watch->key);
  shard.watches.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == watch; }));
  count_.fetch_sub(1, std::memory_order_relaxed);
}

bool Watches::Has(std::uint32_t database, std::string_view key) const {
  const auto [first, last] = by_key_.equal_range(key);
  return std::any_of(first, last, [&](const auto& entry) { return entry.second->database == database; });
}

void Watches::Add(std::uint32_t database, std::string_view key, bool existed, std::uint64_t expire_at_ms) {
  watches_.push_back(std::make_unique<Watch>(*this, database, std::string(key), existed, expire_at_ms));
  Watch* const watch = watches_.back().get();
  by_key_.emplace(watch->key, watch);
  memory_bytes_ += key.size() + kWatchOverheadBytes;
  registry_.Add(watch);
}

void Watches::Clear() {
  for (const std::unique_ptr<Watch>& watch : watches_) registry_.Remove(watch.get());
  by_key_.clear();
  watches_.clear();
  memory_bytes_ = 0;
  touched_.store(false, std::memory_order_relaxed);
}

void Watches::GiveUp() {
  Clear();
  touched_.store(true, std::memory_order_relaxed);
}

bool Watches::AnyExpired(std::uint64_t now_ms) const {
  return std::ranges::any_of(watches_, [&](const auto& watch) { return watch->existed && HasExpired(watch->expire_at_ms, now_ms); });
}

}  // namespace lsmkv
