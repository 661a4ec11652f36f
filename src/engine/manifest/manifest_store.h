// The manifests on disk: written so that each is always whole, and committed as version_edit.h plans it.
//
//   one write := DIR/manifest_l1.json.tmp written ─► synced ─► the present one linked as .json.prev ─► renamed over it
//                ─► DIR synced.   manifest_l1.json exists at every moment once it was first written, and so does a .prev
//                beside it, from the first write on: one that is missing is missed, and its tables are not taken for leftovers.
//
//   idle ──Commit(): all steps done──► idle
//   unfinished ──Withdraw(): no rename has been tried──► idle
//   idle ──Commit(): a step failed───► unfinished ──Resume(): the rest done──► idle
//                                          └──Resume(): a step failed──► unfinished
//
// A commit that is unfinished may or may not have passed its commit point; only Resume() or the next recovery tells. So
// its edit must be taken as neither done nor undone: no input may be deleted, no other commit begun.
//
// Threads  one at a time, the compaction scheduler's (recovery: the opening thread). ReadManifestText(): any.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/manifest/version_edit.h"
#include "fs/file_system.h"

namespace lsmkv {

struct RecoveredTree {
  Manifests levels;                                ///< only tables that count
  std::optional<std::uint64_t> wal_floor;          ///< none: no flush yet, every segment counts
  SequenceNumber flushed_sequence = 0;             ///< FlushedSequence(levels)
  std::uint64_t max_table_id = 0;                  ///< no larger id was ever used, for a table or a blob file
  std::vector<std::string> orphans;                ///< table and blob files nobody names, relative to the data directory
};

class ManifestStore {
 public:
  /// @param most_bytes  what a manifest's text may take; less than the default is for tests.
  ManifestStore(FileSystem& fs, std::string dir, Clock& clock, std::uint64_t most_bytes = kMaxManifestBytes)
      : fs_(fs), dir_(std::move(dir)), clock_(clock), most_bytes_(most_bytes) {}

  /// Reads all manifests, checks that their tables and blob files are there and of the right size, and finishes a commit that
  /// was cut off; on a full disk that is left to Resume(): see unfinished(). Changes nothing on disk before everything has been
  /// checked. Call it once, first.
  /// Errors   kCorruption names the file and what can be done; kUnsupported: a newer format.
  Result<RecoveredTree> Recover();

  /// Does all steps of `edit`; the new tables, their blob files and the directories are already synced. Needs !unfinished().
  /// Errors   kInvalidArgument: the edit makes no sense, or what it asks for could not be read again; nothing was done and nothing is
  ///          unfinished. Others: unfinished().
  /// Cost     one small file, two syncs and a rename for each manifest it touches.
  Status Commit(const VersionEdit& edit);
  /// Goes on with the step that failed. Ok when nothing is unfinished.
  Status Resume();
  bool unfinished() const { return !steps_.empty(); }
  /// Gives an unfinished commit up, as if it had never been asked for. False: a manifest may have been replaced already, and only
  /// Resume() ends it.
  bool Withdraw();

  /// As on disk, `replaces` included.
  const Manifests& manifests() const { return on_disk_; }

 private:
  std::string Path(std::uint32_t level) const { return dir_ + "/" + ManifestFileName(level); }
  Result<Manifests> ReadAll();
  Result<LevelManifest> Read(std::uint32_t level);
  Status CheckTables(const Manifests& live);
  Status CheckBlobs(const Manifests& live);
  Status CheckFile(const std::string& file, std::uint64_t wanted_bytes, std::uint32_t level);
  Result<std::vector<std::string>> FindOrphans(const Manifests& live);
  Status Write(const LevelManifest& manifest);
  Status WriteSynced(const std::string& path, const LevelManifest& manifest);

  FileSystem& fs_;
  const std::string dir_;
  Clock& clock_;
  const std::uint64_t most_bytes_;
  Manifests on_disk_;
  std::uint64_t last_id_ = 0;
  std::deque<LevelManifest> steps_;                // of the commit under way, the next one first
  bool may_withdraw_ = false;                      // none of them was renamed, nor tried to be
};

/// The manifest of `level` as it stands on disk; kNotFound when there is none.
Result<std::string> ReadManifestText(FileSystem& fs, const std::string& dir, std::uint32_t level);

}  // namespace lsmkv
