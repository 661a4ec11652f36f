// Where a large value lies: what an SSTable's entry of kind kBlob holds in place of the value.
//
//   pointer := blob:varint64 offset:varint64 stored_bytes:varint64 value_bytes:varint64 head:bytes
//
// `head` is the value's first kValueHeadBytes bytes (all, if it has fewer), so that who needs no more, such as a scan that
// asks for types, reads no blob. The deadline is the entry's own. What the pointer leads to: blob/format.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/coding.h"
#include "lsmkv/iterator.h"

namespace lsmkv {

/// In front of each value in a blob file.
inline constexpr std::size_t kBlobRecordHeaderBytes = 24;
inline constexpr std::size_t kBlobHeaderBytes = 32;
inline constexpr std::size_t kBlobFooterBytes = 32;
/// What a blob file takes besides its records.
inline constexpr std::uint64_t kBlobOverheadBytes = kBlobHeaderBytes + kBlobFooterBytes;

struct BlobPointer {
  std::uint64_t blob = 0;          ///< number of the blob file
  std::uint64_t offset = 0;        ///< of the record in it
  std::uint64_t stored_bytes = 0;  ///< of the value as stored, packed or not
  std::uint64_t value_bytes = 0;   ///< of the value itself
  std::string_view head;           ///< borrowed

  /// What the value takes in its file.
  std::uint64_t record_bytes() const { return kBlobRecordHeaderBytes + stored_bytes; }
  friend bool operator==(const BlobPointer&, const BlobPointer&) = default;
};

inline void PutBlobPointer(std::string* out, const BlobPointer& pointer) {
  PutVarint(out, pointer.blob);
  PutVarint(out, pointer.offset);
  PutVarint(out, pointer.stored_bytes);
  PutVarint(out, pointer.value_bytes);
  out->append(pointer.head);
}

/// nullopt when malformed. `head` points into `bytes`. Whether the place exists is for the blob file to say.
inline std::optional<BlobPointer> DecodeBlobPointer(std::string_view bytes) {
  BlobPointer pointer;
  const bool whole = GetVarint64(&bytes, &pointer.blob) && GetVarint64(&bytes, &pointer.offset) &&
                     GetVarint64(&bytes, &pointer.stored_bytes) && GetVarint64(&bytes, &pointer.value_bytes);
  if (!whole || pointer.blob == 0 || pointer.stored_bytes == 0 || pointer.stored_bytes > pointer.value_bytes) return std::nullopt;
  if (bytes.size() != std::min<std::uint64_t>(kValueHeadBytes, pointer.value_bytes)) return std::nullopt;
  pointer.head = bytes;
  return pointer;
}

}  // namespace lsmkv
