// The data directory that repair makes: tables linked or copied from the old one, tables written anew, manifests at the end.
// Blob files come along with the first table that names them: those of the old directory are linked or copied under their
// numbers, those that new tables made are there already, and what no table names in the end is removed.
//
// All of it grows under another name (NEWDIR.tmp) and is renamed when it is complete and synced: a repair that was cut short
// leaves no directory that a server would take for one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/compaction/table_output.h"
#include "engine/internal_iterator.h"
#include "engine/manifest/manifest.h"
#include "engine/version/engine_context.h"
#include "engine/version/version.h"

namespace lsmkv::tool {

class NewDirectory {
 public:
  /// `options.dir` is where it is to be in the end; it must not exist. `old_dir`: where what is taken comes from. `last_id`: ids
  /// of tables and blob files up to it are the old directory's.
  NewDirectory(Options options, std::string old_dir, std::uint64_t last_id, bool copy);

  Status Create();
  /// The old directory's table as it is.
  Status Take(std::uint32_t level, const TableRecord& record);
  /// Tables that were written into this directory (NewTables).
  Status Add(std::uint32_t level, std::vector<TableRecord> tables);
  /// The manifests, everything synced, and the final name.
  Status Finish();
  /// Removes what is there so far.
  void Abandon();

  /// The smallest level >= 1 whose limits allow this much.
  std::uint32_t LevelFor(std::uint64_t bytes) const;
  /// To read a table at `path`, of either directory, for its entries: pointers lead nowhere.
  TablePtr TableAt(const TableRecord& record, const std::string& path) const;
  EngineContext& context() { return context_; }
  std::uint64_t tables_taken() const { return tables_taken_; }
  std::uint64_t tables_written() const { return tables_written_; }
  std::uint64_t blobs_taken() const { return blobs_taken_.size(); }

 private:
  Status TakeFile(const std::string& file);
  Status TakeBlobs(const TableRecord& record);
  Status CopyFile(const std::string& from, const std::string& to);
  Status RemoveUnnamedBlobs();

  const std::string final_dir_;
  const std::string old_dir_;
  const std::uint64_t last_id_;
  const bool copy_;
  EngineContext context_;                                    // of the directory under its other name
  std::map<std::uint32_t, std::vector<TableRecord>> levels_;
  std::set<std::uint64_t> blobs_taken_;
  std::uint64_t tables_taken_ = 0;
  std::uint64_t tables_written_ = 0;
};

/// A sorted stream of entries into new tables of one level of a new directory.
class NewTables {
 public:
  /// `sources`: names the blob files that entries may point to already.
  NewTables(NewDirectory& directory, std::uint32_t level, VersionPtr sources = nullptr)
      : directory_(directory), level_(level), sources_(std::move(sources)),
        output_(directory.context(), {.max_table_bytes = level == 0 ? 0 : directory.context().options.max_sstable_bytes}, {sources_.get(), {}}) {}

  Status Add(const EntryView& entry) { return output_.Add(entry); }
  /// The tables belong to the directory now.
  Status Finish();
  /// The same, for tables that are not to stay: nothing knows of them but the caller.
  Result<std::vector<TableRecord>> FinishAside();

 private:
  NewDirectory& directory_;
  const std::uint32_t level_;
  const VersionPtr sources_;          // before the output, which looks into it
  TableOutput output_;
};

}  // namespace lsmkv::tool
