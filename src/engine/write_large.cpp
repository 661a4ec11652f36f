// Writing batches of megabytes. What a large batch must not do is make others wait: for the log, behind its bytes; for the write lock,
// while it is copied; for room in the memtables, which it alone would fill many times over. So
//
//   its operations     go to a file beside the log, synced, before anybody hears of it (wal/aside_file.h)
//   under the lock     a record of a few bytes is appended, and the memtable's nodes point into the batch, which it keeps
//   in memory          is one of them, or as many as the memtables may have; the next waits here until they are flushed. They
//                      do not count for those who write little
//
// So a value of N bytes is in memory once, beside the input that its client sent.
#include "base/hash.h"
#include "engine/engine_impl.h"

namespace lsmkv {
namespace {

constexpr std::size_t kLeastKeptBytes = 64 << 10;      // smaller values are copied, as everywhere

}  // namespace

std::uint64_t EngineImpl::LargeBytesInMemory() const {
  const SuperVersionPtr now = tree_->Current();
  std::uint64_t bytes = now->active.table->kept_bytes();
  for (const Memory& immutable : now->immutables) bytes += immutable.table->kept_bytes();
  return bytes;
}

/// Each turn flushes what there is, and nobody else adds to it: the second finds none.
Status EngineImpl::MakeRoomForLarge(std::uint64_t bytes) {
  const std::uint64_t most = context_.memory.max_memory_bytes.load(std::memory_order_relaxed);
  while (true) {
    const std::uint64_t held = LargeBytesInMemory();
    if (held == 0 || most == 0 || held + bytes <= most) return {};
    if (Status status = RotateForFlush(); !status.ok()) return status;
    if (Status status = scheduler_->WaitUntilFlushed(); !status.ok()) return status;
  }
}

Result<SequenceNumber> EngineImpl::WriteLarge(WriteBatch batch, const WriteOptions& options) {
  if (batch.operations().size() < kLargeBatchBytes) return Write(batch, options);
  if (Status may = MayWrite(batch, options); !may.ok()) return may;
  const MutexLock turn(large_mutex_);
  const std::uint32_t count = batch.count();
  const auto kept = std::make_shared<const std::string>(batch.TakeOperations());
  if (Status room = MakeRoomForLarge(kept->size()); !room.ok()) return room;
  const Result<AsideRef> aside = wal_->WriteAside(*kept);
  if (!aside) return aside.error();

  MutexLock lock(write_mutex_);
  wal_->AppendAside(last_sequence_ + 1, count, *aside);
  MemTable& table = *active_.table;
  table.Keep(kept, kept->size());
  OperationReader operations(*kept);
  EntryView entry;
  while (operations.Next(&entry)) {
    if (entry.value.size() >= kLeastKeptBytes) {
      table.AddKept(++last_sequence_, entry, Hash(entry.key));
    } else {
      table.Add(++last_sequence_, entry, Hash(entry.key));
    }
  }
  visible_.store(last_sequence_, std::memory_order_release);
  context_.counters.user_bytes_written.fetch_add(kept->size(), std::memory_order_relaxed);
  const SequenceNumber last = last_sequence_;
  RotateIfFullLocked();
  return last;
}

}  // namespace lsmkv
