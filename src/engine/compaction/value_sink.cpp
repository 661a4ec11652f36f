#include "engine/compaction/value_sink.h"

#include <algorithm>

#include "base/hash.h"
#include "base/log.h"

namespace lsmkv {
namespace {

/// A blob file is cut at this size: large enough that there are few of them, small enough to be emptied in one go.
std::uint64_t MaxBlobFileBytes(const Options& options) {
  constexpr std::uint64_t kMost = 256ull << 20;
  constexpr std::uint64_t kTables = 4;
  return options.max_sstable_bytes == 0 ? kMost : std::min(kMost, kTables * options.max_sstable_bytes);
}

/// A bad sector does not mend itself, and rewriting its tables for nothing every few seconds would be worse than its garbage.
constexpr std::chrono::minutes kUntilReadAgain{10};

}  // namespace

ValueSink::~ValueSink() {
  writer_.reset();
  file_.reset();
  for (const std::uint64_t id : created_) {
    IgnoreError(context_.fs.RemoveFile(context_.BlobPath(id)), "recovery removes blob files nobody names");
  }
}

Result<EntryView> ValueSink::Place(const EntryView& entry) {
  if (entry.kind == EntryKind::kBlob) {
    if (moves_.files.empty()) return entry;
    const std::optional<BlobPointer> pointer = DecodeBlobPointer(entry.value);
    if (!pointer) return Status::Corruption("malformed pointer to a blob");
    return moves_.files.contains(pointer->blob) ? Move(entry, *pointer) : entry;
  }
  if (entry.kind == EntryKind::kTombstone || !IsLarge(entry.value.size())) return entry;
  return Store(entry);
}

Result<EntryView> ValueSink::Store(const EntryView& entry) {
  if (Status status = OpenFile(); !status.ok()) return status;
  return PointTo(entry, writer_->Add(Hash(entry.key), entry.value), entry.value.substr(0, kValueHeadBytes));
}

Result<EntryView> ValueSink::Move(const EntryView& entry, const BlobPointer& from) {
  const BlobFile& file = *moves_.version->blobs().at(from.blob).file;
  if (file.unreadable()) return entry;
  const std::uint64_t hash = Hash(entry.key);
  Result<BlobRecord> record = file.ReadRecord(from, hash);
  if (record && IsLarge(from.value_bytes)) {
    if (Status status = OpenFile(); !status.ok()) return status;
    bytes_moved_ += from.record_bytes();
    return PointTo(entry, writer_->AddStored(hash, record->stored, record->compression, from.value_bytes), from.head);
  }
  Result<std::shared_ptr<const BlobValue>> value = record ? BlobValue::Make(std::move(*record)) : record.error();
  if (!value) {
    const bool may_pass = value.error().code() != StatusCode::kCorruption;
    LogError("compaction", "{} cannot be emptied{}, its values stay where they are: {}", file.path(), may_pass ? " for now" : "", value.error().message());
    may_pass ? file.MarkUnreadFor(kUntilReadAgain) : file.MarkUnreadable();
    return entry;
  }
  bytes_moved_ += from.record_bytes();
  value_ = std::move(*value);
  EntryView placed = entry;
  placed.kind = entry.expire_at_ms != 0 ? EntryKind::kExpiringValue : EntryKind::kValue;
  placed.value = value_->value();
  return placed;
}

Result<EntryView> ValueSink::PointTo(const EntryView& entry, Result<BlobPointer> to, std::string_view head) {
  if (!to) return to.error().WithContext(context_.BlobPath(writer_->id()));
  to->head = head;
  std::string encoded;               // `head` may lie in pointer_
  PutBlobPointer(&encoded, *to);
  pointer_ = std::move(encoded);
  EntryView placed = entry;
  placed.expire_at_ms = ExpiryOf(entry);
  placed.kind = EntryKind::kBlob;
  placed.value = pointer_;
  return placed;
}

Status ValueSink::OpenFile() {
  if (writer_ != nullptr && writer_->file_bytes() >= MaxBlobFileBytes(context_.options)) {
    if (Status status = CloseFile(); !status.ok()) return status;
  }
  if (writer_ != nullptr) return {};
  const std::uint64_t id = context_.TakeTableId();
  Result<std::unique_ptr<WritableFile>> file = context_.fs.NewWritableFile(context_.BlobPath(id));
  if (!file) return file.error();
  created_.push_back(id);
  file_ = std::move(*file);
  writer_ = std::make_unique<BlobWriter>(*file_, id, context_.options.compression);
  return {};
}

Status ValueSink::CloseFile() {
  if (Status status = writer_->Finish(); !status.ok()) return status.WithContext(context_.BlobPath(writer_->id()));
  if (Status status = file_->Sync(); !status.ok()) return status;
  written_[writer_->id()] = file_->size();
  bytes_written_ += file_->size();
  writer_.reset();
  const Status closed = file_->Close();
  file_.reset();
  return closed;
}

Status ValueSink::Finish() { return writer_ == nullptr ? Status() : CloseFile(); }

Result<std::uint64_t> ValueSink::FileBytes(std::uint64_t id) const {
  if (const auto written = written_.find(id); written != written_.end()) return written->second;
  if (moves_.version != nullptr) {
    const auto named = moves_.version->blobs().find(id);
    if (named != moves_.version->blobs().end()) return named->second.file->file_bytes();
  }
  return Status::Corruption(context_.BlobPath(id) + ": a pointer leads here, but no manifest names it");
}

}  // namespace lsmkv
