// A window over a file that is read in order: large reads while the reading is sequential, small ones while it is not.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/sstable/block_contents.h"
#include "fs/file_system.h"

namespace lsmkv {

/// One thread; the file outlives it.
class ReadaheadWindow {
 public:
  /// Never reads at or behind `end`, but for what is asked for.
  ReadaheadWindow(const RandomAccessFile& file, std::uint64_t max_bytes, std::uint64_t end)
      : file_(file), max_bytes_(max_bytes), end_(end) {}

  /// The `size` bytes at `offset`, which lie within the file; they live until the next call. Errors: the file's.
  Result<std::string_view> Read(std::uint64_t offset, std::uint64_t size);

 private:
  bool Holds(std::uint64_t offset, std::uint64_t size) const {
    return offset >= begin_ && offset + size <= begin_ + filled_;
  }

  static constexpr std::uint64_t kFirstBytes = 16u << 10;
  static constexpr std::uint64_t kSequentialGap = 256u << 10;  ///< an index or filter between two data blocks is no jump

  const RandomAccessFile& file_;
  const std::uint64_t max_bytes_;
  const std::uint64_t end_;
  std::uint64_t next_bytes_ = 0;  // of the next read; 0 before the first
  std::uint64_t begin_ = 0;       // of the window in the file
  std::uint64_t filled_ = 0;      // bytes of buffer_ that hold the file's
  BlockBuffer buffer_;
};

}  // namespace lsmkv
