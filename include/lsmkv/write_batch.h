// A set of puts and deletes that is applied, logged and recovered as one.
//
//   operation := kind:u8 key_bytes:varint32 key
//                [expire_at_ms:u64 little-endian, if kind is kExpiringValue]
//                [value_bytes:varint32 value, if kind is not kTombstone]
//              | kNothing:u8 0:u8                     takes a sequence number and changes nothing; only the engine writes it
//
// The same bytes are the payload of a WAL record (engine/wal/), so a batch is encoded once.
// Threads: none of its own; a batch belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lsmkv/status.h"

namespace lsmkv {

using SequenceNumber = std::uint64_t;

/// Bounds of one entry. A table keeps its smallest and largest key in its manifest, which must stay readable.
inline constexpr std::size_t kMaxKeyBytes = (1u << 20) + 64;
inline constexpr std::size_t kMaxValueBytes = (1u << 30) - (1u << 22);

/// kBlob occurs in SSTables only: its value lies in a blob file, and the entry holds the way to it (engine/blob_pointer.h).
/// kNothing occurs in the WAL only: the moment of an ingest among the writes.
enum class EntryKind : std::uint8_t { kTombstone = 0, kValue = 1, kExpiringValue = 2, kBlob = 3, kNothing = 15 };

/// One version of one key, borrowed from whoever made it.
struct EntryView {
  std::string_view key;
  std::string_view value;            ///< empty for a tombstone; an encoded BlobPointer for kBlob
  SequenceNumber sequence = 0;
  std::uint64_t expire_at_ms = 0;    ///< milliseconds since 1970, 0: never; meaningful for kExpiringValue and kBlob only
  EntryKind kind = EntryKind::kTombstone;
};

/// When the entry's value expires; 0: never.
inline std::uint64_t ExpiryOf(const EntryView& entry) {
  return entry.kind == EntryKind::kExpiringValue || entry.kind == EntryKind::kBlob ? entry.expire_at_ms : 0;
}
/// An entry lives through the millisecond of its deadline, as Redis's keys do. `expire_at_ms` 0: for ever.
constexpr bool HasExpired(std::uint64_t expire_at_ms, std::uint64_t now_ms) { return expire_at_ms != 0 && expire_at_ms < now_ms; }

class WriteBatch {
 public:
  /// `expire_at_ms` 0: never expires. Later operations on a key win over earlier ones.
  void Put(std::string_view key, std::string_view value, std::uint64_t expire_at_ms = 0);
  /// As Put, for a value given in pieces that are joined here, so that a header or a suffix costs no copy of the whole.
  void PutPieces(std::string_view key, std::span<const std::string_view> pieces, std::uint64_t expire_at_ms = 0);
  void Delete(std::string_view key);
  /// Forgets the operations and keeps the memory.
  void Clear() {
    operations_.clear();
    count_ = 0;
    oversized_ = false;
  }

  /// Hands the operations over, and is empty then.
  std::string TakeOperations() {
    std::string taken = std::move(operations_);
    operations_ = std::string();
    Clear();
    return taken;
  }

  bool empty() const { return count_ == 0; }
  std::uint32_t count() const { return count_; }
  /// A key or a value is over its bound: Write() will refuse the batch.
  bool oversized() const { return oversized_; }
  std::string_view operations() const { return operations_; }

 private:
  std::string operations_;
  std::uint32_t count_ = 0;
  bool oversized_ = false;
};

/// The operation of kind kNothing, as it is written.
inline constexpr std::string_view kNothingOperation{"\x0f\0", 2};

/// Reads the operations of a batch one after another; every length is checked against what is left.
class OperationReader {
 public:
  explicit OperationReader(std::string_view operations) : rest_(operations) {}
  /// False at the end or when damaged; `entry->sequence` is left alone.
  bool Next(EntryView* entry);
  /// kCorruption when the bytes were not a sequence of operations.
  Status status() const { return damaged_ ? Status::Corruption("malformed operation in a batch") : Status(); }

 private:
  std::string_view rest_;
  bool damaged_ = false;
};

}  // namespace lsmkv
