#include "engine/manifest/manifest_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/assert.h"
#include "base/log.h"

namespace lsmkv {
namespace {

constexpr std::string_view kUnfinishedSuffix = ".tmp";
constexpr std::string_view kPreviousSuffix = ".prev";
[[maybe_unused]] constexpr std::uint64_t kCheckedBytes = 16 << 20;   // to look at more would take memory that a release does not
constexpr const char* kComfort = "a comfort for people; not every file system has links";

std::string With(const std::string& path, std::string_view suffix) { return path + std::string(suffix); }

/// The level whose manifest `name` is, once `suffix` is taken off.
std::optional<std::uint32_t> LevelOf(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  return ParseManifestFileName(name);
}

std::uint64_t LargestId(const TableRecord& table) {
  return table.blobs.empty() ? table.id : std::max(table.id, table.blobs.back().id);
}

/// The largest id that the manifests have heard of.
std::uint64_t LargestId(const Manifests& manifests) {
  std::uint64_t largest = 0;
  for (const auto& [level, manifest] : manifests) {
    largest = std::max(largest, manifest.last_id);
    for (const TableRecord& table : manifest.sstables) {
      largest = std::max(largest, LargestId(table));
      for (const TableRef& ref : table.replaces) largest = std::max(largest, ref.second);
    }
  }
  return largest;
}

}  // namespace

// ---- recovery

Result<RecoveredTree> ManifestStore::Recover() {
  Result<Manifests> found = ReadAll();
  if (!found) return found.error();
  Result<Resolution> resolution = Resolve(*found, clock_.WallMillis());
  if (!resolution) return resolution.error().WithContext(dir_);
  if (Status checked = CheckTables(resolution->live); !checked.ok()) return checked;
  if (Status checked = CheckBlobs(resolution->live); !checked.ok()) return checked;
  Result<std::vector<std::string>> orphans = FindOrphans(resolution->live);
  if (!orphans) return orphans.error();

  last_id_ = std::max(last_id_, LargestId(*found));
  on_disk_ = std::move(*found);
  for (const LevelManifest& manifest : resolution->to_write) {
    LogInfo("manifest", "L{}: finishing a commit that was cut off: {} tables stay", manifest.level, manifest.sstables.size());
    steps_.push_back(manifest);
  }
  if (Status finished = Resume(); !finished.ok()) {
    // What is left to do changes nothing that is live. A full disk must not keep anybody from reading it.
    if (finished.code() != StatusCode::kNoSpace) return finished;
    LogWarning("manifest", "{}; it will be finished when there is room", finished.message());
  }
  // A process that was killed may have renamed and not synced; from here on that rename is taken for granted.
  if (Status synced = fs_.SyncDirectory(dir_); !synced.ok()) return synced;

  RecoveredTree tree;
  tree.levels = std::move(resolution->live);
  if (const auto l0 = tree.levels.find(0); l0 != tree.levels.end()) tree.wal_floor = l0->second.wal_floor;
  tree.flushed_sequence = FlushedSequence(tree.levels);
  tree.max_table_id = last_id_;
  tree.orphans = std::move(*orphans);
  return tree;
}

Result<Manifests> ManifestStore::ReadAll() {
  const Result<std::vector<std::string>> names = fs_.ListDirectory(dir_);
  if (!names) return names.error();
  Manifests manifests;
  std::set<std::uint32_t> previous;
  for (const std::string& name : *names) {
    if (const auto level = LevelOf(name, kPreviousSuffix)) previous.insert(*level);
    if (LevelOf(name, kUnfinishedSuffix)) {
      IgnoreError(fs_.RemoveFile(dir_ + "/" + name), "a write that was cut off; the next one begins by emptying it");
    }
    const std::optional<std::uint32_t> level = ParseManifestFileName(name);
    if (!level) continue;
    Result<LevelManifest> manifest = Read(*level);
    if (!manifest) return manifest.error();
    manifests[*level] = std::move(*manifest);
  }
  for (const std::uint32_t level : previous) {
    if (manifests.contains(level)) continue;
    return Status::Corruption(fmt::format("{} is missing, and {} beside it says that there was one. Put back a good copy",
                                          Path(level), With(ManifestFileName(level), kPreviousSuffix)));
  }
  return manifests;
}

Result<LevelManifest> ManifestStore::Read(std::uint32_t level) {
  const std::string path = Path(level);
  const Result<std::uint64_t> bytes = fs_.FileSize(path);
  if (!bytes) return bytes.error();
  if (*bytes > most_bytes_) return Status::Corruption(path + ": is too large for a manifest");
  const Result<std::string> text = fs_.ReadWholeFile(path);
  if (!text) return text.error();
  Result<LevelManifest> manifest = DecodeManifest(*text, path);
  if (manifest && manifest->level != level) {
    return Status::Corruption(fmt::format("{}: is the manifest of level {}: put each file under its own name", path,
                                          manifest->level));
  }
  return manifest;
}

Status ManifestStore::CheckTables(const Manifests& live) {
  for (const auto& [level, manifest] : live) {
    for (const TableRecord& table : manifest.sstables) {
      if (Status checked = CheckFile(table.file, table.size_bytes, level); !checked.ok()) return checked;
    }
  }
  return Status::Ok();
}

Status ManifestStore::CheckBlobs(const Manifests& live) {
  std::unordered_map<std::uint64_t, std::uint64_t> checked_bytes;   // many tables refer to one file
  for (const auto& [level, manifest] : live) {
    for (const TableRecord& table : manifest.sstables) {
      for (const BlobRef& blob : table.blobs) {
        const auto [known, is_new] = checked_bytes.try_emplace(blob.id, blob.file_bytes);
        if (!is_new && known->second == blob.file_bytes) continue;
        if (Status checked = CheckFile(BlobRecordFile(blob.id), blob.file_bytes, level); !checked.ok()) return checked;
      }
    }
  }
  return Status::Ok();
}

Status ManifestStore::CheckFile(const std::string& file, std::uint64_t wanted_bytes, std::uint32_t level) {
  const std::string path = dir_ + "/" + file;
  const Result<std::uint64_t> bytes = fs_.FileSize(path);
  if (!bytes && bytes.error().code() == StatusCode::kNotFound) {
    return Status::Corruption(fmt::format("{} is missing; {} names it. Put it back from a copy of the directory", path,
                                          ManifestFileName(level)));
  }
  if (!bytes) return bytes.error();
  if (*bytes == wanted_bytes) return Status::Ok();
  return Status::Corruption(fmt::format("{} has {} bytes; {} says {}. Put it back from a copy of the directory", path, *bytes,
                                        ManifestFileName(level), wanted_bytes));
}

Result<std::vector<std::string>> ManifestStore::FindOrphans(const Manifests& live) {
  std::unordered_set<std::uint64_t> named;   // tables and blob files share their numbers
  for (const auto& [level, manifest] : live) {
    for (const TableRecord& table : manifest.sstables) {
      named.insert(table.id);
      for (const BlobRef& blob : table.blobs) named.insert(blob.id);
    }
  }
  std::vector<std::string> orphans;
  for (const auto& [folder, parse] : {std::pair{"sst/", &ParseTableFileName}, std::pair{"blob/", &ParseBlobFileName}}) {
    const Result<std::vector<std::string>> names = fs_.ListDirectory(dir_ + "/" + folder);
    if (!names && names.error().code() == StatusCode::kNotFound) continue;
    if (!names) return names.error();
    for (const std::string& name : *names) {
      const std::optional<std::uint64_t> id = parse(name);
      if (!id) continue;
      last_id_ = std::max(last_id_, *id);
      if (!named.contains(*id)) orphans.push_back(folder + name);
    }
  }
  return orphans;
}

// ---- commit

Status ManifestStore::Commit(const VersionEdit& edit) {
  LSMKV_ASSERT(!unfinished());
  std::uint64_t last_id = last_id_;
  for (const TableRecord& table : edit.added) last_id = std::max(last_id, LargestId(table));
  Result<std::vector<LevelManifest>> plan = PlanCommit(on_disk_, edit, last_id, clock_.WallMillis());
  if (!plan) return plan.error();
  for (const LevelManifest& manifest : *plan) {
    const std::uint64_t bytes = ManifestBytes(manifest, most_bytes_);
    if (bytes <= most_bytes_) continue;
    return Status::InvalidArgument(fmt::format("{} would have {} bytes, more than the {} that a start reads: the first and last keys of its {} tables "
                                               "are too large. Larger tables (max-sstable-size-mb) have fewer of them",
                                               Path(manifest.level), bytes, most_bytes_, manifest.sstables.size()));
  }
  last_id_ = last_id;
  steps_.assign(std::make_move_iterator(plan->begin()), std::make_move_iterator(plan->end()));
  may_withdraw_ = true;
  return Resume();
}

bool ManifestStore::Withdraw() {
  if (!may_withdraw_) return false;
  IgnoreError(fs_.RemoveFile(With(Path(steps_.front().level), kUnfinishedSuffix)), "the next write begins by emptying it");
  steps_.clear();
  return true;
}

Status ManifestStore::Resume() {
  while (!steps_.empty()) {
    if (Status written = Write(steps_.front()); !written.ok()) return written.WithContext("writing a manifest");
    const std::uint32_t level = steps_.front().level;
    on_disk_[level] = std::move(steps_.front());
    steps_.pop_front();
  }
  return Status::Ok();
}

Status ManifestStore::Write(const LevelManifest& manifest) {
  const std::string path = Path(manifest.level);
  LSMKV_INVARIANT(ManifestBytes(manifest, kCheckedBytes) > kCheckedBytes || DecodeManifest(EncodeManifest(manifest), path).value() == manifest);
  const std::string unfinished = With(path, kUnfinishedSuffix);
  if (Status written = WriteSynced(unfinished, manifest); !written.ok()) return written;
  const std::string previous = With(path, kPreviousSuffix);
  const bool first = !fs_.Exists(path);
  if (!first) {
    IgnoreError(fs_.RemoveFile(previous), "there may be none");
    IgnoreError(fs_.Link(path, previous), kComfort);
  }
  may_withdraw_ = false;
  if (Status renamed = fs_.Rename(unfinished, path); !renamed.ok()) return renamed;
  if (Status synced = fs_.SyncDirectory(dir_); !synced.ok()) return synced;
  // Also beside the first one, and not before that is safe: a manifest that gets lost is missed by it.
  if (first) IgnoreError(fs_.Link(path, previous), kComfort);
  return Status::Ok();
}

Status ManifestStore::WriteSynced(const std::string& path, const LevelManifest& manifest) {
  Result<std::unique_ptr<WritableFile>> file = fs_.NewWritableFile(path);
  if (!file) return file.error();
  const auto append = [&file](std::string_view piece) { return (*file)->Append(piece); };
  if (Status appended = EncodeManifest(manifest, append); !appended.ok()) return appended;
  if (Status synced = (*file)->Sync(); !synced.ok()) return synced;
  return (*file)->Close();
}

Result<std::string> ReadManifestText(FileSystem& fs, const std::string& dir, std::uint32_t level) {
  return fs.ReadWholeFile(dir + "/" + ManifestFileName(level));
}

}  // namespace lsmkv
