// From a handle to a parsed block, for those who read tables: lookups (table.cpp), iterators (table_iterator.cpp) and checks
// (table_check.cpp).
#pragma once

#include <memory>
#include <string>

#include "engine/sstable/block_contents.h"

namespace lsmkv {

/// The footer of a table, which may be any file. Errors: "offset N: ...".
inline Result<TableFooter> ReadTableFooter(const RandomAccessFile& file) {
  if (file.size() < kTableFooterBytes) {
    return CorruptionAt(0, "a file of " + std::to_string(file.size()) + " bytes is no SSTable");
  }
  char raw[kTableFooterBytes];
  const std::uint64_t offset = file.size() - kTableFooterBytes;
  const Status read = file.Read(offset, kTableFooterBytes, raw);
  if (!read.ok()) return read.WithContext("offset " + std::to_string(offset));
  return DecodeFooter(std::string_view(raw, kTableFooterBytes), file.size());
}

/// Parses opened contents; an error of Parse, which knows neither file nor place, gets the offset.
template <typename Block>
Result<std::shared_ptr<const Block>> ParseBlock(Result<BlockContents> contents, std::uint64_t offset,
                                                std::uint64_t file_bytes) {
  if (!contents) return contents.error();
  Result<std::shared_ptr<const Block>> block = Block::Parse(std::move(*contents), file_bytes);
  if (!block) return CorruptionAt(offset, block.error().message());
  return block;
}

/// Reads and parses the block at `handle`, which may be any two numbers. Errors: "offset N: ..."; kWouldBlock.
template <typename Block>
Result<std::shared_ptr<const Block>> LoadBlock(const RandomAccessFile& file, BlockHandle handle, OnDisk on_disk = OnDisk::kWait) {
  if (!HandleFits(handle, file.size())) return CorruptionAt(handle.offset, "block handle points outside the file");
  return ParseBlock<Block>(ReadBlock(file, handle, Block::kKind, on_disk), handle.offset, file.size());
}

}  // namespace lsmkv
