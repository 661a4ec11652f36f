// Blob file: large values, each written once. SSTables hold pointers to them (engine/blob_pointer.h), and merges pass the
// pointers on without touching the values, so that a value's bytes are not rewritten by every level it sinks through.
//
//   file        := header record* footer
//   header      := magic:u64 format_version:u32 zero:u32 id:u64 checksum:u64                         32 bytes
//   record      := checksum:u64 key_hash:u64 stored_bytes:u32 compression:u32 stored:bytes           24 bytes and the value
//   stored      := the plain value, or raw_bytes:varint32 and an LZ4 block or ZSTD frame that unpacks to raw_bytes
//   footer      := records:u64 file_bytes:u64 checksum:u64 magic:u64                                 32 bytes
//   key_hash    := Hash(engine key of the value)
//   checksum    := of header and footer: Checksum(what stands before it) + id
//                  of a record: Checksum(what stands behind it) + id * kBlobPlaceFactor + offset of the record
//
// A flush writes its large values into a new blob file in key order; a merge that empties old files writes what is still
// alive in them into a new one (compaction/value_sink.h). The file is whole, synced and in a synced directory before the
// manifest that names it is committed.
//
// A blob file has no list of its own to be in: it lives as long as a table of the present, or one that a reader pins, refers
// to it. Each table's manifest record says to which, with how many entries and bytes; what no table refers to is garbage.
//
// Invariants
//   1. Every byte of the file lies under a checksum. Id and offset in it catch a record that was written or read in the wrong
//      place, the key's hash a pointer that leads to another key's value.
//   2. A pointer is compared with the file's size before anything is read or allocated for it; an unpacked size is bounded by
//      what the packed bytes could hold.
//   3. Ids come from the counter that numbers tables and are never used twice, so that a record's (id, offset) is its key in
//      the block cache for ever.
//   4. The header keeps its layout in every later format version, so that a reader can name a version that it does not know.
//
// Not here  which values go here (compaction/value_sink.h), when a file is emptied (compaction/blob_garbage.h).
// Source    Lu et al., "WiscKey: Separating Keys from Values in SSD-Conscious Storage" (FAST 2016); that tables count what
//           they refer to, as in RocksDB's BlobDB and Titan.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/blob_pointer.h"
#include "lsmkv/options.h"
#include "lsmkv/status.h"

namespace lsmkv {

inline constexpr std::uint32_t kBlobFormatVersion = 1;
inline constexpr std::uint64_t kBlobMagic = 0x626c62766b6d736c;  // "lsmkvblb" as it stands in the file
inline constexpr std::uint64_t kBlobPlaceFactor = 0x9e3779b97f4a7c15;

/// Where a record's header has `stored_bytes`.
inline constexpr std::size_t kBlobStoredBytesAt = 16;

struct BlobFooter {
  std::uint64_t records = 0;
  std::uint64_t file_bytes = 0;
};

struct BlobRecordHeader {
  std::uint64_t key_hash = 0;
  std::uint32_t stored_bytes = 0;
  Compression compression = Compression::kNone;
};

std::string EncodeBlobHeader(std::uint64_t id);
/// Errors, here and below: kCorruption "offset N: ..."; kUnsupported for a newer format, by its number.
Status CheckBlobHeader(std::string_view raw, std::uint64_t id);
std::string EncodeBlobFooter(const BlobFooter& footer, std::uint64_t id);
/// `raw` is the last kBlobFooterBytes of a file of `file_bytes`.
Result<BlobFooter> DecodeBlobFooter(std::string_view raw, std::uint64_t id, std::uint64_t file_bytes);

/// The kBlobRecordHeaderBytes in front of `stored`.
std::string EncodeBlobRecordHeader(std::uint64_t key_hash, std::string_view stored, Compression compression, std::uint64_t id,
                                   std::uint64_t offset);
/// `raw` is a whole record, header and all. What it says of itself, once its checksum is found right.
Result<BlobRecordHeader> CheckBlobRecord(std::string_view raw, std::uint64_t id, std::uint64_t offset);
/// Invariant 2: a record of `record_bytes` at `offset` lies between header and footer of a file of `file_bytes`.
bool BlobRecordFits(std::uint64_t offset, std::uint64_t record_bytes, std::uint64_t file_bytes);

}  // namespace lsmkv
