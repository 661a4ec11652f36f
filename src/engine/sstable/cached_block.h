// What the block cache holds: a parsed block of any kind, its bytes immutable from the moment it is made.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/size_class.h"
#include "engine/sstable/block_contents.h"

namespace lsmkv {

struct BlockKey {
  std::uint64_t table = 0;   ///< the table's number
  std::uint64_t offset = 0;  ///< of the block in its file
  friend bool operator==(const BlockKey&, const BlockKey&) = default;
};

class CachedBlock;
using BlockRef = std::shared_ptr<const CachedBlock>;

/// A block's place in the cache. It lies inside the block, in front, so that a hit finds key, reference count and the
/// block's own fields in neighbouring cache lines. Touched by the cache only, under the mutex of the block's shard.
struct CacheLinks {
  BlockKey key;
  std::uint64_t hash = 0;  // of the key
  BlockRef self;           // the cache's own reference; null: not in the cache
};

class CachedBlock {
 public:
  /// Memory beside the contents: the object with its reference count, and its places in the cache's tables.
  static constexpr std::uint64_t kOverheadBytes = 256;

  BlockKind kind() const { return kind_; }
  /// What the block costs the cache's budget.
  std::uint64_t charge_bytes() const { return charge_bytes_; }

  CachedBlock(const CachedBlock&) = delete;
  CachedBlock& operator=(const CachedBlock&) = delete;

 protected:
  CachedBlock(BlockKind kind, std::uint64_t content_bytes) : charge_bytes_(SizeClassBytes(content_bytes) + kOverheadBytes), kind_(kind) {}
  ~CachedBlock() = default;  // always owned through a shared_ptr made for the derived type

 private:
  friend class BlockCache;
  mutable CacheLinks links_;
  const std::uint64_t charge_bytes_;
  const BlockKind kind_;
};

}  // namespace lsmkv
