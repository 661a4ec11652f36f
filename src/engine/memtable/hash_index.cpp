#include "engine/memtable/hash_index.h"

#include "base/hash.h"

namespace lsmkv {

HashIndex::HashIndex(Arena* arena, std::uint64_t expected_keys, Arena::Pages pages) : arena_(arena) {
  // A shard gets its share and a little more than chance will give it on top, so that a right hint means no growth.
  const std::uint64_t share = expected_keys / kShards;
  const std::uint64_t wanted = share + share / 16;
  unsigned bits = kMinTableBits;
  while (bits < 32 && IsFull(wanted, (std::uint64_t{1} << bits) - 1)) ++bits;
  const std::size_t table_bytes = sizeof(Slot) << bits;
  char* const tables = arena_->AllocateZeroed(table_bytes * kShards, pages);
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    const auto slots = reinterpret_cast<std::uintptr_t>(tables + shard * table_bytes);
    shards_[shard].store(slots | bits, std::memory_order_relaxed);   // nobody reads before the constructor is done
  }
}

void HashIndex::Publish(std::uint64_t hash, MemTableNode* node) {
  const std::size_t shard = ShardOf(hash);
  std::uintptr_t table = shards_[shard].load(std::memory_order_relaxed);     // own store
  if (IsFull(used_[shard], MaskOf(table))) table = Grow(shard);
  Slot* const slots = SlotsOf(table);
  const std::uint64_t mask = MaskOf(table);
  const std::string_view key = node->key();
  for (std::uint64_t i = hash & mask;; i = (i + 1) & mask) {
    const std::uint64_t present = slots[i].load(std::memory_order_relaxed);   // own store
    if (present != 0 && (!HasTag(present, hash) || NodeOf(present)->key() != key)) continue;
    node->older = present == 0 ? nullptr : NodeOf(present);
    if (present == 0) {
      ++used_[shard];
      keys_.store(keys_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    slots[i].store(SlotFor(node, hash), std::memory_order_release);     // invariant 1; pairs with Find
    return;
  }
}

std::uint64_t HashIndex::HomeOf(std::uint64_t slot, std::uint64_t mask) {
  return (mask <= kTagMask ? slot : Hash(NodeOf(slot)->key())) & mask;
}

std::uintptr_t HashIndex::Grow(std::size_t shard) {
  const std::uintptr_t old_table = shards_[shard].load(std::memory_order_relaxed);
  const std::uintptr_t bits = (old_table & kBitsMask) + 1;
  Slot* const slots = reinterpret_cast<Slot*>(arena_->AllocateZeroed(sizeof(Slot) << bits));
  const std::uintptr_t table = reinterpret_cast<std::uintptr_t>(slots) | bits;
  const std::uint64_t mask = MaskOf(table);
  for (const Slot& from : std::span(SlotsOf(old_table), MaskOf(old_table) + 1)) {
    const std::uint64_t slot = from.load(std::memory_order_relaxed);
    if (slot == 0) continue;
    std::uint64_t to = HomeOf(slot, mask);
    while (slots[to].load(std::memory_order_relaxed) != 0) to = (to + 1) & mask;
    slots[to].store(slot, std::memory_order_relaxed);         // the shard's word below publishes the whole table
  }
  shards_[shard].store(table, std::memory_order_release);     // invariant 2; pairs with Find
  return table;
}

}  // namespace lsmkv
