// What changes: batches of operations and transactions, and the database table.
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/clock.h"
#include "keyspace/keyspace.h"
#include "keyspace/transaction.h"

namespace lsmkv {

std::uint64_t Keyspace::PhysicalIn(const Transaction* transaction, std::uint32_t database) const {
  return transaction == nullptr ? Physical(database) : transaction->Physical(database);
}

Status Keyspace::Write(WriteBatch& batch, const WriteOptions& options, bool may_block) {
  if (!may_block || batch.operations().size() < Engine::kLargeBatchBytes) [[likely]] {
    Status status = WriteStatus(engine_.Write(batch, options).status());
    if (watched_.any() && status.ok()) [[unlikely]] TouchWritten(batch, nullptr);
    return status;
  }
  if (watched_.any()) TouchWritten(batch, nullptr);   // before it is given away; nobody looks before the locks are free
  WriteBatch large = std::move(batch);
  batch = WriteBatch();
  return WriteStatus(engine_.WriteLarge(std::move(large), options).status());
}

/// `table`: the one that takes effect with the batch; null: there is only the present one.
void Keyspace::TouchWritten(const WriteBatch& batch, const DatabaseTable* table) {
  OperationReader operations(batch.operations());
  EntryView entry;
  while (operations.Next(&entry)) {
    const std::optional<DecodedKey> key = DecodeEngineKey(entry.key);
    if (!key) continue;
    watched_.Touch(key->user_key, [&](const Watch& watch) {
      return Physical(watch.database) == key->database || (table != nullptr && table->id(watch.database) == key->database);
    });
  }
}

// ---- the table

DatabaseTable Keyspace::Table() {
  const MutexLock lock(table_mutex_);
  return table_;
}

Status Keyspace::WriteTable(const DatabaseTable& table) {
  WriteBatch batch;
  batch.Put(ServerKey(kDatabaseTableName), table.Encode());
  return WriteStatus(engine_.Write(batch, {.wait_for_admission = false, .may_use_reserve = true}).status());
}

Status Keyspace::WriteWithTable(WriteBatch& batch, const DatabaseTable& table, const WriteOptions& options) {
  batch.Put(ServerKey(kDatabaseTableName), table.Encode());
  if (watched_.any()) {   // everything is locked: nobody looks before this has ended
    TouchWritten(batch, &table);
    TouchMoved(Table(), table);
  }
  const MutexLock lock(table_mutex_);
  // Not WriteLarge(), however large: that waits for flushes, and an ingest that asks for the table (Ingest()) may be what they wait for.
  map_.BeginChange();
  Status status = WriteStatus(engine_.Write(batch, options).status());
  if (status.ok()) {
    table_ = table;
    ++table_changes_;
    map_.Install(table);
  }
  map_.EndChange();
  return status;
}

Status Keyspace::TakeMoment(bool may_wait, std::shared_ptr<const Snapshot>* snapshot, std::vector<std::uint64_t>* physical) {
  while (true) {                                   // again for each change in between
    const std::uint64_t changes = map_.changes();
    if (changes % 2 != 0) {
      if (!may_wait) return Status::WouldBlock();
      map_.WaitForChange(changes);
      continue;
    }
    physical->clear();
    for (std::uint32_t i = 0; i < databases(); ++i) physical->push_back(Physical(i));
    *snapshot = engine_.GetSnapshot();
    if (map_.changes() == changes) return Status::Ok();
  }
}

Status Keyspace::SettleTable(const DatabaseTable& table) {
  if (Status status = WriteStatus(engine_.Sync()); !status.ok()) return status;
  map_.MarkDurable(table);
  engine_.ReclaimDeadRanges();
  return Status::Ok();
}

/// Marks who watches keys of databases that are others from now on: keys that were there, and those that come to be there.
void Keyspace::TouchMoved(const DatabaseTable& before, const DatabaseTable& after) {
  const auto moves = [&](const Watch& watch) { return before.id(watch.database) != after.id(watch.database); };
  std::set<std::pair<std::uint32_t, std::string>> absent;
  watched_.TouchAll([&](const Watch& watch) {
    if (moves(watch) && !watch.existed) absent.emplace(watch.database, watch.key);
    return moves(watch) && watch.existed;
  });
  const std::uint64_t now_ms = Clock::System().WallMillis();
  for (const auto& [database, key] : absent) {             // read without a mutex: it may be on disk
    const auto found = engine_.Get(EngineKey(after.id(database), key).view());
    if (found && (!*found || HasExpired((*found)->expire_at_ms(), now_ms))) continue;
    watched_.Touch(key, [&](const Watch& watch) { return watch.database == database; });
  }
}

Status Keyspace::ChangeTable(const std::function<void(DatabaseTable&)>& change, Transaction* transaction) {
  if (transaction != nullptr) {
    transaction->ChangeTable(change);
    return Status::Ok();
  }
  DatabaseTable changed;
  {
    KeyLocks::Held all;
    locks_.LockAll(&all);
    changed = Table();
    change(changed);
    WriteBatch batch;
    if (Status status = WriteWithTable(batch, changed, {.wait_for_admission = false, .may_use_reserve = true}); !status.ok()) return status;
  }
  return SettleTable(changed);
}

Status Keyspace::FlushDatabase(std::uint32_t database, Transaction* transaction) {
  return ChangeTable([database](DatabaseTable& table) { table.Flush(database); }, transaction);
}

Status Keyspace::FlushAll(Transaction* transaction) {
  return ChangeTable([](DatabaseTable& table) { table.FlushAll(); }, transaction);
}

Status Keyspace::SwapDatabases(std::uint32_t first, std::uint32_t second, Transaction* transaction) {
  if (first == second) return Status::Ok();
  return ChangeTable([first, second](DatabaseTable& table) { table.Swap(first, second); }, transaction);
}

}  // namespace lsmkv
