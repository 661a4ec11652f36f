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

std::size_t ConcatenatingIterator::FirstFrom(std::string_view target) const {
  const auto first = std::lower_bound(ranges_->begin(), ranges_->end(), target,
                                      [](const TableRange& range, std::string_view key) { return range.largest < key; });
  return static_cast<std::size_t>(first - ranges_->begin());
}

std::size_t ConcatenatingIterator::BehindLastUpTo(std::string_view target) const {
  const auto behind = std::upper_bound(ranges_->begin(), ranges_->end(), target,
                                       [](std::string_view key, const TableRange& range) { return key < range.smallest; });
  return static_cast<std::size_t>(behind - ranges_->begin());
}

void ConcatenatingIterator::WillSeek(const SeekPlace& place, SeekStage stage) {
  if (place.backward) {
    const std::size_t behind = place.key ? BehindLastUpTo(*place.key) : ranges_->size();
    if (behind == 0) return;
    Open(behind - 1);
  } else {
    Open(place.key ? FirstFrom(*place.key) : 0);
  }
  if (table_ != nullptr) table_->WillSeek(place, stage);      // an error is the seek's, which tries again
}

void ConcatenatingIterator::Seek(std::string_view target) {
  status_ = Status();
  Open(FirstFrom(target));
  if (table_ == nullptr) return;
  table_->Seek(target);
  SkipFinishedTables();
}

void ConcatenatingIterator::SeekToLast() {
  status_ = Status();
  if (ranges_->empty()) return;
  Open(ranges_->size() - 1);
  if (table_ == nullptr) return;
  table_->SeekToLast();
  SkipFinishedTablesBackward();
}

void ConcatenatingIterator::SeekForPrev(std::string_view target) {
  status_ = Status();
  const std::size_t behind = BehindLastUpTo(target);
  if (behind == 0) return Close();
  Open(behind - 1);
  if (table_ == nullptr) return;
  table_->SeekForPrev(target);
  SkipFinishedTablesBackward();
}

void ConcatenatingIterator::Next() {
  LSMKV_ASSERT(Valid());
  table_->Next();
  SkipFinishedTables();
}

void ConcatenatingIterator::Prev() {
  LSMKV_ASSERT(Valid());
  table_->Prev();
  SkipFinishedTablesBackward();
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
    table_->TellBeforeWait(listener_);
  } else {
    status_ = opened.error();
  }
}

void ConcatenatingIterator::Close() { table_.reset(); }

// True when the open table has nothing more in the direction of the last move. One that failed is closed: none is open then.
bool ConcatenatingIterator::TableFinished() {
  if (table_ == nullptr || table_->Valid()) return false;
  status_ = table_->status();
  if (status_.ok()) return true;
  Close();              // a later seek opens it afresh
  return false;
}

void ConcatenatingIterator::SkipFinishedTables() {
  while (TableFinished()) {
    Open(index_ + 1);
    if (table_ != nullptr) table_->SeekToFirst();
  }
}

void ConcatenatingIterator::SkipFinishedTablesBackward() {
  while (TableFinished()) {
    if (index_ == 0) return Close();
    Open(index_ - 1);
    if (table_ != nullptr) table_->SeekToLast();
  }
}

}  // namespace lsmkv
