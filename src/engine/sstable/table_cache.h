// Table cache: which tables are open. Start-up opens none; a table is opened by the first read that needs it and closed
// again when more than `max_open_tables` are open and it has not been used lately.
//
// A version's file metadata holds a TableHandle per table. A read pins the handle's table, uses it, and lets go:
//
//            Pin: first use                  last pin gone, over the limit, not used lately
//   closed ------------------> open  ------------------------------------------------------> closed
//            (Open)                          (TryClose)
//
// A pin on an open table takes no lock and shares no cache line with other threads. The reader adds one to a count of its
// own (one of kPinSlots lines) and then loads the table's pointer; who closes sets the pointer to null and then looks at
// all counts. With both sides sequentially consistent one of them sees the other: either the reader finds null and takes
// its one back, or the closer finds the count and puts the pointer back. A closer that found no count is alone with the
// table.
//
// Which one to close: CLOCK over the open tables; a pin on an open table sets its bit, if it is not set already, so that a
// table read once goes before one that is read again.
//
// Invariants
//   1. A table is opened by one thread at a time; others that may wait do so, others are told kWouldBlock.
//   2. At most `max_open_tables` are open, unless more than that were pinned when the last one was opened.
//   3. No file is opened, read or closed under the mutex.
//
// Threads  all methods from any thread; destroying a handle is the end of its use, with no pin left.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "engine/sstable/block_cache.h"
#include "engine/sstable/table.h"
#include "fs/file_system.h"

namespace lsmkv {

class TableHandle;

/// Keeps a table open; empty after a move. The handle outlives it.
class TablePin {
 public:
  TablePin() = default;
  TablePin(TablePin&& other) noexcept : table_(std::exchange(other.table_, nullptr)), count_(other.count_) {}
  TablePin& operator=(TablePin&& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~TablePin() {
    if (table_ != nullptr) count_->fetch_sub(1, std::memory_order_release);  // pairs with InUse: reads are done
  }
  const Table* operator->() const { return table_; }
  const Table& operator*() const { return *table_; }
  explicit operator bool() const { return table_ != nullptr; }

 private:
  friend class TableHandle;
  TablePin(const Table* table, std::atomic<std::uint64_t>* count) : table_(table), count_(count) {}

  const Table* table_ = nullptr;
  std::atomic<std::uint64_t>* count_ = nullptr;
};

class TableCache {
 public:
  /// All three outlive the cache; `max_open_tables` is 1 or more.
  TableCache(FileSystem& file_system, BlockCache& block_cache, std::size_t max_open_tables);
  ~TableCache();  ///< every handle is gone
  TableCache(const TableCache&) = delete;
  TableCache& operator=(const TableCache&) = delete;

  std::size_t open_count() const;
  /// Memory of the open tables, their blocks in the cache left out.
  std::uint64_t open_bytes() const;
  /// 1 or more. Surplus tables are closed when the next one is opened.
  void SetMaxOpen(std::size_t max_open_tables) { max_open_tables_.store(max_open_tables, std::memory_order_relaxed); }
  BlockCache& block_cache() { return block_cache_; }
  FilterCounters::Totals filter_totals() const { return counters_.totals(); }

 private:
  friend class TableHandle;

  Result<std::unique_ptr<Table>> OpenFile(const TableHandle& handle);
  // A handle's members are guarded by its cache's mutex_. Clang cannot see that this cache is the one, so within these it
  // does not look; their callers it checks.
  void AddOpen(TableHandle* handle) LSMKV_REQUIRES(mutex_) LSMKV_NO_THREAD_SAFETY_ANALYSIS;
  void RemoveOpen(TableHandle* handle) LSMKV_REQUIRES(mutex_) LSMKV_NO_THREAD_SAFETY_ANALYSIS;
  /// Closes tables until the limit holds or none can be closed; they are given to the caller, to be destroyed without the
  /// mutex.
  std::vector<std::unique_ptr<Table>> CloseSurplus() LSMKV_REQUIRES(mutex_) LSMKV_NO_THREAD_SAFETY_ANALYSIS;

  FileSystem& file_system_;
  BlockCache& block_cache_;
  std::atomic<std::size_t> max_open_tables_;  // relaxed: a bound
  FilterCounters counters_;
  mutable Mutex mutex_;  // a leaf
  std::vector<TableHandle*> open_ LSMKV_GUARDED_BY(mutex_);
  std::size_t hand_ LSMKV_GUARDED_BY(mutex_) = 0;  // into open_
  std::uint64_t open_bytes_ LSMKV_GUARDED_BY(mutex_) = 0;
};

class TableHandle {
 public:
  /// Opens nothing. `file_bytes` is the size the manifest states; a file of another size is kCorruption when it is opened.
  TableHandle(TableCache& cache, std::uint64_t number, std::string path, std::uint64_t file_bytes);
  /// Closes the table. Its blocks stay in the block cache: BlockCache::EraseTable is for tables whose file is deleted.
  ~TableHandle();
  TableHandle(const TableHandle&) = delete;
  TableHandle& operator=(const TableHandle&) = delete;

  /// The open table; opens it when need be. Errors: kWouldBlock if `memory_only` and it is not open; those of Table::Open;
  /// kCorruption, also for a file that is missing: the manifest names it.
  Result<TablePin> Pin(bool memory_only);
  /// Pins the table for as long as the iterator lives. May open it.
  Result<std::unique_ptr<InternalIterator>> NewIterator(const IteratorOptions& options);

  std::uint64_t number() const { return number_; }
  const std::string& path() const { return path_; }
  std::uint64_t file_bytes() const { return file_bytes_; }

 private:
  friend class TableCache;
  static constexpr std::size_t kPinSlots = 8;
  struct alignas(64) PinSlot {
    std::atomic<std::uint64_t> count{0};
  };

  TablePin TryPin();
  Result<TablePin> OpenAndPin();
  bool InUse() const;
  /// Under the cache's mutex: the table, closed to everyone, or null when it is pinned.
  std::unique_ptr<Table> TryClose() LSMKV_REQUIRES(cache_.mutex_);

  TableCache& cache_;
  const std::uint64_t number_;
  const std::string path_;
  const std::uint64_t file_bytes_;
  std::atomic<const Table*> table_{nullptr};  // what readers may use; seq_cst, see the essay
  std::atomic<bool> used_{false};             // relaxed: CLOCK's bit
  std::array<PinSlot, kPinSlots> pins_;
  CondVar opened_;
  std::unique_ptr<Table> owned_ LSMKV_GUARDED_BY(cache_.mutex_);
  bool opening_ LSMKV_GUARDED_BY(cache_.mutex_) = false;
  std::size_t open_index_ LSMKV_GUARDED_BY(cache_.mutex_) = 0;  // in cache_.open_, while owned_ is set
};

}  // namespace lsmkv
