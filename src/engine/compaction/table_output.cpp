#include "engine/compaction/table_output.h"

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"

namespace lsmkv {
namespace {

TableRecord RecordOf(std::uint64_t id, const TableProperties& properties, std::uint64_t file_bytes, std::uint64_t now_ms) {
  TableRecord record;
  record.id = id;
  record.file = TableRecordFile(id);
  record.entries = properties.entries;
  record.tombstones = properties.tombstones;
  record.size_bytes = file_bytes;
  record.smallest_key = properties.smallest_key;
  record.largest_key = properties.largest_key;
  record.smallest_seq = properties.smallest_sequence;
  record.largest_seq = properties.largest_sequence;
  record.created_at_ms = now_ms;
  record.expiring = properties.expiring;
  record.expires_first_ms = properties.expires_first_ms;
  record.expires_last_ms = properties.expires_last_ms;
  for (const auto& [blob, share] : properties.blobs) record.blobs.push_back({blob, share.entries, share.bytes, 0});
  return record;
}

}  // namespace

TableOutput::~TableOutput() {
  builder_.reset();
  file_.reset();
  for (const std::uint64_t id : created_)
    IgnoreError(context_.fs.RemoveFile(context_.TablePath(id)), "recovery removes tables nobody names");
}

Status TableOutput::Add(const EntryView& entry) {
  if (builder_ != nullptr && form_.max_table_bytes != 0 && builder_->file_bytes() >= form_.max_table_bytes) {
    if (Status status = CloseTable(); !status.ok()) return status;
  }
  if (builder_ == nullptr) {
    if (Status status = OpenTable(); !status.ok()) return status;
  }
  const Result<EntryView> placed = values_.Place(entry);
  if (!placed) return placed.error();
  return builder_->Add(*placed);
}

Status TableOutput::OpenTable() {
  id_ = context_.TakeTableId();
  Result<std::unique_ptr<WritableFile>> file = context_.fs.NewWritableFile(context_.TablePath(id_));
  if (!file) return file.error();
  created_.push_back(id_);
  file_ = std::move(*file);
  TableOptions options;
  options.block_bytes = context_.options.block_bytes;
  options.compression = context_.options.compression;
  const bool filtered = !(form_.last_level && context_.options.optimize_for_hits);
  options.bloom_bits_per_key = filtered ? context_.options.bloom_bits_per_key : 0;
  options.write_bytes = form_.write_bytes;
  builder_ = std::make_unique<TableBuilder>(*file_, options);
  return {};
}

Status TableOutput::CloseTable() {
  if (Status status = builder_->Finish(); !status.ok()) return status.WithContext(context_.TablePath(id_));
  if (Status status = file_->Sync(); !status.ok()) return status;
  const std::uint64_t bytes = file_->size();
  done_.push_back(RecordOf(id_, builder_->properties(), bytes, context_.clock.WallMillis()));
  bytes_written_ += bytes;
  builder_.reset();
  const Status closed = file_->Close();
  file_.reset();
  return closed;
}

Status TableOutput::Finish() {
  if (builder_ != nullptr) {
    if (Status status = CloseTable(); !status.ok()) return status;
  }
  if (Status status = values_.Finish(); !status.ok()) return status;
  return FillInBlobBytes();
}

Result<std::vector<TableRecord>> TableOutput::Keep() {
  LSMKV_ASSERT(builder_ == nullptr);
  if (Status status = values_.SyncNames(); !status.ok()) return status;
  if (Status status = context_.fs.SyncDirectory(context_.sst_dir); !status.ok()) return status;
  values_.Keep();
  created_.clear();
  return std::move(done_);
}

/// A blob file's size is known when it is finished, and several tables may refer to it.
Status TableOutput::FillInBlobBytes() {
  for (TableRecord& record : done_) {
    for (BlobRef& blob : record.blobs) {
      const Result<std::uint64_t> bytes = values_.FileBytes(blob.id);
      if (!bytes) return bytes.error();
      blob.file_bytes = *bytes;
    }
  }
  return {};
}

}  // namespace lsmkv
