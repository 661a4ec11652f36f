// Entries of one table in order: a place in the top index, one in a section's index, and a cursor in a data block.
#pragma once

#include <memory>
#include <optional>

#include "engine/sstable/data_block.h"
#include "engine/sstable/readahead.h"
#include "engine/sstable/table.h"

namespace lsmkv {

class TableIterator final : public InternalIterator {
 public:
  TableIterator(const Table& table, const IteratorOptions& options, std::shared_ptr<const void> pin);

  bool Valid() const override { return cursor_.Valid(); }
  void SeekToFirst() override;
  void Seek(std::string_view target) override;
  void SeekToLast() override;
  void SeekForPrev(std::string_view target) override;
  void Next() override;
  void Prev() override;
  const EntryView& entry() const override { return cursor_.entry(); }
  Status status() const override { return status_; }
  void TellBeforeWait(DiskWaitListener* listener) override { listener_ = listener; }
  void WillSeek(const SeekPlace& place, SeekStage stage) override;

  /// To some entry at about the place that `random` picks between the blocks that may hold `lower` and `upper` (empty: the
  /// end); it may lie a little outside. Not Valid() only after an error or when `lower` is behind the table's end.
  void SeekToPlace(std::uint64_t random, std::string_view lower, std::string_view upper);

 private:
  /// Turn to a section, to a data block of the current section. False, and not Valid(), at the end or after an error.
  bool OpenSection(std::size_t section);
  bool OpenBlock(std::size_t block);
  /// To the first entry of the block after the current one, be it in the next section.
  void NextBlock();
  /// To the last entry of the block before it, be it in the section before.
  void PreviousBlock();
  void BeginSeek(bool backward);
  /// Turns to the first block that may hold a key >= `target`. False, and not Valid(), when there is none or after an error.
  bool OpenBlockFor(std::string_view target);
  /// Through the cache; whoever listens is told if that is not enough.
  template <typename Block>
  Result<std::shared_ptr<const Block>> Fetch(BlockHandle handle, SeekStage stage);
  Result<std::shared_ptr<const DataBlock>> ReadData(BlockHandle handle);
  void AskForBlock(BlockHandle handle);
  Result<std::shared_ptr<const DataBlock>> ReadAhead(BlockHandle handle);
  void Leave();
  bool Fail(Status status);
  /// Takes what a cursor's move returned.
  bool Moved(bool ok);

  const Table& table_;
  const std::shared_ptr<const void> pin_;
  const IteratorOptions options_;
  DiskWaitListener* listener_ = nullptr;
  std::optional<ReadaheadWindow> window_;

  std::size_t section_ = 0;
  std::size_t block_ = 0;                    // in index_
  std::shared_ptr<const IndexBlock> index_;  // of section_; null: none is open
  std::shared_ptr<const DataBlock> data_;
  DataBlockCursor cursor_;
  Status status_;
};

}  // namespace lsmkv
