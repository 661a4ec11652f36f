#include "engine/sstable/lookup_warmer.h"

#include <utility>

namespace lsmkv {

void LookupWarmer::Begin(TablePin table, std::string_view key, std::uint64_t hash) {
  table_ = std::move(table);
  key_ = key;
  hash_ = hash;
  filter_.reset();
  index_.reset();
  data_.reset();
  filtered_out_ = false;
}

void LookupWarmer::Step(int n) {
  if (!table_) return;
  switch (n) {
    case 0: return FindSection();
    case 1:
      if (!filter_at_.empty()) table_->PrefetchBlock(filter_at_);
      return table_->PrefetchBlock(index_at_);
    case 2: return FindBlocks();
    case 3: return FindData();
    case 4: return table_->PrefetchBlock(data_at_);
    case 5:
      data_ = table_->PeekAs<DataBlock>(data_at_);
      if (data_ == nullptr) return Stop();
      return data_->PrefetchTags();
    case 6:
      data_->PrefetchEntry(hash_);
      return Stop();
  }
}

void LookupWarmer::FindSection() {
  const TopIndexBlock& top = table_->top_index();
  const std::size_t at = top.Search(key_);
  if (at == top.size()) return Stop();
  const IndexEntry section = top.entry(at);
  filter_at_ = section.filter;
  index_at_ = section.block;
  if (!filter_at_.empty()) table_->PrefetchSlot(filter_at_);
  table_->PrefetchSlot(index_at_);
}

void LookupWarmer::FindBlocks() {
  if (!filter_at_.empty()) {
    filter_ = table_->PeekAs<FilterBlock>(filter_at_);
    if (filter_ == nullptr) return Stop();
    filter_->PrefetchLine(hash_);
  }
  index_ = table_->PeekAs<IndexBlock>(index_at_);
  if (index_ == nullptr) return Stop();
  index_->PrefetchSearch();
}

void LookupWarmer::FindData() {
  filtered_out_ = filter_ != nullptr && !filter_->MayContain(hash_);
  if (filtered_out_) return Stop();
  const std::size_t at = index_->Search(key_);
  if (at == index_->size()) return Stop();
  data_at_ = index_->entry(at).block;
  table_->PrefetchSlot(data_at_);
}

}  // namespace lsmkv
