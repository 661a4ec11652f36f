// An open SSTable: footer and top index in memory, all else read when needed, through the block cache.
//
// A point lookup: top index -> filter of the section -> index of the section -> data block. The middle two and the last
// come from the cache or, where the caller may wait, from the file. Nothing is copied: the value points into the block,
// which the result pins.
//
// Threads  everything const may be called from any thread at once; iterators belong to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/internal_iterator.h"
#include "engine/sstable/block_cache.h"
#include "engine/sstable/index_block.h"
#include "engine/sstable/read_counters.h"
#include "engine/sstable/table_properties.h"
#include "fs/file_system.h"

namespace lsmkv {

class DataBlock;

/// Who a table is and what it shares with the others. What is pointed to outlives it.
struct TableContext {
  std::string name;                    ///< for messages: the file's path
  std::uint64_t number = 0;            ///< its key in the cache; never used for another file
  BlockCache* cache = nullptr;         ///< not null
  FilterCounters* counters = nullptr;  ///< may be null
};

class LargeValueGate;   // lsmkv/engine.h

struct ReadMode {
  bool memory_only = false;  ///< kWouldBlock rather than a wait for the disk
  bool fill_cache = true;    ///< keep what had to be read
  LargeValueGate* large_values = nullptr;   ///< kWouldBlock when it does not admit a value of a blob file
};

struct TableGetResult {
  bool found = false;
  EntryView entry;  ///< if found; key is the caller's, value lives as long as `pin`
  std::shared_ptr<const void> pin;
  std::uint64_t pin_bytes = 0;   ///< what `pin` keeps in memory: the block
};

/// What a hint has asked the disk for, or found in memory.
enum class AskedFor : std::uint8_t {
  kNothing,   ///< the key is not in the table, as far as was looked
  kIndex,     ///< filter or index; where the block lies is not known yet
  kBlock,
};

struct IteratorOptions {
  bool fill_cache = true;  ///< keep the blocks that were read
  /// Largest read: data is read ahead in pieces that grow up to this while the reading is sequential. Without fill_cache
  /// the pieces bypass the cache (compaction). 0: block by block through the cache.
  std::uint64_t readahead_bytes = 0;
};

class Table {
 public:
  /// Reads the footer and the top index. Errors: kCorruption "<name>: offset N: ...", kUnsupported for a newer format,
  /// kIoError.
  static Result<std::unique_ptr<Table>> Open(std::unique_ptr<RandomAccessFile> file, TableContext context);
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// The entry of `key`, whose Hash() is `hash`; tombstones are found too. Errors: kWouldBlock if mode.memory_only and a
  /// block is not in the cache; kCorruption, kIoError. The result is only good without an error.
  Status Get(std::string_view key, std::uint64_t hash, ReadMode mode, TableGetResult* result) const;

  /// A hint that Get(key) follows: asks the operating system for what that would have to read first. Waits for nothing if
  /// mode.memory_only; else for filter and index, so that the block itself can be asked for.
  AskedFor WillRead(std::string_view key, std::uint64_t hash, ReadMode mode) const;

  /// The table outlives the iterator; `pin`, which the iterator keeps, may see to that.
  std::unique_ptr<InternalIterator> NewIterator(const IteratorOptions& options,
                                                std::shared_ptr<const void> pin = nullptr) const;

  /// Some key in [lower, upper) at about the place that `random`, any 64 bits, picks; an empty `upper` is no bound. nullopt
  /// when there is none. Reads disk.
  Result<std::optional<std::string>> SampleKey(std::uint64_t random, std::string_view lower, std::string_view upper) const;

  /// Read from the file at each call.
  Result<TableProperties> ReadProperties() const;

  /// A part of the table: its keys are <= last_key and > those of the part before.
  struct Section {
    std::string last_key;
    std::uint64_t bytes = 0;   ///< in the file, about
  };
  /// In order, from memory: where a range of keys may be cut, and what each piece weighs.
  std::vector<Section> Sections() const;

  // ---- for LookupWarmer: hints about the block at a handle, which the cache may have
  const TopIndexBlock& top_index() const { return *top_index_; }
  void PrefetchSlot(BlockHandle handle) const { context_.cache->PrefetchSlot(KeyOf(handle)); }
  void PrefetchBlock(BlockHandle handle) const { context_.cache->PrefetchBlock(KeyOf(handle)); }
  /// Null when the cache does not have it, or it is of another kind.
  template <typename Block>
  std::shared_ptr<const Block> PeekAs(BlockHandle handle) const {
    BlockRef block = context_.cache->Peek(KeyOf(handle));
    if (block == nullptr || block->kind() != Block::kKind) return nullptr;
    return std::static_pointer_cast<const Block>(std::move(block));
  }

  std::uint64_t file_bytes() const { return file_->size(); }
  /// Of this and its top index.
  std::uint64_t memory_bytes() const {
    return sizeof(Table) + context_.name.capacity() + kFileObjectBytes + top_index_->charge_bytes();
  }
  const std::string& name() const { return context_.name; }

 private:
  friend class TableIterator;
  static constexpr std::uint64_t kFileObjectBytes = 256;  ///< about what an open file takes here
  Table(std::unique_ptr<RandomAccessFile> file, TableContext context, const TableFooter& footer,
        std::shared_ptr<const TopIndexBlock> top_index);

  /// The block at `handle`, parsed as `Block`, from the cache or the file.
  template <typename Block>
  Result<std::shared_ptr<const Block>> Fetch(BlockHandle handle, ReadMode mode) const;
  template <typename Block>
  Result<std::shared_ptr<const Block>> FetchMissing(BlockHandle handle, ReadMode mode) const;
  template <typename Block>
  std::shared_ptr<const Block> PeekOrAsk(BlockHandle handle, ReadMode mode) const;
  /// True: the section has no such key.
  Result<bool> FilteredOut(const IndexEntry& section, std::uint64_t hash, ReadMode mode) const;
  Status GetFromSection(std::string_view key, std::uint64_t hash, const IndexEntry& section, ReadMode mode,
                        TableGetResult* result) const;
  BlockKey KeyOf(BlockHandle handle) const { return {context_.number, handle.offset}; }

  const std::unique_ptr<RandomAccessFile> file_;
  const TableContext context_;
  const TableFooter footer_;
  const std::shared_ptr<const TopIndexBlock> top_index_;
};

}  // namespace lsmkv
