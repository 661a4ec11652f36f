#pragma once

#include <memory>
#include <vector>

#include "engine/compaction/value_sink.h"
#include "engine/manifest/manifest.h"
#include "engine/sstable/table_builder.h"
#include "engine/version/engine_context.h"
#include "lsmkv/status.h"

namespace lsmkv {

/// A sorted stream of entries into one or more new SSTables, with their large values beside them in blob files. The files of a
/// run that is not finished are removed again unless they are kept.
/// Threads  one at a time; any number of outputs side by side.
class TableOutput {
 public:
  struct Form {
    std::uint64_t max_table_bytes = 0;           ///< 0: everything into one table
    bool last_level = false;                     ///< nothing lies below
    std::uint64_t write_bytes = 512u << 10;      ///< of one write to a table's file
  };
  TableOutput(EngineContext& context, Form form, BlobMoves moves = {})
      : context_(context), form_(form), values_(context, std::move(moves)) {}
  ~TableOutput();
  TableOutput(const TableOutput&) = delete;
  TableOutput& operator=(const TableOutput&) = delete;

  /// Keys strictly ascend.
  Status Add(const EntryView& entry);
  /// Writes what is left: the tables and their blob files are complete and synced, but go with this object unless Keep() follows.
  Status Finish();
  /// The tables, their names and those of their blob files safe as well: ready to be named by a manifest.
  Result<std::vector<TableRecord>> Keep();
  std::uint64_t bytes_written() const { return bytes_written_ + values_.bytes_written(); }   ///< of closed files
  std::uint64_t bytes_so_far() const {
    return bytes_written_ + (builder_ != nullptr ? builder_->file_bytes() : 0) + values_.bytes_so_far();
  }
  std::uint64_t blob_bytes_moved() const { return values_.bytes_moved(); }

 private:
  Status FillInBlobBytes();
  Status OpenTable();
  Status CloseTable();

  EngineContext& context_;
  const Form form_;
  std::uint64_t id_ = 0;                          // of the open table
  std::unique_ptr<WritableFile> file_;            // before the builder: destroyed after it
  std::unique_ptr<TableBuilder> builder_;
  std::vector<std::uint64_t> created_;            // to be removed unless Keep() succeeds
  std::vector<TableRecord> done_;
  std::uint64_t bytes_written_ = 0;               // of tables
  ValueSink values_;
};

}  // namespace lsmkv
