#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/arena.h"
#include "base/assert.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

/// One version of one key in a memtable's arena: this header, the key's bytes, the value's bytes. Written once before it
/// is published (hash_index.h says how) and never changed after, so readers need no lock. A value that lies elsewhere has its address
/// in the place of its bytes.
struct MemTableNode {
  static constexpr std::size_t kMaxKeyBytes = UINT32_MAX;
  static constexpr std::size_t kMaxValueBytes = (1u << 30) - 1;   // two bits of value_and_kind hold the kind

  SequenceNumber sequence;
  std::uint64_t expire_at_ms;          // 0 unless the kind is kExpiringValue
  const MemTableNode* older;           // the version of the same key before this one; null for the first
  std::uint32_t key_bytes;
  std::uint32_t value_and_kind;        // value bytes << 2 | kind, or kElsewhere

  static constexpr std::uint32_t kElsewhere = 3;                  // a value, expiring if it has a deadline; kBlob is in tables only

  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view key() const { return {bytes(), key_bytes}; }
  std::string_view value() const { return {IsElsewhere() ? Address() : bytes() + key_bytes, value_and_kind >> 2}; }
  EntryKind kind() const {
    if (IsElsewhere()) [[unlikely]] return expire_at_ms != 0 ? EntryKind::kExpiringValue : EntryKind::kValue;
    return static_cast<EntryKind>(value_and_kind & 3);
  }
  bool IsElsewhere() const { return (value_and_kind & 3) == kElsewhere; }
  EntryView View() const { return {key(), value(), sequence, expire_at_ms, kind()}; }

  const char* Address() const {
    const char* address = nullptr;
    std::memcpy(&address, bytes() + key_bytes, sizeof(address));
    return address;
  }

  /// The newest version at or before this one that `snapshot` sees; null when there is none.
  const MemTableNode* VisibleAt(SequenceNumber snapshot) const {
    const MemTableNode* node = this;
    while (node != nullptr && node->sequence > snapshot) node = node->older;
    return node;
  }

  static MemTableNode* Create(Arena* arena, SequenceNumber sequence, const EntryView& entry) {
    LSMKV_ASSERT(entry.key.size() <= kMaxKeyBytes && entry.value.size() <= kMaxValueBytes);
    auto* const node =
        reinterpret_cast<MemTableNode*>(arena->Allocate(sizeof(MemTableNode) + entry.key.size() + entry.value.size()));
    node->sequence = sequence;
    node->expire_at_ms = entry.kind == EntryKind::kExpiringValue ? entry.expire_at_ms : 0;
    node->older = nullptr;
    node->key_bytes = static_cast<std::uint32_t>(entry.key.size());
    node->value_and_kind =
        static_cast<std::uint32_t>(entry.value.size()) << 2 | static_cast<std::uint32_t>(entry.kind);
    char* const bytes = reinterpret_cast<char*>(node + 1);
    if (!entry.key.empty()) std::memcpy(bytes, entry.key.data(), entry.key.size());
    if (!entry.value.empty()) std::memcpy(bytes + entry.key.size(), entry.value.data(), entry.value.size());
    return node;
  }

  /// The same without the value's bytes, which stay where they are.
  static MemTableNode* CreateElsewhere(Arena* arena, SequenceNumber sequence, const EntryView& entry) {
    LSMKV_ASSERT(entry.kind == EntryKind::kValue || entry.kind == EntryKind::kExpiringValue);
    const char* const address = entry.value.data();
    EntryView in_place = entry;
    in_place.value = {reinterpret_cast<const char*>(&address), sizeof(address)};
    MemTableNode* const node = Create(arena, sequence, in_place);
    LSMKV_ASSERT(entry.value.size() <= kMaxValueBytes);
    node->value_and_kind = static_cast<std::uint32_t>(entry.value.size()) << 2 | kElsewhere;
    return node;
  }
};
static_assert(sizeof(MemTableNode) == 32, "the header is counted in every entry: keep it at half a cache line");

}  // namespace lsmkv
