#include "engine/iterators/concatenating_iterator.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace lsmkv {

ConcatenatingIterator::ConcatenatingIterator(std::shared_ptr<const TableRanges> ranges, OpenTable open_table)
    : ranges_(std::move(ranges)), open_table_(std::move(open_table)) {
  for (std::size_t i = 0; i < ranges_->size(); ++i) {
    LSMKV_INVARIANT((*ranges_)[i].smallest <= (*ranges_)[i].largest);
    LSMKV_INVARIANT(i == 0 || (*ranges_)[i - 1].largest < (*ranges_)[i].smallest);
  }
}

void ConcatenatingIterator::SeekToFirst() {
  status_ = Status();
  Open(0);
  if (table_ == nullptr) return;
  table_->SeekToFirst();
  SkipFinishedTables();
}

void ConcatenatingIterator::Seek(std::string_view target) {
  status_ = Status();
  const auto first = std::lower_bound(ranges_->begin(), ranges_->end(), target,
                                      [](const TableRange& range, std::string_view key) { return range.largest < key; });
  Open(static_cast<std::size_t>(first - ranges_->begin()));
  if (table_ == nullptr) return;
  table_->Seek(target);
  SkipFinishedTables();
}

void ConcatenatingIterator::Next() {
  LSMKV_ASSERT(Valid());
  table_->Next();
  SkipFinishedTables();
}

// Makes table `index` the open one; past the last there is none.
void ConcatenatingIterator::Open(std::size_t index) {
  if (table_ != nullptr && index == index_) return;
  index_ = index;
  table_.reset();
  if (index >= ranges_->size()) return;
  Result<std::unique_ptr<InternalIterator>> opened = open_table_(index);
  if (opened) {
    table_ = std::move(*opened);
  } else {
    status_ = opened.error();
  }
}

void ConcatenatingIterator::SkipFinishedTables() {
  while (table_ != nullptr && !table_->Valid()) {
    status_ = table_->status();
    if (!status_.ok()) {
      table_.reset();              // a later seek opens it afresh
      return;
    }
    Open(index_ + 1);
    if (table_ != nullptr) table_->SeekToFirst();
  }
}

}  // namespace lsmkv
