// Data block: entries in key order, each readable on its own.
//
//   contents := entry+ prefix:bytes tag:u8[entry_count] offset:(u16|u32)[entry_count] prefix_bytes:u32 count_and_width:u32
//   entry    := suffix_bytes:varint32 size_and_kind:varint64 sequence:varint64 [expire_at_ms:u64, if kExpiringValue
//               or kBlob] suffix value
//
// An entry's key is prefix + suffix; the prefix is what all keys of the block share. `size_and_kind` is value_bytes << 2 |
// kind. `count_and_width` is entry_count, with the highest bit set where offsets need four bytes. `tag` is the lowest byte
// of the key's Hash.
//
// A point lookup looks for its tag among the tags, which lie in a cache line or two, and compares the key of each entry
// that has it: nearly always one entry, or none. It touches neither the other entries nor, as restart points would, all
// that lie before it. A seek bisects the offsets. The shared prefix takes the place of prefix compression against the key
// before: neighbours in a block have nearly all of it in common, and LZ4 takes much of the rest.
//
// Parse checks the frame; entries are checked as they are met, so a block that a bug or an attacker made gives kCorruption,
// never a read outside it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/prefetch.h"
#include "engine/sstable/cached_block.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

class DataBlockBuilder {
 public:
  /// `entry.key` is greater than all before; `hash` is its Hash().
  void Add(const EntryView& entry, std::uint64_t hash);
  /// Contents of the block; valid until Reset.
  std::string_view Finish();
  void Reset();
  bool empty() const { return entries_.empty(); }
  std::string_view last_key() const { return last_key_; }
  /// At most how large the contents are if finished now, or with `entry` added.
  std::size_t size() const;
  std::size_t SizeWith(const EntryView& entry) const;

 private:
  /// An entry in bytes_, its key still whole.
  struct Pending {
    std::uint32_t begin;
    std::uint32_t key_begin;
    std::uint32_t key_bytes;
  };
  std::string_view first_key() const {
    return std::string_view(bytes_).substr(entries_[0].key_begin, entries_[0].key_bytes);
  }
  void StripPrefix(std::size_t prefix_bytes);

  std::string bytes_;
  std::vector<Pending> entries_;
  std::string tags_;
  std::string last_key_;
  std::size_t shared_bytes_ = 0;  // of the first key, shared by all
};

class DataBlock final : public CachedBlock {
 public:
  static constexpr BlockKind kKind = BlockKind::kData;

  explicit DataBlock(BlockContents contents);  ///< for Parse, which checks it
  /// Errors: kCorruption, worded without file or offset; so in all that follows.
  static Result<std::shared_ptr<const DataBlock>> Parse(BlockContents contents, std::uint64_t file_bytes);

  /// The entry of `key`, whose Hash() is `hash`. True when there is one; it points into this block, but for `entry->key`,
  /// which is `key`.
  Result<bool> Get(std::string_view key, std::uint64_t hash, EntryView* entry) const;

  /// Starts loading what Get looks at first.
  void PrefetchTags() const {
    Prefetch(tags_);
    Prefetch(offsets_);
  }
  /// When that has come: the first entry with this hash's tag.
  void PrefetchEntry(std::uint64_t hash) const;

  std::size_t entry_count() const { return entry_count_; }

 private:
  friend class DataBlockCursor;
  const char* entries_end() const { return prefix_.data(); }

  /// Where entry `index` begins in the contents, as the block says: not checked.
  std::size_t OffsetAt(std::size_t index) const;
  /// Decodes entry `index`, its key without the prefix. Returns the byte after it, null when it is damaged.
  const char* DecodeAt(std::size_t index, EntryView* entry) const;
  /// The first entry whose key is >= `key`; entry_count() when there is none.
  Result<std::size_t> Search(std::string_view key) const;

  const BlockContents contents_;
  std::string_view prefix_;  // begins where the entries end
  const char* tags_ = nullptr;
  const char* offsets_ = nullptr;
  std::size_t entries_bytes_ = 0;
  std::uint32_t entry_count_ = 0;
  bool wide_offsets_ = false;
};

/// Walks one block after another; the current one outlives its walk. An entry lives until the next move.
class DataBlockCursor {
 public:
  /// Turns to `block`, standing nowhere yet.
  void Reset(const DataBlock& block);
  /// Stands nowhere, but can go on from where it stood.
  void Leave() { valid_ = false; }

  /// These return false when the bytes are damaged; at the end, Valid() turns false and that is no damage.
  [[nodiscard]] bool SeekToFirst() { return SeekToIndex(0); }
  [[nodiscard]] bool SeekToIndex(std::size_t index);  ///< entry_count() is the end
  [[nodiscard]] bool Seek(std::string_view target);
  [[nodiscard]] bool SeekToLast() { return SeekToIndex(block_->entry_count() - 1); }
  [[nodiscard]] bool SeekForPrev(std::string_view target);  ///< to the last entry <= target
  [[nodiscard]] bool Next() { return SeekToIndex(index_ + 1); }
  [[nodiscard]] bool Prev() { return SeekToIndex(index_ > 0 ? index_ - 1 : block_->entry_count()); }
  bool Valid() const { return valid_; }
  const EntryView& entry() const { return entry_; }

 private:
  const DataBlock* block_ = nullptr;
  std::size_t index_ = 0;
  std::string key_;
  EntryView entry_;
  bool valid_ = false;
};

}  // namespace lsmkv
