#include "engine/sstable/table_cache.h"

#include <utility>

#include "base/assert.h"
#include "base/simulated_thread.h"

namespace lsmkv {

TableCache::TableCache(FileSystem& file_system, BlockCache& block_cache, std::size_t max_open_tables)
    : file_system_(file_system), block_cache_(block_cache), max_open_tables_(max_open_tables) {
  LSMKV_ASSERT(max_open_tables > 0);
}

TableCache::~TableCache() {
  const MutexLock lock(mutex_);
  LSMKV_ASSERT(open_.empty());
}

std::size_t TableCache::open_count() const {
  const MutexLock lock(mutex_);
  return open_.size();
}

std::uint64_t TableCache::open_bytes() const {
  const MutexLock lock(mutex_);
  return open_bytes_;
}

Result<std::unique_ptr<Table>> TableCache::OpenFile(const TableHandle& handle) {
  auto file = file_system_.NewRandomAccessFile(handle.path());
  if (!file) {
    if (file.error().code() != StatusCode::kNotFound) return file.error();
    return Status::Corruption(handle.path() + ": the table is missing");
  }
  if ((*file)->size() != handle.file_bytes()) {
    return Status::Corruption(handle.path() + ": offset " + std::to_string((*file)->size()) +
                              ": the file ends here, but should have " + std::to_string(handle.file_bytes()) + " bytes");
  }
  return Table::Open(std::move(*file), {handle.path(), handle.number(), &block_cache_, &counters_});
}

void TableCache::AddOpen(TableHandle* handle) {
  handle->open_index_ = open_.size();
  open_.push_back(handle);
  open_bytes_ += handle->owned_->memory_bytes();
}

void TableCache::RemoveOpen(TableHandle* handle) {
  const std::size_t index = handle->open_index_;
  LSMKV_ASSERT(open_[index] == handle);
  open_bytes_ -= handle->owned_->memory_bytes();
  open_[index] = open_.back();
  open_[index]->open_index_ = index;
  open_.pop_back();
}

std::vector<std::unique_ptr<Table>> TableCache::CloseSurplus() {
  std::vector<std::unique_ptr<Table>> closed;
  // Two rounds: the first takes the bits, the second finds what is not pinned.
  const std::size_t most = max_open_tables_.load(std::memory_order_relaxed);
  for (std::size_t steps = 2 * open_.size(); steps > 0 && open_.size() > most; --steps) {
    if (hand_ >= open_.size()) hand_ = 0;
    TableHandle* const handle = open_[hand_];
    if (handle->used_.exchange(false, std::memory_order_relaxed)) {
      ++hand_;
      continue;
    }
    if (std::unique_ptr<Table> table = handle->TryClose()) closed.push_back(std::move(table));
    ++hand_;  // also past the newest table, which Close has put here
  }
  return closed;
}

TableHandle::TableHandle(TableCache& cache, std::uint64_t number, std::string path, std::uint64_t file_bytes)
    : cache_(cache), number_(number), path_(std::move(path)), file_bytes_(file_bytes) {}

TableHandle::~TableHandle() {
  std::unique_ptr<Table> closed;
  const MutexLock lock(cache_.mutex_);
  LSMKV_ASSERT(!opening_ && !InUse());
  if (owned_ != nullptr) closed = TryClose();
}

TablePin TableHandle::TryPin() {
  std::atomic<std::uint64_t>& count = pins_[ThreadSlot(kPinSlots)].count;
  count.fetch_add(1, std::memory_order_seq_cst);  // with the load below: pairs with TryClose
  SwitchPoint();
  const Table* const table = table_.load(std::memory_order_seq_cst);
  if (table == nullptr) {
    count.fetch_sub(1, std::memory_order_release);
    return {};
  }
  if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
  return {table, &count};
}

bool TableHandle::InUse() const {
  for (const PinSlot& slot : pins_) {
    if (slot.count.load(std::memory_order_seq_cst) != 0) return true;
  }
  return false;
}

std::unique_ptr<Table> TableHandle::TryClose() {
  table_.store(nullptr, std::memory_order_seq_cst);
  SwitchPoint();
  if (InUse()) {
    table_.store(owned_.get(), std::memory_order_seq_cst);
    return nullptr;
  }
  cache_.RemoveOpen(this);
  return std::move(owned_);
}

Result<TablePin> TableHandle::Pin(bool memory_only) {
  if (TablePin pin = TryPin()) return pin;
  if (memory_only) return Status::WouldBlock();
  return OpenAndPin();
}

Result<TablePin> TableHandle::OpenAndPin() {
  {
    const MutexLock lock(cache_.mutex_);
    while (opening_) opened_.Wait(cache_.mutex_);
    // Under the mutex nobody closes: an open table is pinned for certain.
    if (owned_ != nullptr) return TryPin();
    opening_ = true;
  }
  Result<std::unique_ptr<Table>> table = cache_.OpenFile(*this);
  std::vector<std::unique_ptr<Table>> closed;  // destroyed after the mutex
  const MutexLock lock(cache_.mutex_);
  opening_ = false;
  opened_.NotifyAll();
  if (!table) return table.error();
  owned_ = std::move(*table);
  cache_.AddOpen(this);
  table_.store(owned_.get(), std::memory_order_seq_cst);
  TablePin pin = TryPin();
  used_.store(false, std::memory_order_relaxed);  // one use alone does not make it worth keeping
  closed = cache_.CloseSurplus();
  return pin;
}

Result<std::unique_ptr<InternalIterator>> TableHandle::NewIterator(const IteratorOptions& options) {
  Result<TablePin> pin = Pin(false);
  if (!pin) return pin.error();
  auto shared = std::make_shared<TablePin>(std::move(*pin));
  return (*shared)->NewIterator(options, shared);
}

}  // namespace lsmkv
