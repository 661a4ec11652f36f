// One SSTable as a version names it: what its manifest says, and the way to its contents. Shared by all versions that name it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/blob/open_blobs.h"
#include "engine/manifest/manifest.h"
#include "engine/memtable/memtable.h"
#include "engine/sstable/table_cache.h"
#include "engine/version/blob_file.h"
#include "engine/version/file_janitor.h"
#include "engine/version/row_cache.h"

namespace lsmkv {

/// The caches of one engine. Tables and blob files keep it: a reader's last table may outlive the engine.
struct TableStore {
  TableStore(FileSystem& fs, std::uint64_t cache_bytes, std::uint32_t row_percent, std::size_t max_open_tables)
      : block_cache(cache_bytes),
        row_cache(cache_bytes / 100 * row_percent),
        table_cache(fs, block_cache, max_open_tables),
        open_blobs(fs, MaxOpenBlobs(max_open_tables)),
        cache_bytes_(cache_bytes) {}
  /// So many blob files may be open beside the tables.
  static std::size_t MaxOpenBlobs(std::size_t max_open_tables) { return max_open_tables / 4 + 1; }

  // Blocks and rows share one budget: rows take what they have grown to, up to their percentage, blocks have the rest.
  void SetCacheBytes(std::uint64_t cache_bytes, std::uint32_t row_percent);
  std::uint64_t cache_bytes() const { return cache_bytes_.load(std::memory_order_relaxed); }
  /// See RowCache::Insert.
  void KeepRow(std::uint64_t ticket, std::string_view key, std::uint64_t hash, std::string_view value, std::uint64_t expire_at_ms) {
    row_cache.Insert(ticket, key, hash, value, expire_at_ms);
    if (row_cache.bytes() > rows_granted_.load(std::memory_order_relaxed)) [[unlikely]] ShareCache();
  }
  /// `flushed` is among the immutable memtables, and is to become a table.
  void RenewRows(const MemTable& flushed);

  BlockCache block_cache;
  RowCache row_cache;
  TableCache table_cache;
  OpenBlobs open_blobs;

 private:
  void ShareCache();

  std::atomic<std::uint64_t> cache_bytes_;             // relaxed, as the next
  std::atomic<std::uint64_t> rows_granted_{0};         // what blocks do without
};

class TableFile {
 public:
  /// `blobs` are the files that record.blobs names, in its order. `store` and `janitor` may be null for a table that is never
  /// read (tests of pure decisions).
  TableFile(TableRecord record, std::string path, std::vector<BlobFilePtr> blobs, std::shared_ptr<TableStore> store,
            std::shared_ptr<FileJanitor> janitor);
  /// Tells the janitor when the table is obsolete.
  ~TableFile();
  TableFile(const TableFile&) = delete;
  TableFile& operator=(const TableFile&) = delete;

  std::uint64_t id() const { return record_.id; }
  const TableRecord& record() const { return record_; }
  const std::string& path() const { return path_; }
  /// The files of record().blobs, kept as long as the table.
  const std::vector<BlobFilePtr>& blobs() const { return blobs_; }
  /// What is kept of the table while it is closed.
  std::uint64_t memory_bytes() const {
    return sizeof(TableFile) + kControlBlockBytes + 2 * path_.capacity() + record_.file.capacity() + record_.smallest_key.capacity() +
           record_.largest_key.capacity() + record_.blobs.size() * (sizeof(BlobRef) + sizeof(BlobFilePtr));
  }
  bool MayHold(std::string_view key) const { return key >= record_.smallest_key && key <= record_.largest_key; }

  /// True when the table has an entry for `key`; see Table::Get.
  Result<bool> Get(std::string_view key, std::uint64_t hash, ReadMode mode, TableGetResult* result) const;
  /// See Table::WillRead. A table that is not open, and that `may_open` does not allow to be opened, is left so.
  AskedFor WillRead(std::string_view key, std::uint64_t hash, ReadMode mode, bool may_open) const;
  /// The table if it is open; else an empty pin.
  TablePin PinOpen() const;
  Result<std::optional<std::string>> SampleKey(std::uint64_t random, std::string_view lower, std::string_view upper) const;
  /// May open the table; see Table::Sections.
  Result<std::vector<Table::Section>> Sections() const;
  /// From the file at each call; see Table::ReadProperties.
  Result<TableProperties> ReadProperties() const;
  /// May open the table. The iterator must not outlive this.
  Result<std::unique_ptr<InternalIterator>> NewIterator(const IteratorOptions& options) const { return handle_->NewIterator(options); }

  /// No manifest names it any more: its file goes with the last holder.
  void MarkObsolete() const { obsolete_.store(true, std::memory_order_relaxed); }

 private:
  static constexpr std::uint64_t kControlBlockBytes = 64;   // of the shared_ptr, and its places in the version

  const TableRecord record_;
  const std::string path_;
  const std::vector<BlobFilePtr> blobs_;
  const std::shared_ptr<TableStore> store_;        // before handle_: destroyed after it
  const std::shared_ptr<FileJanitor> janitor_;
  mutable std::optional<TableHandle> handle_;      // its methods are thread-safe; absent without a store
  mutable std::atomic<bool> obsolete_{false};      // relaxed: the last shared_ptr's release orders it
};
using TablePtr = std::shared_ptr<const TableFile>;

}  // namespace lsmkv
