// The bytes of one block in memory, from the file to the parser: read, checked, unpacked.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <string_view>

#include "engine/sstable/format.h"
#include "fs/file_system.h"
#include "lsmkv/status.h"

namespace lsmkv {

/// Uninitialised memory that starts on a cache line, so that a filter's line is one line of the processor.
class BlockBuffer {
 public:
  static constexpr std::align_val_t kAlignment{64};

  BlockBuffer() = default;
  explicit BlockBuffer(std::size_t size) : bytes_(static_cast<char*>(::operator new(size, kAlignment))), size_(size) {}
  char* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(char* bytes) const { ::operator delete(bytes, kAlignment); }
  };
  std::unique_ptr<char, Free> bytes_;
  std::size_t size_ = 0;
};

/// A block's plain contents: in a buffer of its own, or borrowed from the bytes that OpenBlock was given.
struct BlockContents {
  BlockBuffer owned;
  std::string_view bytes;

  bool borrowed() const { return owned.data() == nullptr; }
  /// Copies borrowed bytes into a buffer of its own.
  void Own();
};

/// Checks trailer and checksum of `raw` (contents and trailer, as in the file at `offset`) and unpacks the contents. What
/// is not packed is borrowed from `raw`. Errors: kCorruption "offset N: ...".
Result<BlockContents> OpenBlock(std::string_view raw, std::uint64_t offset, BlockKind kind);

/// What a read does when its bytes are not in memory.
enum class OnDisk : std::uint8_t {
  kWait,
  kRefuse,   ///< kWouldBlock; also for more than kMostCachedBytes, whose copying alone would hold up a loop
};
inline constexpr std::size_t kMostCachedBytes = 128u << 10;

/// By file.Read or file.ReadCached.
Status ReadAt(const RandomAccessFile& file, std::uint64_t offset, std::size_t size, char* buffer, OnDisk on_disk);
/// Reads one block into memory of its own. `handle` fits the file (HandleFits). Errors: kCorruption, kIoError; kWouldBlock.
Result<BlockContents> ReadBlock(const RandomAccessFile& file, BlockHandle handle, BlockKind kind, OnDisk on_disk = OnDisk::kWait);

/// Appends a whole block, trailer and all, that will stand at `offset` of its file.
void AppendBlock(std::string* out, std::string_view contents, BlockKind kind, Compression compression,
                 std::uint64_t offset);

}  // namespace lsmkv
