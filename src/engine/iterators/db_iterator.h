#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/internal_iterator.h"
#include "lsmkv/iterator.h"

namespace lsmkv {

struct DbIteratorOptions {
  std::uint64_t now_ms = 0;            ///< what expires at or before this is left out; 0: nothing is
  std::string_view upper_bound;        ///< ends before this key; empty: no bound. Must outlive the iterator.
};

/// The public iterator: a merged stream without its tombstones and without what has expired.
/// Threads  one caller at a time.
class DbIterator final : public Iterator {
 public:
  /// @param merged  each key once, its newest visible version.
  /// @param pins    what must stay while `merged` is in use: memtables, version. Let go after it.
  DbIterator(std::unique_ptr<InternalIterator> merged, std::vector<std::shared_ptr<const void>> pins,
             const DbIteratorOptions& options);

  bool Valid() const override { return valid_; }
  void SeekToFirst() override;
  void Seek(std::string_view target) override;
  void Next() override;
  std::string_view key() const override { return entry_.key; }
  std::string_view value() const override { return entry_.value; }
  std::uint64_t expire_at_ms() const override { return ExpiryOf(entry_); }
  std::uint64_t examined() const override { return examined_; }
  Status status() const override { return merged_->status(); }

 private:
  static std::uint64_t ExpiryOf(const EntryView& entry) {
    return entry.kind == EntryKind::kExpiringValue ? entry.expire_at_ms : 0;
  }
  bool IsDead(const EntryView& entry) const {
    const std::uint64_t expire_at_ms = ExpiryOf(entry);
    return entry.kind == EntryKind::kTombstone || (expire_at_ms != 0 && expire_at_ms <= options_.now_ms);
  }
  void SkipDead();

  const std::vector<std::shared_ptr<const void>> pins_;
  const std::unique_ptr<InternalIterator> merged_;       // after pins_: destroyed before what it reads
  const DbIteratorOptions options_;
  EntryView entry_;                                      // the current one, while valid_
  bool valid_ = false;
  std::uint64_t examined_ = 0;
};

}  // namespace lsmkv
