// The tables of a damaged directory, and their values in its blob files: what of them is whole, and saving that.
//
// A blob file is taken along as it is only when every byte of it is right. Of one that is damaged each value is looked at by
// itself: the tables that point to it are written anew, with copies of the values that are whole.
//
// A key whose value is lost is known exactly, and so are the older versions of it that would show again. So a deletion takes the
// place of the value: who reads the key finds nothing rather than something outdated.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "engine/manifest/manifest.h"
#include "engine/sstable/table_properties.h"
#include "tool/blob_lookup.h"
#include "tool/new_directory.h"
#include "tool/repair_databases.h"
#include "tool/report.h"

namespace lsmkv::tool {

/// The blob files of the old directory.
class OldBlobs {
 public:
  OldBlobs(FileSystem& fs, const std::string& dir, Report& report) : fs_(fs), dir_(dir), report_(report), lookup_(fs, dir) {}

  /// The size of the file when it can be taken along as it is; else nullopt, and the report says why. Looked at once.
  Result<std::optional<std::uint64_t>> WholeFile(std::uint64_t id);
  /// See BlobLookup::Read.
  Result<std::shared_ptr<const BlobValue>> Read(const EntryView& entry) { return lookup_.Read(entry); }

 private:
  FileSystem& fs_;
  const std::string dir_;
  Report& report_;
  BlobLookup lookup_;
  std::map<std::uint64_t, std::optional<std::uint64_t>> whole_;
};

struct OldTable {
  std::uint32_t level = 0;
  TableRecord record;              ///< of its manifest, or made up; its range and blob files are those of the whole entries
  bool whole = false;              ///< and all its values are, in blob files that are: it can stay as it is
  bool as_described = true;        ///< by its manifest
};

class OldTables {
 public:
  OldTables(FileSystem& fs, const std::string& dir, Report& report, DatabaseCensus& census)
      : fs_(fs), dir_(dir), report_(report), census_(census), blobs_(fs, dir, report) {}

  /// Looks at all of it and reports what is lost. nullopt: there is nothing to be saved. `has_manifest`: else only its id, name
  /// and size are known. Errors: what kept it from looking.
  Result<std::optional<OldTable>> Inspect(std::uint32_t level, const TableRecord& record, bool has_manifest);
  /// The whole entries of a table that is not whole. Errors: likewise; the new files'.
  Status Save(const OldTable& table, NewTables* into);
  /// What Save's entries may point to.
  static Result<VersionPtr> SourcesOf(const NewDirectory& directory, const OldTable& table);

  std::uint64_t tables_lost() const { return tables_lost_; }
  std::uint64_t values_lost() const { return values_lost_; }

 private:
  class Inspector;
  class Saver;
  Result<std::vector<BlobRef>> WholeRefs(const std::map<std::uint64_t, BlobShare>& shares);

  FileSystem& fs_;
  const std::string dir_;
  Report& report_;
  DatabaseCensus& census_;
  OldBlobs blobs_;
  std::uint64_t tables_lost_ = 0;
  std::uint64_t values_lost_ = 0;
};

}  // namespace lsmkv::tool
