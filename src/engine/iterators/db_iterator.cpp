#include "engine/iterators/db_iterator.h"

#include <utility>

#include "base/assert.h"

namespace lsmkv {

DbIterator::DbIterator(std::unique_ptr<InternalIterator> merged, std::vector<std::shared_ptr<const void>> pins,
                       const DbIteratorOptions& options)
    : pins_(std::move(pins)), merged_(std::move(merged)), options_(options) {}

void DbIterator::SeekToFirst() {
  merged_->SeekToFirst();
  SkipDead();
}

void DbIterator::Seek(std::string_view target) {
  merged_->Seek(target);
  SkipDead();
}

void DbIterator::Next() {
  LSMKV_ASSERT(valid_);
  merged_->Next();
  SkipDead();
}

// To the first entry from here on that a user may see.
void DbIterator::SkipDead() {
  valid_ = false;
  for (; merged_->Valid(); merged_->Next()) {
    entry_ = merged_->entry();
    if (!options_.upper_bound.empty() && entry_.key >= options_.upper_bound) return;
    ++examined_;
    if (IsDead(entry_)) continue;
    valid_ = true;
    return;
  }
}

}  // namespace lsmkv
