#include "tool/data_directory.h"

#include <algorithm>

#include "engine/manifest/manifest_store.h"

namespace lsmkv::tool {
namespace {

constexpr std::string_view kPreviousSuffix = ".prev";
constexpr std::string_view kUnfinishedSuffix = ".tmp";

/// "manifest_l1.json.prev", ".prev" -> 1.
std::optional<std::uint32_t> LevelOf(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  return ParseManifestFileName(name.substr(0, name.size() - suffix.size()));
}

Result<LevelManifest> ReadManifest(FileSystem& fs, const std::string& path, std::uint32_t level) {
  const Result<std::string> text = fs.ReadWholeFile(path);
  if (!text) return text.error();
  Result<LevelManifest> manifest = DecodeManifest(*text, path);
  if (manifest && manifest->level != level)
    return Status::Corruption(path + ": is the manifest of level " + std::to_string(manifest->level));
  return manifest;
}

/// The numbered files of a folder, with their size in bytes.
Result<std::map<std::uint64_t, std::uint64_t>> FilesIn(FileSystem& fs, const std::string& folder,
                                                       std::optional<std::uint64_t> (*parse)(std::string_view name)) {
  const Result<std::vector<std::string>> names = NamesIn(fs, folder);
  if (!names) return names.error();
  std::map<std::uint64_t, std::uint64_t> files;
  for (const std::string& name : *names) {
    const std::optional<std::uint64_t> id = parse(name);
    if (!id) continue;
    const Result<std::uint64_t> bytes = fs.FileSize(folder + "/" + name);
    if (!bytes) return bytes.error();
    files[*id] = *bytes;
  }
  return files;
}

}  // namespace

std::string CleanPath(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

Result<std::unique_ptr<FileLock>> LockDataDirectory(FileSystem& fs, const std::string& dir) {
  const Result<std::vector<std::string>> names = fs.ListDirectory(dir);
  if (!names) return names.error();
  const bool is_one = std::ranges::any_of(*names, [](const std::string& name) {
    return name == "sst" || name == "wal" || ParseManifestFileName(name).has_value();
  });
  if (!is_one) return Status::NotFound(dir + ": no data directory: it has no manifest, no sst and no wal");
  Result<std::unique_ptr<FileLock>> lock = fs.Lock(dir + "/LOCK");
  if (!lock && lock.error().code() == StatusCode::kBusy)
    return Status::Busy(lock.error().message() + "; stop the server first, or work on a checkpoint (SAVE)");
  return lock;
}

Result<ReadManifests> ReadAllManifests(FileSystem& fs, const std::string& dir) {
  const Result<std::vector<std::string>> names = fs.ListDirectory(dir);
  if (!names) return names.error();
  ReadManifests read;
  std::vector<std::uint32_t> previous;
  for (const std::string& name : *names) {
    if (const auto level = LevelOf(name, kPreviousSuffix)) previous.push_back(*level);
    if (LevelOf(name, kUnfinishedSuffix)) read.unfinished.push_back(name);
    const std::optional<std::uint32_t> level = ParseManifestFileName(name);
    if (!level) continue;
    Result<LevelManifest> manifest = ReadManifest(fs, dir + "/" + name, *level);
    if (manifest) {
      read.whole[*level] = std::move(*manifest);
    } else {
      read.damaged[*level] = manifest.error();
    }
  }
  for (const std::uint32_t level : previous)
    if (!read.whole.contains(level) && !read.damaged.contains(level)) read.missing.push_back(level);
  Result<Resolution> resolution = Resolve(read.whole, 0);
  if (resolution) {
    read.live = std::move(resolution->live);
  } else {
    read.contradiction = resolution.error();
  }
  return read;
}

std::uint64_t WalFloor(const ReadManifests& manifests) {
  const auto l0 = manifests.whole.find(0);
  return l0 == manifests.whole.end() ? 0 : l0->second.wal_floor.value_or(0);
}

ReplayOptions LookingReplay(const ReadManifests& manifests) {
  ReplayOptions options;
  options.read_only = true;
  const auto l0 = manifests.whole.find(0);
  const bool flushed = l0 != manifests.whole.end() && l0->second.flushed_sequence.has_value();
  options.flushed_sequence_known = flushed || manifests.complete();
  if (options.flushed_sequence_known) options.flushed_sequence = FlushedSequence(manifests.complete() ? manifests.live : manifests.whole);
  return options;
}

Result<std::vector<std::string>> NamesIn(FileSystem& fs, const std::string& folder) {
  Result<std::vector<std::string>> names = fs.ListDirectory(folder);
  if (!names && names.error().code() == StatusCode::kNotFound) return std::vector<std::string>();
  return names;
}

Result<std::map<std::uint64_t, std::uint64_t>> TablesOnDisk(FileSystem& fs, const std::string& dir) {
  return FilesIn(fs, dir + "/sst", &ParseTableFileName);
}

Result<std::map<std::uint64_t, std::uint64_t>> BlobsOnDisk(FileSystem& fs, const std::string& dir) {
  return FilesIn(fs, dir + "/blob", &ParseBlobFileName);
}

}  // namespace lsmkv::tool
