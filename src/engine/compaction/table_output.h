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
  /// `max_table_bytes` 0: everything into one table. `write_bytes`: of one write to a table's file.
  TableOutput(EngineContext& context, std::uint64_t max_table_bytes, std::uint64_t write_bytes)
      : context_(context), max_table_bytes_(max_table_bytes), write_bytes_(write_bytes) {}
  ~TableOutput();
  TableOutput(const TableOutput&) = delete;
  TableOutput& operator=(const TableOutput&) = delete;

  /// Keys strictly ascend.
  Status Add(const EntryView& entry);
  /// Writes what is left: the tables are complete and synced, but go with this object unless Keep() follows.
  Status Finish();
  /// The tables, their names safe as well: ready to be named by a manifest.
  Result<std::vector<TableRecord>> Keep();
  std::uint64_t bytes_written() const { return bytes_written_; }

 private:
  Status OpenTable();
  Status CloseTable();

  EngineContext& context_;
  const std::uint64_t max_table_bytes_;
  const std::uint64_t write_bytes_;
  std::uint64_t id_ = 0;                          // of the open table
  std::unique_ptr<WritableFile> file_;            // before the builder: destroyed after it
  std::unique_ptr<TableBuilder> builder_;
  std::vector<std::uint64_t> created_;            // to be removed unless Keep() succeeds
  std::vector<TableRecord> done_;
  std::uint64_t bytes_written_ = 0;
};

}  // namespace lsmkv
