// When a blob file is emptied. Pure, like the picker: figures of a version in, a decision out.
//
// A file's garbage is what no table of the version refers to; a file with nothing but garbage is gone by itself. To free the
// rest of a file, the values that are still alive in it are moved to a new file, which costs their bytes, and the tables that
// point to them are rewritten. The dearer a byte of garbage is that way (a file 30% dead: 2.3 bytes moved for each), the
// longer it pays to wait; what bounds the waiting is that dead bytes stay under kBlobDeadLimit of all.
//
//   dead share of all files   what happens
//   below kMoveInPassing      only files more than half dead are emptied, by merges that touch their values anyway
//   from kMoveInPassing on    merges also move values of the *victims*: the files with the largest dead share, so many that
//                             they make up kVictimsShare of all bytes
//   from kRewriteTables on    tables that refer to a victim are rewritten where they stand for that alone (picker.h, rule 5)
//   from kBlobDeadLimit on    writers are slowed (EngineImpl::UpdatePressure)
//
// Moving does not free anything before a file's last reference is gone: until then the moved bytes are garbage twice over.
// Hence the victims: the few whose turn it is. A file from which values are moved only gains dead share, so it stays first
// until it is gone, and kVictimsShare bounds what is under way.
//
// Source  the price of cleaning by utilization: Rosenblum and Ousterhout, "The Design and Implementation of a Log-Structured
//         File System" (1991).
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "engine/version/version.h"

namespace lsmkv {

/// The promise.
inline constexpr double kBlobDeadLimit = 0.30;
inline constexpr double kRewriteTables = 0.24;
inline constexpr double kMoveInPassing = 0.20;
inline constexpr double kVictimsShare = 0.10;
/// A file at least this dead is worth emptying whenever its values pass by.
inline constexpr double kMostlyDeadBlob = 0.5;
/// A file that is less dead than this is left alone whatever the sum says (which others, that cannot be emptied, may keep up).
inline constexpr double kLeastDeadBlob = 0.12;
static_assert(kLeastDeadBlob < kMoveInPassing && kMoveInPassing < kRewriteTables && kRewriteTables < kBlobDeadLimit);

class BlobGarbage {
 public:
  /// Files that were found unreadable cannot be emptied and count for nothing here. `version` outlives this.
  explicit BlobGarbage(const Version& version);

  /// Garbage of all files / their bytes; 0 without blob files.
  double dead_share() const { return bytes_ == 0 ? 0 : static_cast<double>(dead_bytes_) / static_cast<double>(bytes_); }
  /// Files that may be emptied, the one with the largest dead share first.
  const std::vector<const BlobUsage*>& candidates() const { return candidates_; }
  /// Is it this file's turn?
  bool IsVictim(std::uint64_t id) const { return victims_.contains(id); }
  /// Files worth emptying as far as `tables` refer to them, first come first served until about `most_bytes` would be moved;
  /// `wanted` (0: none) is the first.
  std::set<std::uint64_t> WorthMoving(std::span<const TablePtr> tables, std::uint64_t wanted, std::uint64_t most_bytes) const;

 private:
  std::uint64_t bytes_ = 0;
  std::uint64_t dead_bytes_ = 0;
  std::vector<const BlobUsage*> candidates_;
  std::set<std::uint64_t> victims_;
};

}  // namespace lsmkv
