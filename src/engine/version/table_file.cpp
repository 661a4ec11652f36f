#include "engine/version/table_file.h"

#include "base/assert.h"

namespace lsmkv {

TableFile::TableFile(TableRecord record, std::string path, std::vector<BlobFilePtr> blobs, std::shared_ptr<TableStore> store,
                     std::shared_ptr<FileJanitor> janitor)
    : record_(std::move(record)),
      path_(std::move(path)),
      blobs_(std::move(blobs)),
      store_(std::move(store)),
      janitor_(std::move(janitor)) {
  LSMKV_ASSERT(blobs_.size() == record_.blobs.size());
  if (store_ != nullptr) handle_.emplace(store_->table_cache, record_.id, path_, record_.size_bytes);
}

TableFile::~TableFile() {
  handle_.reset();
  if (janitor_ != nullptr && obsolete_.load(std::memory_order_relaxed)) janitor_->Discard(record_.id, path_);
}

Result<bool> TableFile::Get(std::string_view key, std::uint64_t hash, ReadMode mode, TableGetResult* result) const {
  const Result<TablePin> table = handle_->Pin(mode.memory_only);
  if (!table) return table.error();
  result->found = false;
  if (Status status = (*table)->Get(key, hash, mode, result); !status.ok()) return status;
  return result->found;
}

bool TableFile::WillRead(std::string_view key, std::uint64_t hash) const {
  const Result<TablePin> table = handle_->Pin(true);
  return !table || (*table)->WillRead(key, hash);
}

TablePin TableFile::PinOpen() const {
  Result<TablePin> table = handle_->Pin(true);
  return table ? std::move(*table) : TablePin();
}

Result<std::optional<std::string>> TableFile::SampleKey(std::uint64_t random, std::string_view lower, std::string_view upper) const {
  const Result<TablePin> table = handle_->Pin(false);
  if (!table) return table.error();
  return (*table)->SampleKey(random, lower, upper);
}

Result<TableProperties> TableFile::ReadProperties() const {
  const Result<TablePin> table = handle_->Pin(false);
  if (!table) return table.error();
  return (*table)->ReadProperties();
}

Result<std::vector<Table::Section>> TableFile::Sections() const {
  const Result<TablePin> table = handle_->Pin(false);
  if (!table) return table.error();
  return (*table)->Sections();
}

}  // namespace lsmkv
