// Writes an SSTable front to back (format.h). Blocks are gathered into large writes, each followed by a hint to start their
// write-back, so that the final sync finds little left to do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sstable/compression.h"
#include "engine/sstable/data_block.h"
#include "engine/sstable/index_block.h"
#include "engine/sstable/table_properties.h"
#include "fs/file_system.h"

namespace lsmkv {

struct TableOptions {
  std::uint64_t block_bytes = 4096;               ///< a data block in memory, trailer included; a larger entry has its own
  std::uint64_t section_index_bytes = 16u << 10;  ///< index of one section: a section ends when it is reached
  std::uint64_t section_keys = 32u << 10;         ///< or when it has this many keys, which bounds its filter
  std::uint32_t bloom_bits_per_key = 10;          ///< 0: no filters
  Compression compression = Compression::kLz4;
  std::uint64_t write_bytes = 512u << 10;  ///< of one write to the file
};

/// One thread. Abandoning it without Finish leaves a file that no reader accepts.
class TableBuilder {
 public:
  /// `file` is empty and outlives the builder; closing and syncing it is the caller's.
  TableBuilder(WritableFile& file, const TableOptions& options);

  /// `entry.key` is greater than all before; the entry is copied. Errors: the file's, repeated by every later call;
  /// kInvalidArgument for an entry of more than kMaxEntryBytes, kCorruption for a kBlob entry whose pointer is malformed; both
  /// leave the table as it was.
  Status Add(const EntryView& entry);
  /// Writes what is left. Nothing but the getters may be called afterwards. Errors: the file's; kInvalidArgument when there
  /// are no entries: a table has at least one.
  Status Finish();

  static constexpr std::uint64_t kMaxEntryBytes = kMaxBlockBytes - 4096;  ///< key and value

  std::uint64_t entry_count() const { return properties_.entries; }
  /// Size of the file: exact after Finish, before that about what finishing now would give.
  std::uint64_t file_bytes() const;
  /// Of what was added so far; largest_key and the sizes only after Finish.
  const TableProperties& properties() const { return properties_; }

 private:
  void CutDataBlock(std::string_view index_key);
  void CutSection();
  BlockHandle WriteBlock(std::string_view contents, BlockKind kind, Compression compression);
  void FlushBuffer();
  void Fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  WritableFile& file_;
  const TableOptions options_;
  Status status_;  // the first error
  bool finished_ = false;

  DataBlockBuilder data_;
  IndexBlockBuilder index_{BlockKind::kIndex};  // of the section being written
  IndexBlockBuilder top_index_{BlockKind::kTopIndex};
  std::vector<std::uint64_t> hashes_;  // of the section's keys; empty without filters
  BlockCompressor compressor_;
  TableProperties properties_;

  std::string buffer_;         // blocks not yet handed to the file
  std::uint64_t written_ = 0;  // bytes handed to it
};

}  // namespace lsmkv
