#include "keyspace/scan_cursors.h"

#include <algorithm>

#include "base/hash.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kAttempts = 16;

}  // namespace

ScanCursors::ScanCursors(std::size_t max_entries, std::size_t max_bytes, int number_bits)
    : shard_entries_(std::max<std::size_t>(1, max_entries / kShards)),
      shard_bytes_(max_bytes / kShards),
      number_mask_((std::uint64_t{1} << number_bits) - 1) {}

std::uint64_t ScanCursors::Number(std::uint64_t database, std::string_view last_key, std::uint64_t attempt) const {
  const std::uint64_t hash = XXH3_64bits_withSeed(last_key.data(), last_key.size(), database * kAttempts + attempt);
  return std::max<std::uint64_t>(1, hash & number_mask_);
}

std::uint64_t ScanCursors::Remember(std::uint64_t database, std::string_view last_key, std::uint64_t from) {
  for (std::uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t number = Number(database, last_key, attempt);
    if (!TryRemember(number, database, last_key, from)) continue;
    if (from != 0) LeaveBehind(from);
    return number;
  }
  // All taken (with 53 bits: never). Neither position may be mistaken for the other, so both scans start over.
  const std::uint64_t number = Number(database, last_key, 0);
  Shard& shard = ShardOf(number);
  const MutexLock lock(shard.mutex);
  const auto found = shard.by_number.find(number);
  if (found != shard.by_number.end()) ForgetLocked(shard, found->second);
  return number;
}

bool ScanCursors::TryRemember(std::uint64_t number, std::uint64_t database, std::string_view last_key, std::uint64_t from) {
  Shard& shard = ShardOf(number);
  const MutexLock lock(shard.mutex);
  const auto found = shard.by_number.find(number);
  if (found != shard.by_number.end()) {
    if (found->second->database != database || found->second->last_key != last_key) return false;
    shard.by_use.splice(shard.by_use.begin(), shard.by_use, found->second);
    ++found->second->scans;
    return true;
  }
  shard.by_use.push_front(Entry{number, database, std::string(last_key), from});
  shard.by_number.emplace(number, shard.by_use.begin());
  shard.bytes += last_key.size();
  EvictLocked(shard);
  return true;
}

std::optional<std::string> ScanCursors::Find(std::uint64_t cursor) {
  Shard& shard = ShardOf(cursor);
  const MutexLock lock(shard.mutex);
  const auto found = shard.by_number.find(cursor);
  if (found == shard.by_number.end()) return std::nullopt;
  shard.by_use.splice(shard.by_use.begin(), shard.by_use, found->second);
  return found->second->last_key;
}

/// A scan has gone on from `number`: nobody asks any more for the place before that.
void ScanCursors::LeaveBehind(std::uint64_t number) {
  std::uint64_t before = 0;
  {
    Shard& shard = ShardOf(number);
    const MutexLock lock(shard.mutex);
    const auto found = shard.by_number.find(number);
    if (found == shard.by_number.end() || found->second->left == found->second->scans) return;      // it asks for the same page again
    ++found->second->left;
    before = found->second->from;
  }
  if (before == 0) return;
  Shard& shard = ShardOf(before);
  const MutexLock lock(shard.mutex);
  const auto found = shard.by_number.find(before);
  const bool crowded = shard.by_use.size() > shard_entries_ / 2 || shard.bytes > shard_bytes_ / 2;
  if (found == shard.by_number.end() || !crowded) return;
  if (--found->second->scans == 0) ForgetLocked(shard, found->second);
}

/// Keeps the newest entry whatever its size: the scan it belongs to must get on.
void ScanCursors::EvictLocked(Shard& shard) {
  while (shard.by_use.size() > 1 && (shard.by_use.size() > shard_entries_ || shard.bytes > shard_bytes_)) {
    ForgetLocked(shard, std::prev(shard.by_use.end()));
  }
}

void ScanCursors::ForgetLocked(Shard& shard, std::list<Entry>::iterator entry) {
  shard.bytes -= entry->last_key.size();
  shard.by_number.erase(entry->number);
  shard.by_use.erase(entry);
}

}  // namespace lsmkv
