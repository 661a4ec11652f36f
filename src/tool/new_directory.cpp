#include "tool/new_directory.h"

#include <algorithm>

#include "engine/manifest/manifest_store.h"
#include "engine/version/level_limits.h"

namespace lsmkv::tool {
namespace {

Options InUnfinished(Options options) {
  options.dir += ".tmp";
  return options;
}

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

}  // namespace

NewDirectory::NewDirectory(Options options, std::string old_dir, std::uint64_t last_id, bool copy)
    : final_dir_(options.dir), old_dir_(std::move(old_dir)), last_id_(last_id), copy_(copy), context_(InUnfinished(std::move(options))) {
  context_.next_table_id.store(last_id + 1);
}

Status NewDirectory::Create() {
  FileSystem& fs = context_.fs;
  if (fs.Exists(final_dir_)) return Status::InvalidArgument(final_dir_ + ": is there already; repair never writes over anything");
  Abandon();
  for (const std::string& folder : {context_.sst_dir, context_.blob_dir, context_.wal_dir})
    if (Status status = fs.CreateDirectories(folder); !status.ok()) return status;
  return {};
}

void NewDirectory::Abandon() {
  FileSystem& fs = context_.fs;
  const std::string& dir = context_.options.dir;
  for (const std::string& folder : {context_.sst_dir, context_.blob_dir, context_.wal_dir, dir}) {
    const Result<std::vector<std::string>> names = fs.ListDirectory(folder);
    if (!names) continue;
    for (const std::string& name : *names) IgnoreError(fs.RemoveFile(folder + "/" + name), "a leftover, or a folder whose turn has come");
    IgnoreError(fs.RemoveDirectory(folder), "a leftover");
  }
}

/// `file` is relative to both directories.
Status NewDirectory::TakeFile(const std::string& file) {
  const std::string from = old_dir_ + "/" + file;
  const std::string to = context_.options.dir + "/" + file;
  if (!copy_ && context_.fs.Link(from, to).ok()) return {};
  return CopyFile(from, to);                                 // also for another file system, or one without links
}

Status NewDirectory::TakeBlobs(const TableRecord& record) {
  for (const BlobRef& blob : record.blobs) {
    if (blob.id > last_id_ || !blobs_taken_.insert(blob.id).second) continue;
    if (Status status = TakeFile(BlobRecordFile(blob.id)); !status.ok()) return status;
  }
  return {};
}

Status NewDirectory::Take(std::uint32_t level, const TableRecord& record) {
  if (Status status = TakeFile(record.file); !status.ok()) return status;
  if (Status status = TakeBlobs(record); !status.ok()) return status;
  TableRecord taken = record;
  taken.replaces.clear();
  levels_[level].push_back(std::move(taken));
  ++tables_taken_;
  return {};
}

Status NewDirectory::CopyFile(const std::string& from, const std::string& to) {
  constexpr std::uint64_t kPieceBytes = 1u << 20;
  Result<std::unique_ptr<RandomAccessFile>> source = context_.fs.NewRandomAccessFile(from);
  if (!source) return source.error();
  Result<std::unique_ptr<WritableFile>> copy = context_.fs.NewWritableFile(to);
  if (!copy) return copy.error();
  std::string piece;
  for (std::uint64_t at = 0; at < (*source)->size(); at += piece.size()) {
    piece.resize(static_cast<std::size_t>(std::min(kPieceBytes, (*source)->size() - at)));
    if (Status status = (*source)->Read(at, piece.size(), piece.data()); !status.ok()) return status;
    if (Status status = (*copy)->Append(piece); !status.ok()) return status;
  }
  if (Status status = (*copy)->Sync(); !status.ok()) return status;
  return (*copy)->Close();
}

Status NewDirectory::Add(std::uint32_t level, std::vector<TableRecord> tables) {
  for (const TableRecord& table : tables)
    if (Status status = TakeBlobs(table); !status.ok()) return status;
  tables_written_ += tables.size();
  std::vector<TableRecord>& records = levels_[level];
  records.insert(records.end(), std::make_move_iterator(tables.begin()), std::make_move_iterator(tables.end()));
  return {};
}

TablePtr NewDirectory::TableAt(const TableRecord& record, const std::string& path) const {
  std::vector<BlobFilePtr> blobs;
  for (const BlobRef& blob : record.blobs) blobs.push_back(std::make_shared<const BlobFile>(blob.id, blob.file_bytes, std::string(), nullptr, nullptr));
  return std::make_shared<const TableFile>(record, path, std::move(blobs), context_.tables, nullptr);
}

Status NewTables::Finish() {
  Result<std::vector<TableRecord>> tables = FinishAside();
  if (!tables) return tables.error();
  return directory_.Add(level_, std::move(*tables));
}

Result<std::vector<TableRecord>> NewTables::FinishAside() {
  if (Status status = output_.Finish(); !status.ok()) return status;
  return output_.Keep();
}

std::uint32_t NewDirectory::LevelFor(std::uint64_t bytes) const {
  std::uint32_t n = 1;
  for (; n + 1 < kMaxLevels; ++n) {
    const Limit limit = LimitsOfLevel(context_.options, n).bytes;
    if (limit.hard == 0 || bytes <= limit.hard) break;
  }
  return n;
}

/// Left by tables that were merged into others.
Status NewDirectory::RemoveUnnamedBlobs() {
  std::set<std::string> named;
  for (const auto& [level, records] : levels_)
    for (const TableRecord& record : records)
      for (const BlobRef& blob : record.blobs) named.insert(BlobRecordFile(blob.id));
  const Result<std::vector<std::string>> names = context_.fs.ListDirectory(context_.blob_dir);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (named.contains("blob/" + name)) continue;
    if (Status status = context_.fs.RemoveFile(context_.blob_dir + "/" + name); !status.ok()) return status;
  }
  return {};
}

Status NewDirectory::Finish() {
  FileSystem& fs = context_.fs;
  const std::string& dir = context_.options.dir;
  if (Status status = RemoveUnnamedBlobs(); !status.ok()) return status;
  for (const std::string& folder : {context_.sst_dir, context_.blob_dir})
    if (Status status = fs.SyncDirectory(folder); !status.ok()) return status;
  ManifestStore manifests(fs, dir, context_.clock);
  if (const Result<RecoveredTree> empty = manifests.Recover(); !empty && levels_.empty()) return empty.error();
  for (auto& [level, records] : levels_) {
    if (records.empty()) continue;
    VersionEdit edit;
    edit.target_level = level;
    edit.added = records;
    if (Status status = manifests.Commit(edit); !status.ok()) return status;
  }
  if (Status status = fs.SyncDirectory(dir); !status.ok()) return status;
  if (Status status = fs.Rename(dir, final_dir_); !status.ok()) return status;
  return fs.SyncDirectory(ParentOf(final_dir_));
}

}  // namespace lsmkv::tool
