// SCAN's cursors: numbers that stand for "after this key".
//
// A position in key order is a key, which may be long; the protocol wants a number, and clients keep it in 53 bits (a
// double). So the number is a hash of the position and a bounded table leads back. Scans at the same place share an
// entry, and a position that is met again has the number it had.
//
// Invariants
//   1. A number in the table leads to one position. When the hash of another is taken, a different number is found for it.
//   2. A number that is not in the table (pushed out, or from before a restart) starts the scan over: keys may come twice,
//      which SCAN allows; none is missed.
//   3. At most max_entries entries and about max_bytes of keys; the least recently used go first.
//   4. While a shard is more than half full a scan keeps its last two places only (a client may ask for a page again whose reply it lost).
//      So a scan of a hundred thousand pages does not push out the place of one that is slow, which would start over and over.
//
// Threads  any; sharded by number, a leaf mutex a shard.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/mutex.h"

namespace lsmkv {

class ScanCursors {
 public:
  static constexpr int kNumberBits = 53;
  explicit ScanCursors(std::size_t max_entries = 65536, std::size_t max_bytes = 64u << 20, int number_bits = kNumberBits);

  /// The number of "after `last_key` in physical database `database`": 1 .. 2^number_bits - 1.
  /// @param from  the number that the scan went on from; 0: it has begun here.
  std::uint64_t Remember(std::uint64_t database, std::string_view last_key, std::uint64_t from = 0);
  /// The key to go on after; nothing when the number is not known.
  std::optional<std::string> Find(std::uint64_t cursor);

 private:
  struct Entry {
    std::uint64_t number = 0;
    std::uint64_t database = 0;
    std::string last_key;
    std::uint64_t from = 0;            // of the first that came; 0: nothing
    std::uint64_t scans = 1;           // that have come here,
    std::uint64_t left = 0;            // and of these, that have gone on
  };
  struct Shard {
    Mutex mutex;
    std::list<Entry> by_use LSMKV_GUARDED_BY(mutex);   // most recent first
    std::unordered_map<std::uint64_t, std::list<Entry>::iterator> by_number LSMKV_GUARDED_BY(mutex);
    std::size_t bytes LSMKV_GUARDED_BY(mutex) = 0;
  };
  static constexpr std::size_t kShards = 16;

  Shard& ShardOf(std::uint64_t number) { return shards_[number % kShards]; }
  std::uint64_t Number(std::uint64_t database, std::string_view last_key, std::uint64_t attempt) const;
  /// False when the number stands for another position.
  bool TryRemember(std::uint64_t number, std::uint64_t database, std::string_view last_key, std::uint64_t from);
  void LeaveBehind(std::uint64_t number);
  void EvictLocked(Shard& shard) LSMKV_REQUIRES(shard.mutex);
  static void ForgetLocked(Shard& shard, std::list<Entry>::iterator entry) LSMKV_REQUIRES(shard.mutex);

  const std::size_t shard_entries_;
  const std::size_t shard_bytes_;
  const std::uint64_t number_mask_;
  std::array<Shard, kShards> shards_;
};

}  // namespace lsmkv
