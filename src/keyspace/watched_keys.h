// WATCH: who wants to know whether a key changes.
//
// Writers look at one number, which is 0 while nobody watches anything. Only when it is not do they look their keys up, in a
// table cut into shards so that they seldom meet. What is found is marked, and a mark stays until its client forgets its watches.
//
//   WATCH    key lock -> read -> Add() -> unlock             EXEC     key locks, of the watched keys too -> look at the marks
//   a write  key lock -> batch applied -> Touch() -> unlock
//
// All three hold the key's lock (key_locks.h), so a write lies wholly before a WATCH, or it is seen by the EXEC behind it. That
// is all the order there is: the number and the marks themselves are relaxed.
//
// A watch remembers how its key was read. What is unmarked is still as it was read, but for time: a key that was there and has
// come to its deadline counts as changed, one that had expired before the WATCH does not (it was read as absent). And when a
// database is flushed or swapped, keys that were there are marked, and of those that were not, those that come to be.
//
// Keys are filed under their user key alone, with the logical database in the watch: what physical database that is may change
// under it (database_map.h), and whoever touches knows.
//
// Threads  WatchedKeys: any. Watches: one at a time, but for touched(), and for the marks that WatchedKeys makes.
// Source   what counts as a change: Redis 7, multi.c.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "base/mutex.h"

namespace lsmkv {

class Watches;

/// One key that one client watches.
struct Watch {
  Watches& owner;
  std::uint32_t database;            ///< logical
  std::string key;
  bool existed;                      ///< when it was watched
  std::uint64_t expire_at_ms;        ///< if it did; 0: never
};

/// Everybody's.
class WatchedKeys {
 public:
  /// Whether anybody watches anything; exact for the keys whose locks the caller holds.
  bool any() const { return count_.load(std::memory_order_relaxed) != 0; }
  /// Marks whoever watches `key` and for whom `matches` says true.
  void Touch(std::string_view key, const std::function<bool(const Watch&)>& matches);
  /// The same for all keys.
  void TouchAll(const std::function<bool(const Watch&)>& matches);

 private:
  friend class Watches;
  static constexpr std::size_t kShards = 64;
  struct Hasher {
    std::size_t operator()(std::string_view key) const { return Hash(key); }
  };
  struct Shard {
    Mutex mutex;   // a leaf
    std::unordered_multimap<std::string_view, Watch*, Hasher> watches LSMKV_GUARDED_BY(mutex);   // the keys are the watches' own
  };
  Shard& ShardOf(std::string_view key) { return shards_[(Hash(key) >> 32) % kShards]; }
  void Add(Watch* watch);
  void Remove(Watch* watch);

  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> count_{0};   // relaxed: see the essay
};

/// What one client watches. `registry` outlives it.
class Watches {
 public:
  explicit Watches(WatchedKeys& registry) : registry_(registry) {}
  ~Watches() { Clear(); }
  Watches(const Watches&) = delete;
  Watches& operator=(const Watches&) = delete;

  bool Has(std::uint32_t database, std::string_view key) const;
  /// The caller holds the key's lock and has read it just now.
  void Add(std::uint32_t database, std::string_view key, bool existed, std::uint64_t expire_at_ms);
  /// Forgets all, the mark too.
  void Clear();

  /// They can no longer be kept: watches nothing, and is marked as if one of them had changed.
  void GiveUp();

  bool empty() const { return watches_.empty(); }
  const std::vector<std::unique_ptr<Watch>>& all() const { return watches_; }
  /// A watched key was changed. Certain only while the locks of all of them are held.
  bool touched() const { return touched_.load(std::memory_order_relaxed); }
  /// A watched key that was there has expired since.
  bool AnyExpired(std::uint64_t now_ms) const;
  std::uint64_t memory_bytes() const { return memory_bytes_; }

 private:
  friend class WatchedKeys;

  WatchedKeys& registry_;
  std::atomic<bool> touched_{false};
  std::vector<std::unique_ptr<Watch>> watches_;
  std::unordered_multimap<std::string_view, const Watch*> by_key_;   // the keys are the watches' own
  std::uint64_t memory_bytes_ = 0;
};

}  // namespace lsmkv
