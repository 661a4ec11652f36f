// Many tables of unknown levels into one sorted run, by the sequence numbers of their entries. Pointers to blobs are passed on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/version/table_file.h"
#include "tool/new_directory.h"

namespace lsmkv::tool {

class RunMerger {
 public:
  explicit RunMerger(NewDirectory& directory) : directory_(directory) {}

  /// A table of the old directory that is whole, and so are the blob files that it names. The range in `record` is the table's.
  void Add(const TableRecord& record, const std::string& path);
  /// What was written into the new directory to be merged; the files go at the end.
  Status AddAside(NewTables& tables);
  /// The run, without deletions: it is everything there is.
  Status Run();

 private:
  NewDirectory& directory_;
  std::vector<TablePtr> tables_;
  std::vector<TableRecord> aside_;
  std::uint64_t bytes_ = 0;
};

/// Pure: as few groups as possible in each of which the tables, in order, do not overlap; so a merge needs one source for each.
std::vector<std::vector<TablePtr>> Chains(std::vector<TablePtr> tables);

}  // namespace lsmkv::tool
