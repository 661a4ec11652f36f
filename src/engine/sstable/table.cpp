#include "engine/sstable/table.h"

#include "base/assert.h"
#include "engine/sstable/data_block.h"
#include "engine/sstable/filter_block.h"
#include "engine/sstable/table_load.h"

namespace lsmkv {
Table::Table(std::unique_ptr<RandomAccessFile> file, TableContext context, const TableFooter& footer,
             std::shared_ptr<const TopIndexBlock> top_index)
    : file_(std::move(file)), context_(std::move(context)), footer_(footer), top_index_(std::move(top_index)) {}

Result<std::unique_ptr<Table>> Table::Open(std::unique_ptr<RandomAccessFile> file, TableContext context) {
  LSMKV_ASSERT(context.cache != nullptr);
  const Result<TableFooter> footer = ReadTableFooter(*file);
  if (!footer) return footer.error().WithContext(context.name);
  auto top_index = LoadBlock<TopIndexBlock>(*file, footer->top_index);
  if (!top_index) return top_index.error().WithContext(context.name);
  return std::unique_ptr<Table>(new Table(std::move(file), std::move(context), *footer, std::move(*top_index)));
}

template <typename Block>
Result<std::shared_ptr<const Block>> Table::Fetch(BlockHandle handle, ReadMode mode) const {
  BlockRef block = context_.cache->Lookup(KeyOf(handle));
  if (block == nullptr) return FetchMissing<Block>(handle, mode);
  if (block->kind() != Block::kKind) {
    return CorruptionAt(handle.offset, "block of another kind than expected").WithContext(context_.name);
  }
  return std::static_pointer_cast<const Block>(std::move(block));
}

template <typename Block>
Result<std::shared_ptr<const Block>> Table::FetchMissing(BlockHandle handle, ReadMode mode) const {
  if (mode.memory_only) {
    // What the system's cache has costs less to copy than to hand to a thread that may wait.
    auto block = LoadBlock<Block>(*file_, handle, OnDisk::kRefuse);
    if (!block) return block.error().code() == StatusCode::kWouldBlock ? block.error() : block.error().WithContext(context_.name);
    if (mode.fill_cache) context_.cache->Insert(KeyOf(handle), *block);
    return block;
  }
  if (!mode.fill_cache) {
    auto block = LoadBlock<Block>(*file_, handle);
    if (!block) return block.error().WithContext(context_.name);
    return block;
  }
  const auto load = [&]() -> Result<BlockRef> {
    auto block = LoadBlock<Block>(*file_, handle);
    if (!block) return block.error();
    return BlockRef(std::move(*block));
  };
  Result<BlockRef> block = context_.cache->LoadOnce(KeyOf(handle), load);
  if (!block) return block.error().WithContext(context_.name);
  if ((*block)->kind() != Block::kKind) {
    return CorruptionAt(handle.offset, "block of another kind than expected").WithContext(context_.name);
  }
  return std::static_pointer_cast<const Block>(std::move(*block));
}

template Result<std::shared_ptr<const IndexBlock>> Table::Fetch<IndexBlock>(BlockHandle,
                                                                            ReadMode) const;  // for table_iterator.cpp
template Result<std::shared_ptr<const DataBlock>> Table::Fetch<DataBlock>(BlockHandle, ReadMode) const;
template Result<std::shared_ptr<const IndexBlock>> Table::FetchMissing<IndexBlock>(BlockHandle, ReadMode) const;
template Result<std::shared_ptr<const DataBlock>> Table::FetchMissing<DataBlock>(BlockHandle, ReadMode) const;

Status Table::Get(std::string_view key, std::uint64_t hash, ReadMode mode, TableGetResult* result) const {
  result->found = false;
  const std::size_t at = top_index_->Search(key);
  if (at == top_index_->size()) return Status();
  const IndexEntry section = top_index_->entry(at);
  if (section.filter.empty()) return GetFromSection(key, hash, section, mode, result);
  const Result<bool> filtered_out = FilteredOut(section, hash, mode);
  if (!filtered_out) return filtered_out.error();
  if (*filtered_out) return Status();
  Status status = GetFromSection(key, hash, section, mode, result);
  if (status.ok() && !result->found && context_.counters != nullptr) context_.counters->CountFalsePositive();
  return status;
}

Result<bool> Table::FilteredOut(const IndexEntry& section, std::uint64_t hash, ReadMode mode) const {
  const auto filter = Fetch<FilterBlock>(section.filter, mode);
  if (!filter) return filter.error();
  const bool negative = !(*filter)->MayContain(hash);
  if (context_.counters != nullptr) context_.counters->CountCheck(negative);
  return negative;
}

Status Table::GetFromSection(std::string_view key, std::uint64_t hash, const IndexEntry& section, ReadMode mode,
                             TableGetResult* result) const {
  const auto index = Fetch<IndexBlock>(section.block, mode);
  if (!index) return index.error();
  const std::size_t at = (*index)->Search(key);
  if (at == (*index)->size()) return Status();
  const BlockHandle handle = (*index)->entry(at).block;
  auto block = Fetch<DataBlock>(handle, mode);
  if (!block) return block.error();
  const Result<bool> found = (*block)->Get(key, hash, &result->entry);
  if (!found) return CorruptionAt(handle.offset, found.error().message()).WithContext(context_.name);
  result->found = *found;
  if (!*found) return Status();
  result->pin_bytes = (*block)->charge_bytes();
  result->pin = std::move(*block);
  return Status();
}

std::vector<Table::Section> Table::Sections() const {
  std::vector<Section> sections;
  sections.reserve(top_index_->size());
  std::uint64_t begin = 0;
  for (std::size_t at = 0; at < top_index_->size(); ++at) {
    const std::uint64_t end = top_index_->entry(at).block.offset;   // its index block follows its data
    sections.push_back({top_index_->key(at), end - begin});
    begin = end;
  }
  return sections;
}

/// The block at `handle` if it is in memory or may be waited for; else null, and asked for. An error is left to who reads it again.
template <typename Block>
std::shared_ptr<const Block> Table::PeekOrAsk(BlockHandle handle, ReadMode mode) const {
  std::shared_ptr<const Block> block = PeekAs<Block>(handle);
  if (block != nullptr) return block;
  if (mode.memory_only) {
    file_->WillNeed(handle.offset, handle.size);
    return nullptr;
  }
  auto fetched = Fetch<Block>(handle, mode);
  return fetched ? std::move(*fetched) : nullptr;
}

AskedFor Table::WillRead(std::string_view key, std::uint64_t hash, ReadMode mode) const {
  const std::size_t at = top_index_->Search(key);
  if (at == top_index_->size()) return AskedFor::kNothing;
  const IndexEntry section = top_index_->entry(at);
  if (!section.filter.empty()) {
    const auto filter = PeekOrAsk<FilterBlock>(section.filter, mode);
    if (filter != nullptr && !filter->MayContain(hash)) return AskedFor::kNothing;
  }
  const auto index = PeekOrAsk<IndexBlock>(section.block, mode);
  if (index == nullptr) return AskedFor::kIndex;
  const std::size_t place = index->Search(key);
  if (place == index->size()) return AskedFor::kNothing;
  static_cast<void>(PeekOrAsk<DataBlock>(index->entry(place).block, {.memory_only = true}));
  return AskedFor::kBlock;
}

Result<TableProperties> Table::ReadProperties() const {
  const Result<BlockContents> contents = ReadBlock(*file_, footer_.properties, BlockKind::kProperties);
  if (!contents) return contents.error().WithContext(context_.name);
  Result<TableProperties> properties = DecodeProperties(contents->bytes);
  if (!properties) return CorruptionAt(footer_.properties.offset, properties.error().message()).WithContext(context_.name);
  return properties;
}

}  // namespace lsmkv
