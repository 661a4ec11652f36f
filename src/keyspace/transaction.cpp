#include "keyspace/transaction.h"

#include <algorithm>

#include "base/assert.h"
#include "keyspace/codec.h"
#include "keyspace/keyspace.h"

namespace lsmkv {

Status Transaction::Lock(std::span<const std::string_view> keys) {
  LSMKV_ASSERT(snapshot_ == nullptr);
  if (keys.empty()) return LockNothing();
  if (!keyspace_.locks().LockSeveral(keys, 1, may_block_, &held_)) return Status::WouldBlock();
  snapshot_ = keyspace_.engine().GetSnapshot();
  return Status::Ok();
}

Status Transaction::LockEverything() {
  LSMKV_ASSERT(snapshot_ == nullptr);
  if (!may_block_) return Status::WouldBlock();
  keyspace_.locks().LockAll(&held_);
  everything_ = true;
  snapshot_ = keyspace_.engine().GetSnapshot();
  return Status::Ok();
}

Status Transaction::LockNothing() {
  LSMKV_ASSERT(snapshot_ == nullptr);
  return keyspace_.TakeMoment(may_block_, &snapshot_, &physical_);
}

std::uint64_t Transaction::Physical(std::uint32_t database) const {
  if (table_) return table_->id(database);
  return physical_.empty() ? keyspace_.Physical(database) : physical_[database];
}

const Transaction::Staged* Transaction::Find(std::string_view engine_key) const {
  if (staged_.empty()) return nullptr;
  const auto found = staged_.find(engine_key);
  return found == staged_.end() ? nullptr : &found->second;
}

Status Transaction::Stage(const WriteBatch& batch, bool may_use_reserve) {
  if (failed()) return Status::Ok();
  staged_bytes_ += batch.operations().size();
  if (!may_block_ && staged_bytes_ > kLongBytes) return Status::WouldBlock();
  if (batch.oversized()) failure_ = Status::InvalidArgument("a key may have 1 MiB and a value 1020 MiB");
  if (staged_bytes_ > max_bytes_) {
    failure_ = Status::InvalidArgument("the transaction writes more than the " + std::to_string(max_bytes_) +
                                       " bytes that can be written as one; make it smaller");
  }
  if (failed()) {
    staged_.clear();
    return Status::Ok();
  }
  OperationReader operations(batch.operations());
  EntryView entry;
  while (operations.Next(&entry)) {
    Staged& staged = staged_[std::string(entry.key)];
    const bool deletes = entry.kind == EntryKind::kTombstone;
    staged.value = deletes ? nullptr : std::make_shared<const std::string>(entry.value);
    staged.expire_at_ms = ExpiryOf(entry);
  }
  needs_no_reserve_ = needs_no_reserve_ || !may_use_reserve;
  return operations.status();
}

void Transaction::ChangeTable(const std::function<void(DatabaseTable&)>& change) {
  LSMKV_ASSERT(everything_);   // invariant 2
  if (!table_) table_ = keyspace_.Table();
  change(*table_);
  // What stands in a database that is flushed now would be seen for a moment by who still has its old id.
  std::erase_if(staged_, [this](const auto& staged) {
    const std::optional<DecodedKey> key = DecodeEngineKey(staged.first);
    return key && std::ranges::find(table_->ids(), key->database) == table_->ids().end();
  });
}

Status Transaction::Commit() {
  if (failed()) return failure_;
  if (changed_anything()) {
    WriteBatch batch;
    for (auto at = staged_.begin(); at != staged_.end(); at = staged_.erase(at)) {   // not twice in memory for longer than it must be
      const Staged& staged = at->second;
      if (staged.value == nullptr) {
        batch.Delete(at->first);
      } else {
        batch.Put(at->first, *staged.value, staged.expire_at_ms);
      }
    }
    const WriteOptions options{.wait_for_admission = false, .may_use_reserve = !needs_no_reserve_};
    failure_ = table_ ? keyspace_.WriteWithTable(batch, *table_, options)
                      : keyspace_.Write(batch, options, may_block_);
    if (failed()) return failure_;
  }
  keyspace_.lookups().Count(hits_, misses_);
  return Status::Ok();
}

Status Transaction::Settle() {
  held_.Release();
  snapshot_.reset();
  return table_ ? keyspace_.SettleTable(*table_) : Status::Ok();
}

}  // namespace lsmkv
