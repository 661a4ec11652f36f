// What is left of a file's old bytes while it is written over (FileSystem::RenameToOverwrite), and the zeros that each write leaves behind
// itself, so that a reader finds the end among them.
//
// A write that comes into a new page fills it with zeros to its end. Then the system has no reason to read the page before a part of it is changed,
// which would make the writer wait for the disk where the page is not in its cache any more; and the writes that follow in the page have
// their zeros already.
//
// Threads  one at a time.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lsmkv {

class OldBytes {
 public:
  static constexpr std::uint64_t kPageBytes = 4096;
  static constexpr std::uint64_t kMostZeros = 2 * kPageBytes;

  OldBytes() = default;
  /// @param zeros_behind  the least that a write leaves where old bytes follow; at most a page.
  OldBytes(std::uint64_t end, std::uint64_t zeros_behind) : end_(end), zeros_behind_(std::min(zeros_behind, kPageBytes)) {}

  /// How many zeros have to follow a write that ends at `write_end`; at most kMostZeros.
  std::uint64_t ZerosBehind(std::uint64_t write_end) const {
    if (write_end >= end_ || write_end + zeros_behind_ <= new_end_) return 0;
    const std::uint64_t pages = (write_end + zeros_behind_ + kPageBytes - 1) / kPageBytes;
    return std::min(pages * kPageBytes, end_) - write_end;
  }
  /// Data or zeros lie there up to `end`.
  void OnWritten(std::uint64_t end) { new_end_ = std::max(new_end_, end); }
  /// The file was cut.
  void Forget() { end_ = 0; }

 private:
  std::uint64_t end_ = 0;               // of the old bytes
  std::uint64_t new_end_ = 0;           // in front of it there are none
  std::uint64_t zeros_behind_ = 0;
};

}  // namespace lsmkv
