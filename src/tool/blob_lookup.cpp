#include "tool/blob_lookup.h"

#include "base/hash.h"
#include "engine/manifest/manifest.h"
#include "engine/sstable/format.h"
#include "tool/blob_walk.h"

namespace lsmkv::tool {
namespace {

/// Worded without the file.
Result<std::shared_ptr<const BlobValue>> ReadValue(const RandomAccessFile& file, const BlobPointer& pointer, std::uint64_t key_hash) {
  if (pointer.stored_bytes > kMaxBlockBytes) return CorruptionAt(pointer.offset, "a record of impossible size");
  Result<BlobRecord> record = ReadBlobRecord(file, pointer.blob, pointer.offset, pointer.record_bytes());
  if (!record) return record.error();
  if (record->key_hash != key_hash) return CorruptionAt(pointer.offset, "this is another key's value");
  Result<std::shared_ptr<const BlobValue>> value = BlobValue::Make(std::move(*record));
  if (!value) return CorruptionAt(pointer.offset, value.error().message());
  if ((*value)->value().size() != pointer.value_bytes) return CorruptionAt(pointer.offset, "value of another size than its pointer says");
  if (!(*value)->value().starts_with(pointer.head)) return CorruptionAt(pointer.offset, "value that begins otherwise than its pointer says");
  return value;
}

}  // namespace

Result<std::shared_ptr<const BlobValue>> BlobLookup::Read(const EntryView& entry) {
  const std::optional<BlobPointer> pointer = DecodeBlobPointer(entry.value);
  if (!pointer) return Status::Corruption("malformed pointer to a blob");
  const Result<const RandomAccessFile*> file = Open(pointer->blob);
  if (!file) return file.error();
  Result<std::shared_ptr<const BlobValue>> value = ReadValue(**file, *pointer, Hash(entry.key));
  if (!value) return value.error().WithContext(BlobRecordFile(pointer->blob));
  return value;
}

Result<const RandomAccessFile*> BlobLookup::Open(std::uint64_t id) {
  if (const auto found = open_.find(id); found != open_.end()) return found->second.get();
  if (open_.size() >= kMostOpen) open_.clear();
  Result<std::unique_ptr<RandomAccessFile>> file = fs_.NewRandomAccessFile(dir_ + "/" + BlobRecordFile(id));
  if (!file && file.error().code() == StatusCode::kNotFound) return Status::Corruption(BlobRecordFile(id) + ": is missing");
  if (!file) return file.error();
  return (open_[id] = std::move(*file)).get();
}

}  // namespace lsmkv::tool
