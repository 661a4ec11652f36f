// Reading blob files: one record at its place, or the whole file in order to see that it is whole.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/blob/format.h"
#include "engine/sstable/block_contents.h"
#include "engine/sstable/cached_block.h"
#include "fs/file_system.h"

namespace lsmkv {

/// A record as it is stored, its checksum found right.
struct BlobRecord {
  BlockBuffer raw;              ///< header and all
  std::string_view stored;      ///< in `raw`
  Compression compression = Compression::kNone;
  std::uint64_t key_hash = 0;
};

/// A value of a blob file in memory: what the block cache holds of it.
class BlobValue final : public CachedBlock {
 public:
  static constexpr BlockKind kKind = BlockKind::kBlob;

  /// `value` lies in `buffer`.
  BlobValue(BlockBuffer buffer, std::string_view value, std::uint64_t key_hash)
      : CachedBlock(kKind, buffer.size()), buffer_(std::move(buffer)), value_(value), key_hash_(key_hash) {}
  /// Unpacks. Errors: kCorruption, worded without file or offset.
  static Result<std::shared_ptr<const BlobValue>> Make(BlobRecord record);

  std::string_view value() const { return value_; }
  std::uint64_t key_hash() const { return key_hash_; }

 private:
  const BlockBuffer buffer_;
  const std::string_view value_;
  const std::uint64_t key_hash_;
};

/// An open blob file. Threads: any, at once. Errors name file and offset: "<name>: offset N: ...".
class BlobReader {
 public:
  /// Reads the header. Errors: kCorruption; kUnsupported for a newer format; kIoError.
  static Result<std::unique_ptr<BlobReader>> Open(std::unique_ptr<RandomAccessFile> file, std::string name, std::uint64_t id);

  /// The record that `pointer`, which may say anything, leads to, if it is the value of the key with this Hash(). One read.
  Result<BlobRecord> Read(const BlobPointer& pointer, std::uint64_t key_hash, OnDisk on_disk = OnDisk::kWait) const;
  /// A hint that Read(pointer) follows: asks the operating system for the record, without waiting.
  void WillRead(const BlobPointer& pointer) const;
  /// Reads all records in the order of the file, and the footer: every byte is checked. `visit` may be null; it is given each
  /// record's offset. Returns the number of records.
  Result<std::uint64_t> ReadAll(const std::function<void(std::uint64_t offset, const BlobRecord& record)>& visit) const;

  std::uint64_t file_bytes() const { return file_->size(); }
  const std::string& name() const { return name_; }

 private:
  BlobReader(std::unique_ptr<RandomAccessFile> file, std::string name, std::uint64_t id)
      : file_(std::move(file)), name_(std::move(name)), id_(id) {}
  Result<BlobRecord> ReadRecord(std::uint64_t offset, std::uint64_t record_bytes, OnDisk on_disk) const;

  const std::unique_ptr<RandomAccessFile> file_;
  const std::string name_;
  const std::uint64_t id_;
};

}  // namespace lsmkv
