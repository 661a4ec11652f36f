#include "engine/iterators/db_iterator.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "engine/blob_pointer.h"

namespace lsmkv {

DbIterator::DbIterator(std::unique_ptr<InternalIterator> merged, std::vector<std::shared_ptr<const void>> pins,
                       DbIteratorOptions options)
    : pins_(std::move(pins)), merged_(std::move(merged)), options_(std::move(options)) {}

void DbIterator::SeekToFirst() {
  blob_status_ = Status();
  if (options_.range.begin.empty()) {
    merged_->SeekToFirst();
  } else {
    merged_->Seek(options_.range.begin);
  }
  SettleForward();
}

void DbIterator::SeekToLast() {
  blob_status_ = Status();
  const std::string& end = options_.range.end;
  if (end.empty()) {
    merged_->SeekToLast();
  } else {
    merged_->SeekForPrev(end);
    if (merged_->Valid() && merged_->entry().key == end) merged_->Prev();
  }
  SettleBackward();
}

void DbIterator::Seek(std::string_view target) {
  blob_status_ = Status();
  merged_->Seek(std::max<std::string_view>(target, options_.range.begin));
  SettleForward();
}

void DbIterator::SeekForPrev(std::string_view target) {
  if (options_.range.IsBehind(target)) return SeekToLast();
  blob_status_ = Status();
  merged_->SeekForPrev(target);
  SettleBackward();
}

void DbIterator::Next() {
  LSMKV_ASSERT(state_ != State::kNowhere);
  if (!blob_status_.ok()) return;        // who asked for the value and not for Valid() since: the end, and status() says why
  merged_->Next();
  SettleForward();
}

void DbIterator::Prev() {
  LSMKV_ASSERT(state_ != State::kNowhere);
  if (!blob_status_.ok()) return;
  merged_->Prev();
  SettleBackward();
}

bool DbIterator::EndsAtThis(std::uint64_t* skipped) {
  entry_ = merged_->entry();
  ++examined_;
  if (!IsDead(entry_)) {
    state_ = State::kValid;
  } else if (++*skipped == options_.max_skipped) {
    state_ = State::kPaused;
  }
  return state_ != State::kNowhere;
}

void DbIterator::SettleForward() {
  state_ = State::kNowhere;
  blob_.reset();
  for (std::uint64_t skipped = 0; merged_->Valid(); merged_->Next()) {
    if (options_.range.IsBehind(merged_->entry().key) || EndsAtThis(&skipped)) return;
  }
}

void DbIterator::SettleBackward() {
  state_ = State::kNowhere;
  blob_.reset();
  for (std::uint64_t skipped = 0; merged_->Valid(); merged_->Prev()) {
    if (merged_->entry().key < options_.range.begin || EndsAtThis(&skipped)) return;
  }
}

std::string_view DbIterator::value_head() const {
  if (entry_.kind != EntryKind::kBlob) return entry_.value.substr(0, kValueHeadBytes);
  const std::optional<BlobPointer> pointer = DecodeBlobPointer(entry_.value);
  return pointer ? pointer->head : std::string_view();
}

std::string_view DbIterator::BlobValue() const {
  LSMKV_ASSERT(state_ == State::kValid);
  if (!blob_ && blob_status_.ok()) {
    Result<PinnedValue> value = options_.read_blob(entry_);
    if (value) {
      blob_ = std::move(*value);
    } else {
      blob_status_ = value.error();
    }
  }
  return blob_ ? blob_->data() : std::string_view();
}

}  // namespace lsmkv
