// A transaction: the operations of several commands as one (MULTI/EXEC).
//
//   lock -> one moment -> [ operation: read, stage, commit ] ... -> Commit() -> the locks go with the object
//
// Isolation  All keys that the commands may touch are locked before the first read, as one operation locks its own (operation.h,
//            invariant 1), in the same order of stripes, so transactions wait neither for each other in a ring nor for operations.
//            Whatever commands do not name (FLUSHALL, KEYS, DBSIZE, SCAN, ...) is locked by locking everything, which is
//            what a change of the database table does anyway. Reads see one snapshot, taken behind the locks: what has no locks (an
//            ingest) cannot come between them either. Commands that only read, with nothing watched, need no locks: the snapshot, and
//            the databases of its moment, are enough. So readers do not wait for writers, nor writers for them.
// Its writes An operation of a transaction commits to memory: to a map from engine key to what is to become of it. Reads, and
//            walks over a database (KeyWalk), look there first. So a command sees what those before it have done, and giving up
//            is nothing but forgetting: a transaction that would have to wait on an event loop is run again from its start.
//            FLUSHDB, FLUSHALL and SWAPDB change a copy of the database table, and later operations ask that one.
// Atomicity  Commit() makes one batch of the map, the last word on each key, and with it the table if that has changed: one WAL
//            record, there wholly or not at all after a crash; and one step of the engine's visible sequence, so that readers
//            without locks see all of it or nothing. Where the table changes it is shown a moment after the batch (keyspace.h, step 3):
//            who asks keys of two databases for their values, one command after the other and not in a transaction, may come in between.
//
// Invariants
//   1. Nothing outside of this object changes before Commit(), and everything or nothing by it.
//   2. A table changes only while everything is locked.
//   3. What is staged for a key does not move while somebody holds it: a Record from here pins its bytes.
//
// Threads  one at a time, the one that made it.
// Source   redo-only writes over a private write set, as in optimistic concurrency control (Kung and Robinson, 1981), but with
//          locks instead of validation; WATCH is the validation that clients ask for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "keyspace/database_table.h"
#include "keyspace/key_locks.h"
#include "lsmkv/engine.h"

namespace lsmkv {

class Keyspace;

class Transaction {
 public:
  /// What is to become of an engine key.
  struct Staged {
    std::shared_ptr<const std::string> value;    ///< null: it is deleted
    std::uint64_t expire_at_ms = 0;
  };
  using StagedMap = std::map<std::string, Staged, std::less<>>;

  /// All that it writes, keys and values: it must fit into one batch, and into memory twice.
  static constexpr std::uint64_t kMaxBytes = 1u << 30;
  /// More than this is not copied on an event loop.
  static constexpr std::uint64_t kLongBytes = 1u << 20;

  Transaction(Keyspace& keyspace, bool may_block, std::uint64_t max_bytes = kMaxBytes)
      : keyspace_(keyspace), may_block_(may_block), max_bytes_(max_bytes) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // ---- first, one of these. kWouldBlock: somebody else holds one of them, and nothing is held.
  Status Lock(std::span<const std::string_view> keys);
  Status LockEverything();
  /// Nothing: it will only read. kWouldBlock: the database table is being changed.
  Status LockNothing();

  // ---- for operations, and for what walks over databases
  bool Holds(std::string_view key) const { return held_.Holds(KeyLocks::StripeOf(key)); }
  std::uint64_t Physical(std::uint32_t database) const;
  const std::shared_ptr<const Snapshot>& snapshot() const { return snapshot_; }
  /// Null: nothing is staged for that key.
  const Staged* Find(std::string_view engine_key) const;
  const StagedMap& staged() const { return staged_; }
  bool changed_anything() const { return table_.has_value() || !staged_.empty(); }
  /// What one operation commits. kWouldBlock: too much for an event loop. Too much for a batch is said by Commit(), and by failed().
  Status Stage(const WriteBatch& batch, bool may_use_reserve);
  /// Everything is locked.
  void ChangeTable(const std::function<void(DatabaseTable&)>& change);
  /// What the reads of its commands found; counted if it commits.
  void CountLookups(std::uint64_t hits, std::uint64_t misses) {
    hits_ += hits;
    misses_ += misses;
  }

  // ---- last
  /// It can only be refused: what is run further is in vain.
  bool failed() const { return !failure_.ok(); }
  /// Writes what was staged, if anything. On an error nothing was written, and nothing is changed. At most once.
  Status Commit();
  /// After a Commit() that changed the table, when the locks may be given back: waits until that is safe. An error comes after the fact.
  Status Settle();

 private:
  Keyspace& keyspace_;
  const bool may_block_;
  const std::uint64_t max_bytes_;
  KeyLocks::Held held_;
  bool everything_ = false;
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<std::uint64_t> physical_;    // by logical database, of the snapshot's moment; empty: locks keep them as they are
  StagedMap staged_;
  std::uint64_t staged_bytes_ = 0;
  bool needs_no_reserve_ = false;          // something staged does not make room
  std::optional<DatabaseTable> table_;     // when it has changed
  Status failure_;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
};

}  // namespace lsmkv
