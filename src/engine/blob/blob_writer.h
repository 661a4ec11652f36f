// Writes a blob file front to back (format.h). Small records are gathered, large ones go to the file as they are; now and then a
// hint starts their write-back, so that the final sync finds little left to do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/blob/format.h"
#include "engine/sstable/compression.h"
#include "fs/file_system.h"

namespace lsmkv {

/// One thread. Abandoning it without Finish leaves a file that no reader takes for whole.
class BlobWriter {
 public:
  /// What it gathers before it writes.
  static constexpr std::size_t kBufferBytes = 64u << 10;
  /// From StartWriteback to StartWriteback, and at most a write.
  static constexpr std::size_t kWritebackBytes = 512u << 10;

  /// `file` is empty and outlives the writer; syncing and closing it is the caller's.
  BlobWriter(WritableFile& file, std::uint64_t id, Compression compression);

  /// Appends a value, packed where that pays. `key_hash` is its key's Hash(). The pointer's head is left empty.
  /// Errors: the file's, repeated by every later call.
  Result<BlobPointer> Add(std::uint64_t key_hash, std::string_view value);
  /// The same for a value of `value_bytes` that another blob file stores as `stored`.
  Result<BlobPointer> AddStored(std::uint64_t key_hash, std::string_view stored, Compression compression, std::uint64_t value_bytes);
  /// Writes what is left. Nothing but the getters may be called afterwards.
  Status Finish();

  std::uint64_t id() const { return id_; }
  std::uint64_t records() const { return records_; }
  /// Size of the file: exact after Finish, before that what finishing now would give.
  std::uint64_t file_bytes() const { return written_ + buffer_.size() + (finished_ ? 0 : kBlobFooterBytes); }

 private:
  static constexpr std::size_t kCopyBytes = 32u << 10;        // a value from this size on is not copied into the buffer
  static constexpr std::size_t kSampleBytes = 1u << 20;       // of a value many times as large, packed to see whether the rest pays

  void Append(std::string_view bytes);
  void FlushBuffer();
  void Write(std::string_view bytes);
  bool LooksPackable(std::string_view value);

  WritableFile& file_;
  const std::uint64_t id_;
  BlockCompressor compressor_;
  Status status_;              // the first error
  bool finished_ = false;
  std::uint64_t records_ = 0;
  std::string buffer_;         // not yet handed to the file
  std::uint64_t written_ = 0;  // bytes handed to it
  std::uint64_t hinted_ = 0;   // of these, by the last hint
};

}  // namespace lsmkv
