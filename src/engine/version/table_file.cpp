#include "engine/version/table_file.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/assert.h"
#include "base/hash.h"
#include "base/prefetch.h"

namespace lsmkv {

void TableStore::SetCacheBytes(std::uint64_t cache_bytes, std::uint32_t row_percent) {
  cache_bytes_.store(cache_bytes, std::memory_order_relaxed);
  row_cache.SetCapacity(cache_bytes / 100 * row_percent);
  ShareCache();
}

void TableStore::RenewRows(const MemTable& flushed) {
  struct Key {
    std::uint64_t hash;
    const MemTableNode* node;
  };
  constexpr std::size_t kTogether = 16;      // wait for main memory together
  std::array<Key, kTogether> keys;
  std::size_t count = 0;
  // Also while there are no rows: somebody may be about to give the cache room, and somebody else to insert what is old by now.
  const std::uint64_t ticket = row_cache.BeginFlush(flushed.largest_sequence());
  const auto renew = [&] {
    for (Key& key : std::span(keys).first(count)) {
      key.hash = Hash(key.node->key());
      row_cache.PrefetchSlots(key.hash);
    }
    for (const Key& key : std::span(keys).first(count)) row_cache.PrefetchRow(key.hash);
    for (const Key& key : std::span(keys).first(count)) {
      const EntryView entry = key.node->View();
      if (entry.kind == EntryKind::kTombstone || entry.value.size() > RowCache::kMaxRowBytes) {
        row_cache.Forget(key.hash);
      } else {
        row_cache.Renew(ticket, entry.key, key.hash, entry.value, ExpiryOf(entry));
      }
    }
    count = 0;
  };
  flushed.VisitNewest([&](const MemTableNode& node) {
    Prefetch(&node);
    Prefetch(reinterpret_cast<const char*>(&node) + kCacheLineBytes);
    keys[count++] = {0, &node};
    if (count == kTogether) renew();
  });
  renew();
  ShareCache();
}

void TableStore::ShareCache() {
  constexpr std::uint64_t kSteps = 128;      // so that blocks make way a little at a time
  const std::uint64_t step = cache_bytes() / kSteps + 1;
  const std::uint64_t grant = std::min((row_cache.bytes() / step + 1) * step, std::max(row_cache.capacity_bytes(), row_cache.bytes()));
  rows_granted_.store(grant, std::memory_order_relaxed);
  // Read again: another thread may have been later and yet come first.
  // An eighth in any case: what the row cache's arrays took before the whole became much smaller they never give back, and without an index
  // in memory every read would be one of the disk.
  constexpr std::uint64_t kLeastPart = 8;
  const std::uint64_t rows = rows_granted_.load(std::memory_order_relaxed);
  block_cache.SetCapacity(std::max(cache_bytes() / kLeastPart, cache_bytes() - std::min(cache_bytes(), rows)));
}

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

AskedFor TableFile::WillRead(std::string_view key, std::uint64_t hash, ReadMode mode, bool may_open) const {
  const Result<TablePin> table = handle_->Pin(!may_open);
  return table ? (*table)->WillRead(key, hash, mode) : AskedFor::kIndex;
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
