// What check looks at in blob files.
//
//   each file that a live table names   is there, has the size that the manifests say, and every byte of it is right
//   each pointer in a live table        leads to a whole record that belongs to its key, with a value of the size it says
//   each table's list of blob files     in its manifest agrees with the pointers among its entries
//
// Values that somebody points to are read twice, once in their file's order and once by their pointers: so nothing has to be
// remembered of each.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "engine/blob/blob_reader.h"
#include "engine/sstable/table_properties.h"
#include "tool/blob_lookup.h"
#include "tool/data_directory.h"
#include "tool/report.h"

namespace lsmkv::tool {

class BlobChecker {
 public:
  /// `dir` without a trailing slash. The others outlive it.
  BlobChecker(FileSystem& fs, const std::string& dir, Report& report) : fs_(fs), dir_(dir), report_(report), lookup_(fs, dir) {}

  /// The files, each once; comes before the pointers. Errors: what kept it from looking; so below.
  Status CheckFiles(const ReadManifests& manifests);
  /// The value of a kBlob entry of a live table; null when it is not to be had, which has been reported then.
  Result<std::shared_ptr<const BlobValue>> CheckPointer(const std::string& table, const EntryView& entry);
  /// What a whole table's entries point to, against its manifest.
  void Compare(std::uint32_t level, const TableRecord& record, const std::map<std::uint64_t, BlobShare>& seen);
  /// Into the report.
  void AddFigures() const;

 private:
  class Damages;
  Status CheckFile(std::uint64_t id, const std::set<std::uint64_t>& stated_bytes);

  FileSystem& fs_;
  const std::string dir_;
  Report& report_;
  BlobLookup lookup_;
  std::set<std::uint64_t> missing_;
  std::uint64_t files_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t stored_bytes_ = 0;         // of the files without their headers and footers
  std::uint64_t live_bytes_ = 0;           // of records that entries point to
};

}  // namespace lsmkv::tool
