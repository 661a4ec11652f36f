// What recovery cuts off the end of the log, kept as *.dropped for people who want to look at it: nothing in it was ever acknowledged. The newest
// few are kept, and nobody else removes them.
//
// Threads  one caller at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fs/file_system.h"
#include "lsmkv/status.h"

namespace lsmkv {

class DroppedTail {
 public:
  /// From a place in the first segment to the end of the last.
  struct Tail {
    std::span<const std::uint64_t> segments;     ///< their ids, ascending
    std::span<const std::uint64_t> ends;         ///< of each, where what was written to it ends; 0: not known
    std::uint64_t cut_offset = 0;                ///< in the first
  };

  /// Both outlive it.
  DroppedTail(FileSystem& fs, const std::string& wal_dir) : fs_(fs), dir_(wal_dir) {}

  /// What an earlier start has kept of a segment.
  void Found(std::uint64_t segment) { kept_.push_back(segment); }
  /// Keeps a copy, and leaves the log as it is.
  Status Copy(const Tail& tail);
  /// Takes it out of the log.
  Status SetAside(const Tail& tail);
  /// All but the newest few. Failures are logged.
  void RemoveOld();

 private:
  std::string Path(std::uint64_t segment) const;
  std::string KeptPath(std::uint64_t segment) const;
  Result<bool> IsEmpty(std::uint64_t segment);
  Status CopySegment(std::uint64_t segment, std::uint64_t begin, std::uint64_t end);
  Status CopyBytes(const std::string& from, std::uint64_t begin, std::uint64_t end, const std::string& to);

  static constexpr std::size_t kMostKept = 4;
  FileSystem& fs_;
  const std::string& dir_;
  std::vector<std::uint64_t> kept_;              // of these segments, now or at an earlier start
};

}  // namespace lsmkv
