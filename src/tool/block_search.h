// Finds whole blocks of an SSTable where the index that led to them is damaged.
//
// A block does not say how long it is. But one ends where the next begins, and its last nine bytes are its type and a checksum of
// all before them; so from a given start each length is tried, with a running checksum. What matches is a block that was
// written at this very place (the offset is part of the checksum): nothing else passes for one.
// Cost   about 50 ns for each place where the type byte could be one. Behind a block that is itself damaged every start is tried,
//        some milliseconds each, so there is a budget.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/sstable/format.h"
#include "fs/file_system.h"

namespace lsmkv::tool {

struct FoundBlock {
  BlockHandle handle;
  BlockKind kind = BlockKind::kData;
};

class BlockSearch {
 public:
  /// `file` outlives it. Never looks at or behind `end`.
  BlockSearch(const RandomAccessFile& file, std::uint64_t end) : file_(file), end_(end) {}

  /// The first whole block at or after `offset`; nullopt: none is left, or the budget is used up. Errors: the file's.
  Result<std::optional<FoundBlock>> Next(std::uint64_t offset);
  bool gave_up() const { return budget_bytes_ == 0; }

 private:
  Result<std::optional<FoundBlock>> StartingAt(std::uint64_t offset);
  Status Fill(std::uint64_t offset);

  static constexpr std::uint64_t kLongestBlock = 256u << 10;     ///< longer ones are found by their index only
  static constexpr std::uint64_t kWindowBytes = 4u << 20;

  const RandomAccessFile& file_;
  const std::uint64_t end_;
  std::uint64_t budget_bytes_ = 8ull << 30;                      ///< to be hashed, in one table
  std::string window_;
  std::uint64_t window_begin_ = 0;
};

}  // namespace lsmkv::tool
