#include "engine/bundle/bundle_writer.h"

#include "base/assert.h"

namespace lsmkv {

BundleWriter::BundleWriter(FileSystem& fs, Clock& clock, std::string dir, std::string key_prefix, const BundleOptions& options)
    : fs_(fs), clock_(clock), dir_(std::move(dir)), options_(options) {
  bundle_.key_prefix = std::move(key_prefix);
}

BundleWriter::~BundleWriter() { builder_.reset(); }

Status BundleWriter::Add(std::string_view key, std::string_view value, std::uint64_t expire_at_ms) {
  LSMKV_ASSERT(key.starts_with(bundle_.key_prefix) && key.size() <= kMaxKeyBytes && value.size() <= kMaxValueBytes);
  if (builder_ != nullptr && builder_->file_bytes() >= options_.max_table_bytes && status_.ok()) status_ = CloseTable();
  if (builder_ == nullptr && status_.ok()) status_ = OpenTable();
  if (!status_.ok()) return status_;
  const EntryKind kind = expire_at_ms == 0 ? EntryKind::kValue : EntryKind::kExpiringValue;
  return status_ = builder_->Add({key, value, 0, expire_at_ms, kind});
}

Status BundleWriter::OpenTable() {
  const std::string path = dir_ + "/" + BundleTableFile(bundle_.tables.size() + 1);
  Result<std::unique_ptr<WritableFile>> file = fs_.NewWritableFile(path);
  if (!file) return file.error();
  file_ = std::move(*file);
  builder_ = std::make_unique<TableBuilder>(*file_, options_.table);
  return {};
}

Status BundleWriter::CloseTable() {
  if (Status status = builder_->Finish(); !status.ok()) return status;
  if (Status status = file_->Sync(); !status.ok()) return status;
  const TableProperties& made = builder_->properties();
  bundle_.tables.push_back({BundleTableFile(bundle_.tables.size() + 1), made.entries, made.expiring, file_->size(),
                            made.smallest_key, made.largest_key});
  bundle_.entries += made.entries;
  builder_.reset();
  Status closed = file_->Close();
  file_.reset();
  return closed;
}

Result<BundleDescription> BundleWriter::Finish() {
  if (builder_ != nullptr && status_.ok()) status_ = CloseTable();
  if (status_.ok() && bundle_.tables.empty()) return Status::InvalidArgument("a bundle has at least one entry");
  bundle_.made_at_ms = clock_.WallMillis();
  if (status_.ok()) status_ = WriteDescription();
  if (!status_.ok()) return status_;
  return bundle_;
}

Status BundleWriter::WriteDescription() {
  if (Status status = fs_.SyncDirectory(dir_); !status.ok()) return status;
  const std::string path = dir_ + "/" + std::string(kBundleFileName);
  const std::string unfinished = path + ".tmp";
  Result<std::unique_ptr<WritableFile>> file = fs_.NewWritableFile(unfinished);
  if (!file) return file.error();
  if (Status status = (*file)->Append(EncodeBundle(bundle_)); !status.ok()) return status;
  if (Status status = (*file)->Sync(); !status.ok()) return status;
  if (Status status = (*file)->Close(); !status.ok()) return status;
  if (Status status = fs_.Rename(unfinished, path); !status.ok()) return status;
  return fs_.SyncDirectory(dir_);
}

}  // namespace lsmkv
