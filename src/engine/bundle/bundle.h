// Reads a bundle (bundle_description.h) as one sorted stream. Nothing in it is believed: whoever made the files is not this
// engine, and they may change while they are read. What cannot be taken in ends the stream with a Status:
//
//   a block whose checksum is wrong, a malformed entry         as in every table
//   keys that do not ascend, or lie outside the range that the description gives their table, or lack the prefix
//   an entry larger than the engine takes; more or fewer entries than the description says
//
// The range matters most: an ingest is put where its ranges fit (ingest_plan.h), before its entries have been seen.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/bundle/bundle_description.h"
#include "engine/internal_iterator.h"
#include "engine/iterators/concatenating_iterator.h"
#include "engine/sstable/block_cache.h"
#include "engine/sstable/table.h"
#include "fs/file_system.h"

namespace lsmkv {

/// Threads  const methods from any thread; iterators belong to one thread at a time.
class Bundle {
 public:
  /// Reads the description and compares it with each table's size and properties. Errors: kNotFound: no bundle there;
  /// kCorruption, kUnsupported, kIoError: they name the file.
  static Result<std::shared_ptr<const Bundle>> Open(FileSystem& fs, const std::string& dir);

  const BundleDescription& description() const { return description_; }
  Result<std::unique_ptr<Table>> OpenTable(std::size_t index) const;

 private:
  Bundle(FileSystem& fs, std::string dir, BundleDescription description)
      : fs_(fs), dir_(std::move(dir)), description_(std::move(description)), cache_(std::make_unique<BlockCache>(0)) {}
  Status CheckTable(std::size_t index) const;

  FileSystem& fs_;
  const std::string dir_;
  const BundleDescription description_;
  const std::unique_ptr<BlockCache> cache_;       // a table wants one; each block is read once, so it keeps nothing
};

/// A bundle as an engine takes it in: another prefix, and one sequence number for all.
class IncomingRun {
 public:
  IncomingRun(std::shared_ptr<const Bundle> bundle, std::string new_prefix, SequenceNumber sequence);
  IncomingRun(const IncomingRun&) = delete;
  IncomingRun& operator=(const IncomingRun&) = delete;

  SequenceNumber sequence() const { return sequence_; }
  std::uint64_t entries() const { return bundle_->description().entries; }
  std::uint64_t size_bytes() const { return bundle_->description().size_bytes(); }
  std::uint64_t table_bytes(std::size_t index) const { return bundle_->description().tables[index].size_bytes; }
  /// Of each table, with the new prefix; ascending and disjoint. They live as long as this.
  const std::vector<TableRange>& ranges() const { return *ranges_; }
  /// Of the whole.
  std::string_view smallest_key() const { return ranges().front().smallest; }
  std::string_view largest_key() const { return ranges().back().largest; }

  /// Each iterator opens one table at a time, when it gets there. It must not outlive this.
  std::unique_ptr<InternalIterator> NewIterator(std::uint64_t readahead_bytes = 512u << 10) const;

 private:
  friend class IncomingTableIterator;
  std::string WithNewPrefix(std::string_view key) const;

  const std::shared_ptr<const Bundle> bundle_;
  const std::string new_prefix_;
  const SequenceNumber sequence_;
  std::vector<std::string> keys_;                 // what ranges_ points into
  std::shared_ptr<std::vector<TableRange>> ranges_;
};

}  // namespace lsmkv
