#include "engine/version/blob_file.h"

#include "engine/sstable/format.h"
#include "engine/version/table_file.h"
#include "lsmkv/engine.h"

namespace lsmkv {

BlobFile::BlobFile(std::uint64_t id, std::uint64_t file_bytes, std::string path, std::shared_ptr<TableStore> store,
                   std::shared_ptr<FileJanitor> janitor)
    : id_(id), file_bytes_(file_bytes), path_(std::move(path)), store_(std::move(store)), janitor_(std::move(janitor)) {}

BlobFile::~BlobFile() {
  if (store_ != nullptr) store_->open_blobs.Forget(id_);
  if (janitor_ != nullptr && obsolete_.load(std::memory_order_relaxed)) janitor_->Discard(id_, path_);
}

Result<std::shared_ptr<const BlobValue>> BlobFile::Get(const BlobPointer& pointer, std::uint64_t key_hash, ReadMode mode) const {
  // Also when it is in the cache: it may go from there and stay in a reply.
  if (mode.large_values != nullptr && !mode.large_values->Admit(pointer.value_bytes)) return Status::WouldBlock();
  const BlockKey key{id_, pointer.offset};
  BlockRef cached = store_->block_cache.Lookup(key);
  if (cached == nullptr) {
    if (mode.memory_only) {
      const Result<std::shared_ptr<const BlobValue>> value = LoadWithoutWaiting(pointer, key_hash);
      if (value && mode.fill_cache) store_->block_cache.Insert(key, *value);
      return Checked(value, pointer, key_hash);
    }
    if (!mode.fill_cache) return Checked(Load(pointer, key_hash), pointer, key_hash);
    Result<BlockRef> loaded = store_->block_cache.LoadOnce(key, [&]() -> Result<BlockRef> {
      Result<std::shared_ptr<const BlobValue>> value = Load(pointer, key_hash);
      if (!value) return value.error();
      return BlockRef(std::move(*value));
    });
    if (!loaded) return loaded.error();
    cached = std::move(*loaded);
  }
  if (cached->kind() != BlobValue::kKind) {
    return CorruptionAt(pointer.offset, "block of another kind than expected").WithContext(path_);
  }
  return Checked(std::static_pointer_cast<const BlobValue>(std::move(cached)), pointer, key_hash);
}

/// A cached value was checked when it was read, but by another pointer.
Result<std::shared_ptr<const BlobValue>> BlobFile::Checked(Result<std::shared_ptr<const BlobValue>> value, const BlobPointer& pointer,
                                                           std::uint64_t key_hash) const {
  if (!value) return value;
  if ((*value)->key_hash() != key_hash) return CorruptionAt(pointer.offset, "this is another key's value").WithContext(path_);
  if ((*value)->value().size() == pointer.value_bytes) return value;
  return CorruptionAt(pointer.offset, "value of another size than its pointer says").WithContext(path_);
}

Result<std::shared_ptr<const BlobValue>> BlobFile::Load(const BlobPointer& pointer, std::uint64_t key_hash) const {
  return Unpacked(ReadRecord(pointer, key_hash), pointer);
}

Result<std::shared_ptr<const BlobValue>> BlobFile::LoadWithoutWaiting(const BlobPointer& pointer, std::uint64_t key_hash) const {
  const std::shared_ptr<const BlobReader> reader = store_->open_blobs.FindOpen(id_);
  if (reader == nullptr) return Status::WouldBlock();
  return Unpacked(reader->Read(pointer, key_hash, OnDisk::kRefuse), pointer);
}

Result<std::shared_ptr<const BlobValue>> BlobFile::Unpacked(Result<BlobRecord> record, const BlobPointer& pointer) const {
  if (!record) return record.error();
  Result<std::shared_ptr<const BlobValue>> value = BlobValue::Make(std::move(*record));
  if (!value) return CorruptionAt(pointer.offset, value.error().message()).WithContext(path_);
  return value;
}

void BlobFile::WillRead(const BlobPointer& pointer) const {
  if (store_->block_cache.Peek({id_, pointer.offset}) != nullptr) return;
  const auto reader = store_->open_blobs.Open(id_, path_, file_bytes_);
  if (reader) (*reader)->WillRead(pointer);
}

Result<BlobRecord> BlobFile::ReadRecord(const BlobPointer& pointer, std::uint64_t key_hash) const {
  const auto reader = store_->open_blobs.Open(id_, path_, file_bytes_);
  if (!reader) return reader.error();
  return (*reader)->Read(pointer, key_hash);
}

}  // namespace lsmkv
