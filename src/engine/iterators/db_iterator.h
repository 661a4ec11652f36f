#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/internal_iterator.h"
#include "engine/iterators/key_range.h"
#include "lsmkv/engine.h"

namespace lsmkv {

struct DbIteratorOptions {
  std::uint64_t now_ms = 0;            ///< what expires at or before this is left out; 0: nothing is
  KeyRange range;
  std::uint64_t max_skipped = 0;       ///< a move pauses after so many dead entries; 0: never
  /// Reads the value of a kBlob entry from its blob file; may be left empty where there are no such entries.
  std::function<Result<PinnedValue>(const EntryView& entry)> read_blob = {};
};

/// The public iterator: a merged stream, in either direction, without its tombstones, without what has expired and without what
/// lies outside of the range. Values in blob files are read when they are asked for, so that a walk over keys reads none.
/// Threads  one caller at a time.
class DbIterator final : public Iterator {
 public:
  /// @param merged  each key once, its newest visible version. Keys outside of the range may be missing.
  /// @param pins    what must stay while `merged` is in use: memtables, version. Let go after it.
  DbIterator(std::unique_ptr<InternalIterator> merged, std::vector<std::shared_ptr<const void>> pins,
             DbIteratorOptions options);

  bool Valid() const override { return state_ == State::kValid && blob_status_.ok(); }
  bool paused() const override { return state_ == State::kPaused; }
  std::string_view position() const override { return entry_.key; }
  void SeekToFirst() override;
  void SeekToLast() override;
  void Seek(std::string_view target) override;
  void SeekForPrev(std::string_view target) override;
  void Next() override;
  void Prev() override;
  std::string_view key() const override { return entry_.key; }
  std::string_view value() const override { return entry_.kind == EntryKind::kBlob ? BlobValue() : entry_.value; }
  std::string_view value_head() const override;
  std::uint64_t expire_at_ms() const override { return ExpiryOf(entry_); }
  std::uint64_t examined() const override { return examined_; }
  Status status() const override { return blob_status_.ok() ? merged_->status() : blob_status_; }

 private:
  enum class State : std::uint8_t { kNowhere, kValid, kPaused };

  bool IsDead(const EntryView& entry) const {
    return entry.kind == EntryKind::kTombstone || HasExpired(ExpiryOf(entry), options_.now_ms);
  }
  /// To the first entry, from where merged_ stands on in either direction, that a user may see.
  void SettleForward();
  void SettleBackward();
  /// Looks at the entry that merged_ stands on. True when the move ends there: it is a live one, or the work bound is reached.
  bool EndsAtThis(std::uint64_t* skipped);
  std::string_view BlobValue() const;

  const std::vector<std::shared_ptr<const void>> pins_;
  const std::unique_ptr<InternalIterator> merged_;       // after pins_: destroyed before what it reads
  const DbIteratorOptions options_;
  EntryView entry_;                                      // where merged_ stands, unless kNowhere
  State state_ = State::kNowhere;
  std::uint64_t examined_ = 0;
  mutable std::optional<PinnedValue> blob_;              // the current entry's value, once it was asked for
  mutable Status blob_status_;                           // not ok: it could not be read, until the next seek
};

}  // namespace lsmkv
