// Finds the newest version of a key in a memtable: an open-addressing hash table over the nodes.
//
//   index := shard[256]                     chosen by the hash's top 8 bits
//   shard := slot[2^n]                      linear probing from the hash's low bits, at most 70% full
//   slot  := address:45 tag:19              of the newest node, in eights of bytes, and the hash's low bits; 0 ends a probe; slots
//                                           are never emptied
//
// Why so small: eight slots share a cache line, and what the index does not take holds entries. The tag spares nearly every look at another
// key's node, and while a shard has no more slots than it can tell apart, the table is copied without looking at the nodes.
//
// Why shards: a full table is copied into one twice its size by the writer, in the middle of somebody's write. Split in
// 256 the copies are small (4096 slots at a million keys, some 20 microseconds) and do not fall on the same write. A shard is
// one word: its slots' address, 64-aligned, with n in the low bits. So a lookup costs one line of the small shard array,
// which stays in the first-level cache, and then the same two cache misses, slot and node, as a single table.
//
// Invariants
//   1. A node is complete before it can be reached: the slot is stored with release (Publish) and loaded with acquire (Find). Its
//      tag never changes.
//   2. A table is complete before it can be reached: the shard's word is stored with release (Grow), loaded with acquire
//      (Find). Tables replaced stay in the arena, because readers may be in them.
//   3. A reader that goes on in a replaced table misses only what was added after it loaded the shard's word, and the
//      snapshot it reads at is older than that.
// Threads  one writer at a time (Publish); Find and Prefetch from any thread at any time, without locks.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/arena.h"
#include "base/prefetch.h"
#include "engine/memtable/node.h"

namespace lsmkv {

class HashIndex {
 public:
  /// Sized so that `expected_keys` fit without growing. 0: starts small.
  HashIndex(Arena* arena, std::uint64_t expected_keys, Arena::Pages pages);

  /// Makes `node` the newest version of its key and links the one before as node->older. The caller has set all else.
  void Publish(std::uint64_t hash, MemTableNode* node);

  /// The newest version of `key`, or null.
  const MemTableNode* Find(std::string_view key, std::uint64_t hash) const {
    const std::uintptr_t table = shards_[ShardOf(hash)].load(std::memory_order_acquire);   // pairs with Grow
    const Slot* const slots = SlotsOf(table);
    const std::uint64_t mask = MaskOf(table);
    for (std::uint64_t i = hash & mask;; i = (i + 1) & mask) {      // ends: a table always has empty slots
      const std::uint64_t slot = slots[i].load(std::memory_order_acquire);                 // pairs with Publish
      if (slot == 0) return nullptr;
      if (HasTag(slot, hash) && NodeOf(slot)->key() == key) return NodeOf(slot);
    }
  }

  /// Starts loading the slot that Find and Publish will want first.
  void Prefetch(std::uint64_t hash) const {
    const std::uintptr_t table = shards_[ShardOf(hash)].load(std::memory_order_acquire);
    __builtin_prefetch(SlotsOf(table) + (hash & MaskOf(table)));
  }

  /// Starts loading the newest node that may have this hash; false when none has. Wants the slot loaded (Prefetch).
  bool PrefetchNode(std::uint64_t hash) const {
    const std::uintptr_t table = shards_[ShardOf(hash)].load(std::memory_order_acquire);
    const Slot* const slots = SlotsOf(table);
    const std::uint64_t mask = MaskOf(table);
    for (std::uint64_t i = hash & mask;; i = (i + 1) & mask) {
      const std::uint64_t slot = slots[i].load(std::memory_order_acquire);
      if (slot == 0) return false;
      if (!HasTag(slot, hash)) continue;
      lsmkv::Prefetch(NodeOf(slot));
      lsmkv::Prefetch(reinterpret_cast<const char*>(NodeOf(slot)) + kCacheLineBytes);
      return true;
    }
  }

  /// Calls visit(newest node) for each key that is here now, in no order. A concurrent writer's are visited or not.
  template <typename Visit>
  void VisitNewest(Visit visit) const {
    for (const std::atomic<std::uintptr_t>& shard : shards_) {
      const std::uintptr_t table = shard.load(std::memory_order_acquire);
      for (const Slot& at : std::span(SlotsOf(table), MaskOf(table) + 1))
        if (const std::uint64_t slot = at.load(std::memory_order_acquire); slot != 0) visit(*NodeOf(slot));
    }
  }

  std::uint64_t keys() const { return keys_.load(std::memory_order_relaxed); }

 private:
  using Slot = std::atomic<std::uint64_t>;
  static constexpr unsigned kTagBits = 19;
  static constexpr std::uint64_t kTagMask = (std::uint64_t{1} << kTagBits) - 1;
  static constexpr unsigned kAddressBits = 48;                  // of a process, on x86-64 and on 64-bit ARM; in eights 45
  static constexpr std::size_t kShards = 256;
  static constexpr unsigned kMinTableBits = 3;
  static constexpr std::uintptr_t kBitsMask = Arena::kZeroedAlignment - 1;

  static std::size_t ShardOf(std::uint64_t hash) { return hash >> 56; }
  static Slot* SlotsOf(std::uintptr_t table) { return reinterpret_cast<Slot*>(table & ~kBitsMask); }
  static std::uint64_t MaskOf(std::uintptr_t table) { return (std::uint64_t{1} << (table & kBitsMask)) - 1; }
  static std::uint64_t SlotFor(const MemTableNode* node, std::uint64_t hash) {
    const auto address = reinterpret_cast<std::uintptr_t>(node);
    LSMKV_ASSERT(address >> kAddressBits == 0 && address % 8 == 0);
    return address / 8 << kTagBits | (hash & kTagMask);
  }
  static const MemTableNode* NodeOf(std::uint64_t slot) { return reinterpret_cast<const MemTableNode*>((slot >> kTagBits) * 8); }
  static bool HasTag(std::uint64_t slot, std::uint64_t hash) { return ((slot ^ hash) & kTagMask) == 0; }
  static bool IsFull(std::uint64_t used, std::uint64_t mask) { return used * 10 >= (mask + 1) * 7; }

  static std::uint64_t HomeOf(std::uint64_t slot, std::uint64_t mask);
  std::uintptr_t Grow(std::size_t shard);

  Arena* const arena_;
  std::array<std::atomic<std::uintptr_t>, kShards> shards_;     // release by the writer, acquire by readers
  std::array<std::uint64_t, kShards> used_{};                   // the writer's
  std::atomic<std::uint64_t> keys_{0};                          // relaxed: statistics
};

}  // namespace lsmkv
