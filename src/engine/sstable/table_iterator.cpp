#include "engine/sstable/table_iterator.h"

#include <algorithm>

#include "base/assert.h"
#include "engine/sstable/table_load.h"

namespace lsmkv {

TableIterator::TableIterator(const Table& table, const IteratorOptions& options, std::shared_ptr<const void> pin)
    : table_(table), pin_(std::move(pin)), options_(options) {
  if (options.readahead_bytes > 0) {
    window_.emplace(*table.file_, options.readahead_bytes, table.footer_.top_index.offset);
  }
}

void TableIterator::Leave() { cursor_.Leave(); }

bool TableIterator::Fail(Status status) {
  status_ = std::move(status);
  Leave();
  return false;
}

bool TableIterator::Moved(bool ok) {
  if (ok) return true;
  const BlockHandle handle = index_->entry(block_).block;
  return Fail(CorruptionAt(handle.offset, "malformed entry in a data block").WithContext(table_.name()));
}

bool TableIterator::OpenSection(std::size_t section) {
  if (section >= table_.top_index_->size()) {
    Leave();
    return false;
  }
  if (index_ != nullptr && section == section_) return true;
  auto index = Fetch<IndexBlock>(table_.top_index_->entry(section).block, SeekStage::kIndex);
  if (!index) return Fail(index.error());
  section_ = section;
  index_ = std::move(*index);
  return true;
}

bool TableIterator::OpenBlock(std::size_t block) {
  LSMKV_ASSERT(block < index_->size());
  auto data = ReadData(index_->entry(block).block);
  if (!data) return Fail(data.error());
  block_ = block;
  data_ = std::move(*data);
  cursor_.Reset(*data_);
  return true;
}

template <typename Block>
Result<std::shared_ptr<const Block>> TableIterator::Fetch(BlockHandle handle, SeekStage stage) {
  const ReadMode waiting{.fill_cache = options_.fill_cache};
  if (listener_ == nullptr) return table_.Fetch<Block>(handle, waiting);
  auto block = table_.Fetch<Block>(handle, {.memory_only = true, .fill_cache = options_.fill_cache});
  if (block || block.error().code() != StatusCode::kWouldBlock) return block;
  listener_->BeforeWait(stage);
  return table_.FetchMissing<Block>(handle, waiting);
}

Result<std::shared_ptr<const DataBlock>> TableIterator::ReadData(BlockHandle handle) {
  if (!window_) return Fetch<DataBlock>(handle, SeekStage::kBlock);
  if (options_.fill_cache) {
    // Present: from the cache. Absent: through the window, and then into the cache.
    auto block = table_.Fetch<DataBlock>(handle, {true, true});
    if (block || block.error().code() != StatusCode::kWouldBlock) return block;
  }
  if (listener_ != nullptr && !window_->Holds(handle.offset, handle.size + kBlockTrailerBytes)) listener_->BeforeWait(SeekStage::kBlock);
  auto block = ReadAhead(handle);
  if (!block) return block.error().WithContext(table_.name());
  if (options_.fill_cache) table_.context_.cache->Insert(table_.KeyOf(handle), *block);
  return block;
}

Result<std::shared_ptr<const DataBlock>> TableIterator::ReadAhead(BlockHandle handle) {
  const std::uint64_t file_bytes = table_.file_bytes();
  if (!HandleFits(handle, file_bytes)) return CorruptionAt(handle.offset, "block handle points outside the file");
  if (handle.size > options_.readahead_bytes) return LoadBlock<DataBlock>(*table_.file_, handle);
  const Result<std::string_view> raw = window_->Read(handle.offset, handle.size + kBlockTrailerBytes);
  if (!raw) return raw.error();
  Result<BlockContents> contents = lsmkv::OpenBlock(*raw, handle.offset, BlockKind::kData);
  // A block for the cache must not borrow from the window; one that only this iterator sees is gone before the window
  // moves.
  if (contents && contents->borrowed() && options_.fill_cache) contents->Own();
  return ParseBlock<DataBlock>(std::move(contents), handle.offset, file_bytes);
}

void TableIterator::BeginSeek(bool backward) {
  status_ = Status();
  if (window_) window_->Restart(backward);
}

void TableIterator::WillSeek(const SeekPlace& place, SeekStage stage) {
  BeginSeek(place.backward);
  const TopIndexBlock& top = *table_.top_index_;
  std::size_t section = place.key ? top.Search(*place.key) : place.backward ? top.size() : 0;
  const bool last = place.backward && section == top.size();      // all of the table lies in front of the key
  if (last) --section;
  if (section >= top.size()) return;
  if (stage == SeekStage::kIndex) {
    const BlockHandle handle = top.entry(section).block;
    const bool open = index_ != nullptr && section == section_;
    if (!open && table_.PeekAs<IndexBlock>(handle) == nullptr) table_.file_->WillNeed(handle.offset, handle.size + kBlockTrailerBytes);
    return;
  }
  if (!OpenSection(section)) return;      // the seek tries again, and says why
  const std::size_t block = last ? index_->size() - 1 : place.key ? index_->Search(*place.key) : 0;
  if (block < index_->size()) AskForBlock(index_->entry(block).block);
}

/// As ReadData() will read it.
void TableIterator::AskForBlock(BlockHandle handle) {
  if (!HandleFits(handle, table_.file_bytes())) return;
  const bool through_cache = !window_ || options_.fill_cache;
  if (through_cache && table_.PeekAs<DataBlock>(handle) != nullptr) return;
  const std::uint64_t bytes = handle.size + kBlockTrailerBytes;
  if (window_ && handle.size <= options_.readahead_bytes) return window_->WillRead(handle.offset, bytes);
  table_.file_->WillNeed(handle.offset, bytes);
}

void TableIterator::SeekToFirst() {
  BeginSeek(/*backward=*/false);
  if (OpenSection(0) && OpenBlock(0)) Moved(cursor_.SeekToFirst());
}

void TableIterator::SeekToLast() {
  BeginSeek(/*backward=*/true);
  if (OpenSection(table_.top_index_->size() - 1) && OpenBlock(index_->size() - 1)) Moved(cursor_.SeekToLast());
}

bool TableIterator::OpenBlockFor(std::string_view target) {
  if (!OpenSection(table_.top_index_->Search(target))) return false;
  const std::size_t block = index_->Search(target);
  if (block < index_->size()) return OpenBlock(block);
  // A top index that disagrees with its section: no such table is ever written.
  return Fail(Status::Corruption(table_.name() + ": index of section " + std::to_string(section_) + " ends too early"));
}

void TableIterator::Seek(std::string_view target) {
  BeginSeek(/*backward=*/false);
  if (!OpenBlockFor(target) || !Moved(cursor_.Seek(target))) return;
  if (!cursor_.Valid()) NextBlock();  // the target lies between the block's last key and its index key
}

void TableIterator::SeekForPrev(std::string_view target) {
  BeginSeek(/*backward=*/true);
  if (table_.top_index_->Search(target) == table_.top_index_->size()) return SeekToLast();
  if (!OpenBlockFor(target) || !Moved(cursor_.SeekForPrev(target))) return;
  if (!cursor_.Valid()) PreviousBlock();  // the target lies in front of the block's first key
}

void TableIterator::Next() {
  LSMKV_ASSERT(Valid());
  if (Moved(cursor_.Next()) && !cursor_.Valid()) NextBlock();
}

void TableIterator::Prev() {
  LSMKV_ASSERT(Valid());
  if (Moved(cursor_.Prev()) && !cursor_.Valid()) PreviousBlock();
}

void TableIterator::NextBlock() {
  std::size_t block = block_ + 1;
  if (block == index_->size()) {
    if (!OpenSection(section_ + 1)) return;
    block = 0;
  }
  if (OpenBlock(block)) Moved(cursor_.SeekToFirst());
}

void TableIterator::PreviousBlock() {
  std::size_t end = block_;
  if (end == 0) {
    if (section_ == 0) return Leave();
    if (!OpenSection(section_ - 1)) return;
    end = index_->size();
  }
  if (OpenBlock(end - 1)) Moved(cursor_.SeekToLast());
}

void TableIterator::SeekToPlace(std::uint64_t random, std::string_view lower, std::string_view upper) {
  status_ = Status();
  /// One of first..last, by the digits of `random` that are left.
  const auto pick = [&random](std::size_t first, std::size_t last) {
    const std::size_t count = std::max(first, last) - first + 1;
    const std::size_t picked = first + random % count;
    random /= count;
    return picked;
  };
  const auto last_for_upper = [&](const IndexBlockBase& index) {
    return upper.empty() ? index.size() - 1 : std::min(index.Search(upper), index.size() - 1);
  };
  const TopIndexBlock& top = *table_.top_index_;
  const std::size_t first_section = top.Search(lower);
  const std::size_t last_section = last_for_upper(top);
  if (first_section >= top.size() || !OpenSection(pick(first_section, last_section))) return Leave();
  const std::size_t first = section_ == first_section ? std::min(index_->Search(lower), index_->size() - 1) : 0;
  const std::size_t last = section_ == last_section ? last_for_upper(*index_) : index_->size() - 1;
  if (!OpenBlock(pick(first, last))) return;
  Moved(cursor_.SeekToIndex(pick(0, data_->entry_count() - 1)));
}

std::unique_ptr<InternalIterator> Table::NewIterator(const IteratorOptions& options,
                                                     std::shared_ptr<const void> pin) const {
  return std::make_unique<TableIterator>(*this, options, std::move(pin));
}

Result<std::optional<std::string>> Table::SampleKey(std::uint64_t random, std::string_view lower,
                                                    std::string_view upper) const {
  TableIterator iterator(*this, {}, nullptr);
  const auto within = [&] {
    return iterator.Valid() && iterator.entry().key >= lower && (upper.empty() || iterator.entry().key < upper);
  };
  iterator.SeekToPlace(random, lower, upper);
  if (iterator.status().ok() && !within()) iterator.Seek(lower);  // a block at the edge: the first key inside
  if (!iterator.status().ok()) return iterator.status();
  if (!within()) return std::optional<std::string>();
  return std::optional<std::string>(iterator.entry().key);
}

}  // namespace lsmkv
