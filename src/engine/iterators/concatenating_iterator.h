#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/internal_iterator.h"

namespace lsmkv {

/// The smallest and the largest key of one table, both included; the bytes belong to whoever owns the list.
struct TableRange {
  std::string_view smallest;
  std::string_view largest;
};

/// The tables of one sorted level as a single source. A table is opened when the iteration reaches it, not before, and let
/// go when it is left: at any time at most one is held open here.
/// Errors   of opening or reading a table end the iteration and show in status(). A later seek tries again.
/// Threads  one caller at a time.
class ConcatenatingIterator final : public InternalIterator {
 public:
  using TableRanges = std::vector<TableRange>;
  using OpenTable = std::function<Result<std::unique_ptr<InternalIterator>>(std::size_t index)>;

  /// @param ranges  ascending and disjoint; shared, so that a level builds the list once for all its iterators.
  ConcatenatingIterator(std::shared_ptr<const TableRanges> ranges, OpenTable open_table);

  bool Valid() const override { return table_ != nullptr && table_->Valid(); }
  void SeekToFirst() override;
  void Seek(std::string_view target) override;
  void SeekToLast() override;
  void SeekForPrev(std::string_view target) override;
  void Next() override;
  void Prev() override;
  const EntryView& entry() const override { return table_->entry(); }
  Status status() const override { return status_; }
  void TellBeforeWait(DiskWaitListener* listener) override { listener_ = listener; }
  void WillSeek(const SeekPlace& place, SeekStage stage) override;

 private:
  /// The first table with a key >= `target`; the one behind the last with a key <= `target`. size() and 0: none.
  std::size_t FirstFrom(std::string_view target) const;
  std::size_t BehindLastUpTo(std::string_view target) const;
  void Open(std::size_t index);
  void Close();
  bool TableFinished();
  void SkipFinishedTables();
  void SkipFinishedTablesBackward();

  const std::shared_ptr<const TableRanges> ranges_;
  const OpenTable open_table_;
  DiskWaitListener* listener_ = nullptr;         // of the table that is open
  std::size_t index_ = 0;                        // of the open table
  std::unique_ptr<InternalIterator> table_;      // null: none is open (start, end, error)
  Status status_;
};

}  // namespace lsmkv
