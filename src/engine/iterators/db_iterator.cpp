#include "engine/iterators/db_iterator.h"

#include <utility>

#include "base/assert.h"
#include "engine/blob_pointer.h"

namespace lsmkv {

DbIterator::DbIterator(std::unique_ptr<InternalIterator> merged, std::vector<std::shared_ptr<const void>> pins,
                       const DbIteratorOptions& options)
    : pins_(std::move(pins)), merged_(std::move(merged)), options_(options) {}

void DbIterator::SeekToFirst() {
  blob_status_ = Status();
  merged_->SeekToFirst();
  SkipDead();
}

void DbIterator::Seek(std::string_view target) {
  blob_status_ = Status();
  merged_->Seek(target);
  SkipDead();
}

void DbIterator::Next() {
  LSMKV_ASSERT(valid_);
  if (!blob_status_.ok()) return;        // who asked for the value and not for Valid() since: the end, and status() says why
  merged_->Next();
  SkipDead();
}

// To the first entry from here on that a user may see.
void DbIterator::SkipDead() {
  valid_ = false;
  blob_.reset();
  for (; merged_->Valid(); merged_->Next()) {
    entry_ = merged_->entry();
    if (!options_.upper_bound.empty() && entry_.key >= options_.upper_bound) return;
    ++examined_;
    if (IsDead(entry_)) continue;
    valid_ = true;
    return;
  }
}

std::string_view DbIterator::value_head() const {
  if (entry_.kind != EntryKind::kBlob) return entry_.value.substr(0, kValueHeadBytes);
  const std::optional<BlobPointer> pointer = DecodeBlobPointer(entry_.value);
  return pointer ? pointer->head : std::string_view();
}

std::string_view DbIterator::BlobValue() const {
  LSMKV_ASSERT(valid_);
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
