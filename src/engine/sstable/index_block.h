// Index block: which block of the file may hold a key. The index of a section names data blocks; the top index names
// sections.
//
//   contents := prefix_bytes:varint32 prefix  entry+  entry_count:u32
//   entry    := suffix_bytes:varint32 suffix  block:handle  [filter:handle, in the top index only; offset 0 size 0: none]
//
// An entry's key is prefix + suffix, and is >= every key of its block and < every key of the next block (format.h,
// invariant 2). The prefix is what all keys of the index share. In memory the first eight bytes after it stand in an array
// of their own, big-endian, and every 16th of these once more in an array of fences: a search bisects the fences, which come into the
// processor's cache together, then counts in one group of 16, and looks at the keys themselves only where heads are equal. Bisecting the
// heads alone would wait for memory some seven times in a row.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/prefetch.h"
#include "engine/sstable/cached_block.h"

namespace lsmkv {

struct IndexEntry {
  BlockHandle block;
  BlockHandle filter;  // top index only; empty: no filter
};

class IndexBlockBuilder {
 public:
  explicit IndexBlockBuilder(BlockKind kind) : kind_(kind) {}
  /// `key` is greater than all before.
  void Add(std::string_view key, const IndexEntry& entry);
  std::string Finish() const;
  void Reset();
  bool empty() const { return entries_.empty(); }
  std::string_view last_key() const;
  std::size_t size() const { return keys_.size() + entries_.size() * 10; }  ///< about what Finish() will give

 private:
  struct Pending {
    std::size_t key_begin;
    IndexEntry entry;
  };
  std::string_view Key(std::size_t index) const;

  const BlockKind kind_;
  std::string keys_;
  std::vector<Pending> entries_;
};

class IndexBlockBase : public CachedBlock {
 public:
  std::size_t size() const { return slots_.size(); }
  /// The first entry whose key is >= `key`; size() when there is none.
  std::size_t Search(std::string_view key) const;
  /// Starts loading what Search looks at first.
  void PrefetchSearch() const {
    Prefetch(prefix_.data());
    const char* const fences = reinterpret_cast<const char*>(fences_.data());
    const std::size_t bytes = fences_.size() * sizeof(fences_[0]);
    for (std::size_t at = 0; at < bytes && at < kMostPrefetchedBytes; at += kCacheLineBytes) Prefetch(fences + at);
  }
  IndexEntry entry(std::size_t index) const;
  std::string key(std::size_t index) const { return std::string(prefix_).append(Suffix(index)); }

 protected:
  IndexBlockBase(BlockKind kind, BlockContents contents, std::size_t entry_count);
  ~IndexBlockBase() = default;
  /// Reads and checks everything once: bounds, order of keys, handles against the file's size.
  Status ParseEntries(std::size_t entry_count, std::uint64_t file_bytes);

 private:
  struct Slot {
    std::uint64_t block_offset;
    std::uint32_t block_bytes;
    std::uint32_t suffix_at;  // in the contents, its length in front
  };
  static constexpr std::size_t kGroup = 16;   // heads between two fences
  std::string_view Suffix(std::size_t index) const;
  std::size_t FirstNotBelow(std::uint64_t head) const;
  bool ParseEntry(std::string_view* rest, std::string_view* suffix, IndexEntry* entry) const;

  static constexpr std::size_t kMostPrefetchedBytes = 1024;

  const BlockContents contents_;
  std::string_view prefix_;
  std::vector<std::uint64_t> heads_;   // first eight bytes of each suffix, big-endian, zeroes behind its end; then, to fill the last group, the largest number
  std::vector<std::uint64_t> fences_;  // the last head of each group but the last
  std::vector<Slot> slots_;
  std::vector<BlockHandle> filters_;  // top index only
};

/// The kinds differ in what they may be mistaken for, not in what they do.
template <BlockKind kIndexKind>
class BasicIndexBlock final : public IndexBlockBase {
 public:
  static constexpr BlockKind kKind = kIndexKind;

  BasicIndexBlock(BlockContents contents, std::size_t entry_count)
      : IndexBlockBase(kIndexKind, std::move(contents), entry_count) {}
  /// Errors: kCorruption, worded without file or offset.
  static Result<std::shared_ptr<const BasicIndexBlock>> Parse(BlockContents contents, std::uint64_t file_bytes);
};

using IndexBlock = BasicIndexBlock<BlockKind::kIndex>;
using TopIndexBlock = BasicIndexBlock<BlockKind::kTopIndex>;

/// A key S with last <= S < next, as short as is easy; `last` < `next`.
std::string_view Separator(std::string_view last, std::string_view next);

}  // namespace lsmkv
