#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/internal_iterator.h"
#include "lsmkv/engine.h"

namespace lsmkv {

struct DbIteratorOptions {
  std::uint64_t now_ms = 0;            ///< what expires at or before this is left out; 0: nothing is
  std::string_view upper_bound;        ///< ends before this key; empty: no bound. Must outlive the iterator.
  /// Reads the value of a kBlob entry from its blob file; may be left empty where there are no such entries.
  std::function<Result<PinnedValue>(const EntryView& entry)> read_blob = {};
};

/// The public iterator: a merged stream without its tombstones and without what has expired. Values in blob files are read
/// when they are asked for, so that a walk over keys reads none.
/// Threads  one caller at a time.
class DbIterator final : public Iterator {
 public:
  /// @param merged  each key once, its newest visible version.
  /// @param pins    what must stay while `merged` is in use: memtables, version. Let go after it.
  DbIterator(std::unique_ptr<InternalIterator> merged, std::vector<std::shared_ptr<const void>> pins,
             const DbIteratorOptions& options);

  bool Valid() const override { return valid_ && blob_status_.ok(); }
  void SeekToFirst() override;
  void Seek(std::string_view target) override;
  void Next() override;
  std::string_view key() const override { return entry_.key; }
  std::string_view value() const override { return entry_.kind == EntryKind::kBlob ? BlobValue() : entry_.value; }
  std::string_view value_head() const override;
  std::uint64_t expire_at_ms() const override { return ExpiryOf(entry_); }
  std::uint64_t examined() const override { return examined_; }
  Status status() const override { return blob_status_.ok() ? merged_->status() : blob_status_; }

 private:
  bool IsDead(const EntryView& entry) const {
    const std::uint64_t expire_at_ms = ExpiryOf(entry);
    return entry.kind == EntryKind::kTombstone || (expire_at_ms != 0 && expire_at_ms <= options_.now_ms);
  }
  void SkipDead();
  std::string_view BlobValue() const;

  const std::vector<std::shared_ptr<const void>> pins_;
  const std::unique_ptr<InternalIterator> merged_;       // after pins_: destroyed before what it reads
  const DbIteratorOptions options_;
  EntryView entry_;                                      // the current one, while valid_
  bool valid_ = false;
  std::uint64_t examined_ = 0;
  mutable std::optional<PinnedValue> blob_;              // the current entry's value, once it was asked for
  mutable Status blob_status_;                           // not ok: it could not be read, until the next seek
};

}  // namespace lsmkv
