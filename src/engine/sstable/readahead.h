// A window over a file that is read in order, from either end: large reads while the reading is sequential, small ones while
// it is not.
//
//   forward   [begin ... the window ... end) <- the next block; reads on from it
//   backward  the next block -> [begin ...        end); reads what ends with it
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
  /// A hint that the next read, the first since Restart(), is of this piece.
  void WillRead(std::uint64_t offset, std::uint64_t size) const;
  /// A seek: what is read next says nothing about what follows, and the reads start small again. What the window holds stays.
  void Restart(bool backward) {
    next_bytes_ = 0;
    backward_ = backward;
  }

  /// No file has to be read for this piece.
  bool Holds(std::uint64_t offset, std::uint64_t size) const {
    return offset >= begin_ && offset + size <= begin_ + filled_;
  }

 private:
  struct Piece {
    std::uint64_t begin;
    std::uint64_t size;
  };
  /// What is read for a piece that the window does not hold, if it is to be so many bytes.
  Piece Around(std::uint64_t offset, std::uint64_t size, std::uint64_t bytes) const;
  enum class Pattern : std::uint8_t { kJump, kForward, kBackward };
  /// How the piece lies to what was read last.
  Pattern PatternOf(std::uint64_t offset, std::uint64_t size) const;
  Status Fill(std::uint64_t begin, std::uint64_t size);
  /// Lets the disk fetch what comes after the window that has just been read.
  void Announce() const;

  static constexpr std::uint64_t kFirstBytes = 16u << 10;
  static constexpr std::uint64_t kSequentialGap = 256u << 10;  ///< an index or filter between two data blocks is no jump

  const RandomAccessFile& file_;
  const std::uint64_t max_bytes_;
  const std::uint64_t end_;
  std::uint64_t next_bytes_ = 0;  // of the last read; 0 before the first
  bool backward_ = false;         // which way the reading goes
  std::uint64_t begin_ = 0;       // of the window in the file
  std::uint64_t filled_ = 0;      // bytes of buffer_ that hold the file's
  BlockBuffer buffer_;
};

}  // namespace lsmkv
