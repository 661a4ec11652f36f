// A data directory as an offline tool finds it: locked against a server, and its manifests as far as they can be read.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/wal/wal_replay.h"
#include "engine/manifest/version_edit.h"
#include "fs/file_system.h"
#include "tool/command_line.h"

namespace lsmkv::tool {

/// The directory's lock, as a server takes it. Errors: kNotFound: no data directory; kBusy names who holds it.
Result<std::unique_ptr<FileLock>> LockDataDirectory(FileSystem& fs, const std::string& dir);

struct ReadManifests {
  Manifests whole;                                ///< as they stand in the files
  std::map<std::uint32_t, Status> damaged;        ///< by level: why it cannot be read; the message names the file
  std::vector<std::uint32_t> missing;             ///< a .prev says that there was one
  std::vector<std::string> unfinished;            ///< files of writes that were cut off
  /// What counts, a commit that was cut off being finished; empty when manifests contradict each other.
  Manifests live;
  Status contradiction;                           ///< not ok: how they do

  /// Every level that there is, or was, is in `live`.
  bool complete() const { return damaged.empty() && missing.empty() && contradiction.ok(); }
};
/// Errors: of listing the directory. A manifest that cannot be read is no error here.
Result<ReadManifests> ReadAllManifests(FileSystem& fs, const std::string& dir);

/// From which segment the log counts, as L0's manifest says; and how to read it as a start would, but without changing anything.
/// Without all manifests nobody knows where the log should begin, and its beginning is believed.
std::uint64_t WalFloor(const ReadManifests& manifests);
ReplayOptions LookingReplay(const ReadManifests& manifests);

/// Names in DIR/`folder`; none when there is no such folder.
Result<std::vector<std::string>> NamesIn(FileSystem& fs, const std::string& folder);

/// The tables in DIR/sst, by id, with their size in bytes.
Result<std::map<std::uint64_t, std::uint64_t>> TablesOnDisk(FileSystem& fs, const std::string& dir);
/// The blob files in DIR/blob, likewise.
Result<std::map<std::uint64_t, std::uint64_t>> BlobsOnDisk(FileSystem& fs, const std::string& dir);

/// `path` without trailing slashes.
std::string CleanPath(std::string path);

}  // namespace lsmkv::tool
