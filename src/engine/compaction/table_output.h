#pragma once

#include <memory>
#include <vector>

#include "engine/manifest/manifest.h"
#include "engine/sstable/table_builder.h"
#include "engine/version/engine_context.h"
#include "lsmkv/status.h"

namespace lsmkv {

/// A sorted stream of entries into one or more new SSTables. Tables of a run that is not finished are removed again unless they are kept.
/// Threads  one at a time; any number of outputs side by side.
class TableOutput {
 public:
  struct Form {
    std::uint64_t max_table_bytes = 0;           ///< 0: everything into one table
    bool last_level = false;                     ///< nothing lies below
    std::uint64_t write_bytes = 512u << 10;      ///< of one write to a table's file
  };
  TableOutput(EngineContext& context, Form form) : context_(context), form_(form) {}
  ~TableOutput();
  TableOutput(const TableOutput&) = delete;
  TableOutput& operator=(const TableOutput&) = delete;

  /// Keys strictly ascend.
  Status Add(const EntryView& entry);
  /// Writes what is left: the tables are complete and synced, but go with this object unless Keep() follows.
  Status Finish();
  /// The tables, their names safe as well: ready to be named by a manifest.
  Result<std::vector<TableRecord>> Keep();
  std::uint64_t bytes_written() const { return bytes_written_; }                          ///< of closed tables
  std::uint64_t bytes_so_far() const { return bytes_written_ + (builder_ != nullptr ? builder_->file_bytes() : 0); }

 private:
  Status OpenTable();
  Status CloseTable();

  EngineContext& context_;
  const Form form_;
  std::uint64_t id_ = 0;                          // of the open table
  std::unique_ptr<WritableFile> file_;            // before the builder: destroyed after it
  std::unique_ptr<TableBuilder> builder_;
  std::vector<std::uint64_t> created_;            // to be removed unless Keep() succeeds
  std::vector<TableRecord> done_;
  std::uint64_t bytes_written_ = 0;
};

}  // namespace lsmkv
