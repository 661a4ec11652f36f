#include "engine/sstable/table_check.h"

#include <optional>

#include "base/hash.h"
#include "engine/blob_pointer.h"
#include "engine/sstable/data_block.h"
#include "engine/sstable/filter_block.h"
#include "engine/sstable/index_block.h"
#include "engine/sstable/table_load.h"

namespace lsmkv {
namespace {

class TableChecker : private FileCheck {
 public:
  TableChecker(const RandomAccessFile& file, const std::string& name, const FileCheckHooks& hooks)
      : FileCheck(name, hooks), file_(file) {}

  FileCheckSummary Run(TableProperties* properties) {
    if (!Pay(kTableFooterBytes)) return summary_;
    const Result<TableFooter> footer = ReadTableFooter(file_);
    if (!footer) {
      Damage(footer.error());
      return summary_;
    }
    ReadStatedProperties(footer->properties);
    if (properties != nullptr && stated_) *properties = *stated_;
    const auto top = Load<TopIndexBlock>(footer->top_index);
    if (top == nullptr) return summary_;
    for (std::size_t at = 0; at < top->size() && !summary_.stopped; ++at) CheckSection(top->entry(at), top->key(at));
    if (!summary_.stopped && summary_.damage == 0) Compare(footer->properties.offset);
    return summary_;
  }

 private:
  void DamageAt(std::uint64_t offset, std::string_view what) { Damage(CorruptionAt(offset, what)); }

  /// Null after damage, or when it was stopped.
  template <typename Block>
  std::shared_ptr<const Block> Load(BlockHandle handle) {
    if (!Pay(handle.size + kBlockTrailerBytes)) return nullptr;
    auto block = LoadBlock<Block>(file_, handle);
    if (block) return std::move(*block);
    Damage(block.error());
    return nullptr;
  }

  void ReadStatedProperties(BlockHandle handle) {
    if (!Pay(handle.size + kBlockTrailerBytes)) return;
    const Result<BlockContents> contents = ReadBlock(file_, handle, BlockKind::kProperties);
    if (!contents) return Damage(contents.error());
    Result<TableProperties> properties = DecodeProperties(contents->bytes);
    if (!properties) return DamageAt(handle.offset, properties.error().message());
    stated_ = std::move(*properties);
  }

  void CheckSection(const IndexEntry& section, std::string_view bound) {
    std::shared_ptr<const FilterBlock> filter;
    if (!section.filter.empty()) filter = Load<FilterBlock>(section.filter);
    const auto index = Load<IndexBlock>(section.block);
    if (index == nullptr) return;
    for (std::size_t at = 0; at < index->size() && !summary_.stopped; ++at) {
      const BlockHandle handle = index->entry(at).block;
      const auto block = Load<DataBlock>(handle);
      std::string block_bound = index->key(at);
      if (block != nullptr) CheckEntries(*block, handle.offset, block_bound, filter.get());
      before_ = std::move(block_bound);
    }
    before_ = bound;
    if (index->key(index->size() - 1) > bound) DamageAt(section.block.offset, "index block goes beyond its place in the top index");
  }

  void CheckEntries(const DataBlock& block, std::uint64_t offset, std::string_view bound, const FilterBlock* filter) {
    DataBlockCursor cursor;
    cursor.Reset(block);
    bool whole = cursor.SeekToFirst();
    for (; whole && cursor.Valid(); whole = cursor.Next()) {
      const EntryView& entry = cursor.entry();
      if (const char* const wrong = WrongWith(entry, block, bound, filter)) return DamageAt(offset, wrong);
      last_key_ = entry.key;
      counted_.Count(entry);
      ++summary_.entries;
    }
    if (!whole) DamageAt(offset, "malformed entry in a data block");
  }

  const char* WrongWith(const EntryView& entry, const DataBlock& block, std::string_view bound, const FilterBlock* filter) const {
    const std::uint64_t hash = Hash(entry.key);
    EntryView found;
    if (summary_.entries > 0 && entry.key <= last_key_) return "keys out of order";
    if (before_ && entry.key <= *before_) return "a key that its index puts into the block before";
    if (entry.key > bound) return "a key beyond the one its index has";
    if (filter != nullptr && !filter->MayContain(hash)) return "a key that the filter denies";
    if (!block.Get(entry.key, hash, &found).value_or(false)) return "a key that a lookup does not find";
    if (entry.kind == EntryKind::kBlob && !DecodeBlobPointer(entry.value)) return "a malformed pointer to a blob";
    return nullptr;
  }

  void Compare(std::uint64_t offset) {
    const TableProperties& s = *stated_;
    const TableProperties& c = counted_;
    const bool same = s.entries == c.entries && s.tombstones == c.tombstones && s.expiring == c.expiring && s.smallest_key == c.smallest_key &&
                      s.largest_key == last_key_ && s.smallest_sequence == c.smallest_sequence &&
                      s.largest_sequence == c.largest_sequence && s.blobs == c.blobs;
    if (!same) DamageAt(offset, "the properties say something else than the entries");
  }

  const RandomAccessFile& file_;
  std::optional<TableProperties> stated_;
  TableProperties counted_;
  std::string last_key_;
  std::optional<std::string> before_;   // what the index says of the block or section before: all keys from here on are greater
};

}  // namespace

FileCheckSummary CheckTable(const RandomAccessFile& file, const std::string& name, const FileCheckHooks& hooks,
                            TableProperties* properties) {
  return TableChecker(file, name, hooks).Run(properties);
}

}  // namespace lsmkv
