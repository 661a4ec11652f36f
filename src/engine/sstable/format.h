// SSTable: one sorted, immutable file of entries. It is written once, front to back, and read in blocks.
//
//   table       := section* top_index properties footer
//   section     := data_block+ filter_block? index_block          what one entry of the top index stands for
//   block       := contents type:u8 checksum:u64                  the last nine bytes are the block's trailer
//   type        := kind << 4 | compression                        kind: BlockKind, compression: Compression
//   checksum    := Checksum(contents type) + offset of the block
//   contents    := plain bytes, or raw_bytes:varint32 and an LZ4 block or ZSTD frame that unpacks to raw_bytes
//   handle      := offset:varint64 contents_bytes:varint64
//   footer      := top_index:{offset:u64 contents_bytes:u64} properties:{likewise}
//                  format_version:u32 zero:u32 file_bytes:u64 checksum:u64 magic:u64           64 bytes
//
// Inside the blocks: data_block.h, index_block.h, filter_block.h, table_properties.h.
//
// A lookup searches the top index, which is in memory while the table is open, for the section that may hold the key, asks
// that section's filter, then its index, and reads one data block. A section covers about 16 KiB of index, some hundred
// data blocks, so that opening a table of any size reads two small pieces of it, and a cold table costs no memory.
//
// Invariants
//   1. Keys ascend strictly, as bytes, through the whole file: each user key occurs once.
//   2. An index key is >= every key of the block or section it stands for, and < every key of the next one.
//   3. Every byte of the file lies under a checksum. The offset in it catches a block that was written or read in the
//      wrong place, the kind in the type a handle that leads to another block's role.
//   4. A handle is compared with the file's size before anything is read or allocated for it. An unpacked size is
//      bounded by what the packed bytes could hold.
//   5. The last 32 bytes of the footer keep their meaning in every later format version, the checksum that of the 48
//      bytes before it, so that a reader can name a version that it does not know.
//
// Source   LevelDB's table format (doc/table_format.md), but for the inside of data blocks (data_block.h); partitioned
//          index and filters as in RocksDB's wiki.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lsmkv/options.h"
#include "lsmkv/status.h"

namespace lsmkv {

inline constexpr std::uint32_t kTableFormatVersion = 1;
inline constexpr std::uint64_t kTableMagic = 0x747373766b6d736c;  // "lsmkvsst" as it stands in the file
inline constexpr std::size_t kBlockTrailerBytes = 9;
inline constexpr std::size_t kTableFooterBytes = 64;
/// Contents of one block, packed or not. An entry is never split, so this also bounds an entry.
inline constexpr std::uint64_t kMaxBlockBytes = 1536ull << 20;

/// What a block is for. Part of the format, but for kBlob: a blob file's value (blob/blob_reader.h), which shares the block cache.
enum class BlockKind : std::uint8_t { kData = 1, kIndex = 2, kFilter = 3, kTopIndex = 4, kProperties = 5, kBlob = 6 };
inline constexpr std::size_t kBlockKinds = 16;   // a kind has four bits of a block's type byte

/// Where a block is. `size` counts the contents, not the trailer; no block has size 0.
struct BlockHandle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;

  bool empty() const { return size == 0; }
  std::uint64_t end() const { return offset + size + kBlockTrailerBytes; }
  friend bool operator==(const BlockHandle&, const BlockHandle&) = default;
};

void PutHandle(std::string* out, BlockHandle handle);
/// False when there is no handle; `in` is then left as it was.
bool GetHandle(std::string_view* in, BlockHandle* handle);
/// Invariant 4: the block and its trailer lie before the footer of a file of `file_bytes`.
bool HandleFits(BlockHandle handle, std::uint64_t file_bytes);

struct TableFooter {
  BlockHandle top_index;
  BlockHandle properties;
  std::uint64_t file_bytes = 0;
};

std::string EncodeFooter(const TableFooter& footer);
/// Reads the last kTableFooterBytes of a file of `file_bytes`. The handles it returns fit the file.
/// Errors: kCorruption; kUnsupported, naming the version, for a format newer than kTableFormatVersion.
Result<TableFooter> DecodeFooter(std::string_view raw, std::uint64_t file_bytes);

/// "offset N: what", as kCorruption; the table puts its file's name in front.
Status CorruptionAt(std::uint64_t offset, std::string_view what);

/// How many bytes `a` and `b` have in common at their front.
inline std::size_t CommonPrefix(std::string_view a, std::string_view b) {
  const std::size_t limit = a.size() < b.size() ? a.size() : b.size();
  std::size_t i = 0;
  for (; i + 8 <= limit; i += 8) {
    std::uint64_t left = 0;
    std::uint64_t right = 0;
    __builtin_memcpy(&left, a.data() + i, 8);
    __builtin_memcpy(&right, b.data() + i, 8);
    if (left != right) return i + static_cast<std::size_t>(__builtin_ctzll(left ^ right)) / 8;
  }
  while (i < limit && a[i] == b[i]) ++i;
  return i;
}

}  // namespace lsmkv
