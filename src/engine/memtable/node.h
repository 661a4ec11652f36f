#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/arena.h"
#include "base/assert.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

/// One version of one key in a memtable's arena: this header, the key's bytes, the value's bytes, and a deadline if it has one. Written
/// once before it is published (hash_index.h says how) and never changed after, so readers need no lock. A value that lies elsewhere
/// has its address in the place of its bytes, and always a deadline behind it, 0 for none.
struct MemTableNode {
  static constexpr std::size_t kMaxKeyBytes = UINT32_MAX;
  static constexpr std::size_t kMaxValueBytes = (1u << 30) - 1;   // two bits of value_and_kind hold the kind

  SequenceNumber sequence;
  const MemTableNode* older;           // the version of the same key before this one; null for the first
  std::uint32_t key_bytes;
  std::uint32_t value_and_kind;        // value bytes << 2 | kind, or kElsewhere

  static constexpr std::uint32_t kElsewhere = 3;                  // a value, expiring if it has a deadline; kBlob is in tables only

  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view key() const { return {bytes(), key_bytes}; }
  std::string_view value() const { return {IsElsewhere() ? Load<const char*>(0) : bytes() + key_bytes, value_and_kind >> 2}; }
  EntryKind kind() const {
    if (IsElsewhere()) [[unlikely]] return expire_at_ms() != 0 ? EntryKind::kExpiringValue : EntryKind::kValue;
    return static_cast<EntryKind>(value_and_kind & 3);
  }
  /// 0 unless the kind is kExpiringValue.
  std::uint64_t expire_at_ms() const {
    if (IsElsewhere()) [[unlikely]] return Load<std::uint64_t>(sizeof(const char*));
    return kind() == EntryKind::kExpiringValue ? Load<std::uint64_t>(value_and_kind >> 2) : 0;
  }
  bool IsElsewhere() const { return (value_and_kind & 3) == kElsewhere; }
  EntryView View() const { return {key(), value(), sequence, expire_at_ms(), kind()}; }

  /// The newest version at or before this one that `snapshot` sees; null when there is none.
  const MemTableNode* VisibleAt(SequenceNumber snapshot) const {
    const MemTableNode* node = this;
    while (node != nullptr && node->sequence > snapshot) node = node->older;
    return node;
  }

  static MemTableNode* Create(Arena* arena, SequenceNumber sequence, const EntryView& entry) {
    const bool expires = entry.kind == EntryKind::kExpiringValue;
    const std::string_view deadline(reinterpret_cast<const char*>(&entry.expire_at_ms), expires ? sizeof(entry.expire_at_ms) : 0);
    return Make(arena, sequence, entry, static_cast<std::uint32_t>(entry.kind), entry.value, deadline);
  }

  /// The same without the value's bytes, which stay where they are.
  static MemTableNode* CreateElsewhere(Arena* arena, SequenceNumber sequence, const EntryView& entry) {
    LSMKV_ASSERT(entry.kind == EntryKind::kValue || entry.kind == EntryKind::kExpiringValue);
    const char* const address = entry.value.data();
    const std::uint64_t deadline = entry.kind == EntryKind::kExpiringValue ? entry.expire_at_ms : 0;
    return Make(arena, sequence, entry, kElsewhere, {reinterpret_cast<const char*>(&address), sizeof(address)},
                {reinterpret_cast<const char*>(&deadline), sizeof(deadline)});
  }

 private:
  /// What lies `offset` bytes behind the key; nothing there is aligned.
  template <typename T>
  T Load(std::size_t offset) const {
    T loaded;
    std::memcpy(&loaded, bytes() + key_bytes + offset, sizeof(loaded));
    return loaded;
  }

  static MemTableNode* Make(Arena* arena, SequenceNumber sequence, const EntryView& entry, std::uint32_t kind, std::string_view in_place,
                            std::string_view deadline) {
    LSMKV_ASSERT(entry.key.size() <= kMaxKeyBytes && entry.value.size() <= kMaxValueBytes);
    const std::size_t trailing = entry.key.size() + in_place.size() + deadline.size();
    auto* const node = reinterpret_cast<MemTableNode*>(arena->Allocate(sizeof(MemTableNode) + trailing));
    node->sequence = sequence;
    node->older = nullptr;
    node->key_bytes = static_cast<std::uint32_t>(entry.key.size());
    node->value_and_kind = static_cast<std::uint32_t>(entry.value.size()) << 2 | kind;
    char* bytes = reinterpret_cast<char*>(node + 1);
    for (const std::string_view part : {entry.key, in_place, deadline}) {
      if (!part.empty()) std::memcpy(bytes, part.data(), part.size());
      bytes += part.size();
    }
    return node;
  }
};
static_assert(sizeof(MemTableNode) == 24, "the header is counted in every entry");

}  // namespace lsmkv
