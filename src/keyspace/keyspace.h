// The keyspace: Redis's databases of typed, expiring keys, over an engine that knows only bytes.
//
// Commands work through an Operation (operation.h), which reads and writes keys. This class holds what operations share
// (engine, locks, database map, SCAN's cursors), changes the database table, and answers what concerns a database as a whole.
//
// A change of the table (FLUSHDB, FLUSHALL, SWAPDB)
//   1. takes all key locks: no writer is then between asking for a physical id and its batch being applied;
//   2. writes the new table as one engine batch, so that a crash finds the old or the new table, whole;
//   3. marks those who watch what changes by it (watched_keys.h), shows commands the new table and gives the locks back: the
//      command has taken effect;
//   4. waits for Engine::Sync(), and only then tells compaction what has died (database_map.h says why).
// A reader asks for the physical id once and then reads; it may finish on the old database, as if it had come first. Without locks it
// asks again when the table has changed meanwhile: it must not see through the old table what a transaction wrote with the new one.
// In a transaction (transaction.h) the same steps are its own lock, its Commit(), and its Settle().
//
// Threads  every method from any thread; those that say "blocks" are for pools, not for event loops.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "keyspace/codec.h"
#include "keyspace/content_digest.h"
#include "keyspace/database_map.h"
#include "keyspace/database_table.h"
#include "keyspace/key_locks.h"
#include "keyspace/lookup_counters.h"
#include "keyspace/scan_cursors.h"
#include "keyspace/watched_keys.h"
#include "lsmkv/engine.h"

namespace lsmkv {

/// A write's status as callers want it: kWriteRefused for a disk that fails, which a read's kIoError is not.
inline Status WriteStatus(Status status) {
  return status.code() == StatusCode::kIoError ? Status::WriteRefused(status.message()) : status;
}

/// One line of INFO keyspace.
struct KeyspaceInfo {
  std::uint64_t keys = 0;
  std::uint64_t expires = 0;      ///< of these, keys with a deadline
  std::uint64_t avg_ttl = 0;      ///< milliseconds, over those
};

enum class CountMode : std::uint8_t {
  kExact,    ///< DBSIZE
  kRecent,   ///< INFO: of a large database, up to ten seconds old
};

/// A walk over the keys of a database in key order.
struct ScanRequest {
  std::uint32_t database = 0;
  std::uint64_t now_ms = 0;
  std::optional<std::string_view> after{}; ///< starts behind this key; nothing: at the first
  std::string_view prefix{};               ///< only keys that start with this
  std::uint64_t max_keys = UINT64_MAX;     ///< ends when this many counted (see ScanVisitor)
  /// Ends when the engine has looked at this many versions, dead ones included; at most twice that, when what comes last is a
  /// run of dead ones. 1 or more.
  std::uint64_t max_examined = UINT64_MAX;
  bool fill_cache = true;
};
/// Gets each live key; the view is valid during the call. True: the key counts towards max_keys.
using ScanVisitor = std::function<bool(std::string_view user_key, ValueType type)>;

class Transaction;

class Keyspace {
 public:
  /// Reads the database table, or creates it at the first start, makes it durable and arms `map`, which is the
  /// engine's compaction filter. Errors: what the engine says; kCorruption, kUnsupported: the table's record. Blocks.
  static Result<std::unique_ptr<Keyspace>> Open(Engine& engine, std::uint32_t databases, DatabaseMap& map);

  std::uint32_t databases() const { return map_.databases(); }
  std::uint64_t Physical(std::uint32_t database) const { return map_.Physical(database); }
  /// DatabaseMap::changes(): for who reads without locks. Odd: wait, if you may.
  std::uint64_t table_changes() const { return map_.changes(); }
  void WaitForTableChange(std::uint64_t changes) const { map_.WaitForChange(changes); }
  Engine& engine() { return engine_; }
  KeyLocks& locks() { return locks_; }
  ScanCursors& cursors() { return cursors_; }
  LookupCounters& lookups() { return lookups_; }
  WatchedKeys& watched() { return watched_; }

  /// A hint that commands on these keys of a database follow on this thread: see Engine::Warm.
  void Warm(std::uint32_t database, std::span<const UpcomingKey> user_keys);

  // ---- for operations and transactions
  /// Applies `batch`, whose keys the caller has locked, and marks who watches them. It is given away if it is large and waiting is
  /// allowed. On an error nothing was applied. kWriteRefused: the disk takes no writes.
  Status Write(WriteBatch& batch, const WriteOptions& options, bool may_block);
  /// The same with a new table, everything being locked; in steps 2 and 3 above. Step 4 is SettleTable(), without the locks.
  Status WriteWithTable(WriteBatch& batch, const DatabaseTable& table, const WriteOptions& options) LSMKV_EXCLUDES(table_mutex_);
  Status SettleTable(const DatabaseTable& table);
  /// A snapshot, and the physical databases of that moment. kWouldBlock, only without `may_wait`: the table is being changed.
  Status TakeMoment(bool may_wait, std::shared_ptr<const Snapshot>* snapshot, std::vector<std::uint64_t>* physical);
  /// The table as it is; it stays so while the caller has everything locked.
  DatabaseTable Table() LSMKV_EXCLUDES(table_mutex_);

  // With a `transaction`, what follows is a part of that, which has everything locked: it sees what was staged, and changes nothing
  // before the transaction commits.

  // ---- the table; each blocks. On an error before the change nothing has changed; an error of the sync comes after it.
  Status FlushDatabase(std::uint32_t database, Transaction* transaction = nullptr);
  Status FlushAll(Transaction* transaction = nullptr);
  Status SwapDatabases(std::uint32_t first, std::uint32_t second, Transaction* transaction = nullptr);

  // ---- whole databases; each blocks on the disk
  /// Takes in a bundle that `lsmkv-tool build` made for one database: see Engine::Ingest. The keys come to lie in what was that
  /// database at the moment of the ingest. Errors: those of Engine::Ingest; kInvalidArgument: there is no such database here.
  Result<IngestReport> Ingest(const std::string& bundle) LSMKV_EXCLUDES(table_mutex_);
  /// Engine::Reload().
  Result<std::string> Reload();
  /// Walks the database, unless nothing was written and nothing has expired since the last count.
  Result<KeyspaceInfo> CountDatabase(std::uint32_t database, std::uint64_t now_ms, CountMode mode = CountMode::kExact,
                                     const Transaction* transaction = nullptr) LSMKV_EXCLUDES(counts_mutex_);
  /// Of every live key of every database with its value and its deadline.
  Result<ContentDigest> Digest(std::uint64_t now_ms);
  /// Some live key at about the `random`-th place; nothing when there is none. Looks at some thousand keys in several places, and
  /// only when all of those are dead goes through the database for one that is not.
  Result<std::optional<std::string>> RandomKey(std::uint32_t database, std::uint64_t now_ms, std::uint64_t random,
                                               const Transaction* transaction = nullptr);
  /// Returns the key to go on after when the walk ended at a bound, nothing when it came to the end. That key may be a dead one.
  Result<std::optional<std::string>> Scan(const ScanRequest& request, const ScanVisitor& visit, const Transaction* transaction = nullptr);

 private:
  /// What a walk over a database found, and until when that is still so.
  struct Count {
    std::uint64_t physical = UINT64_MAX;
    SequenceNumber sequence = 0;
    std::uint64_t content_changes = 0;     // keys that come and go without a sequence number of their own
    std::uint64_t counted_at_ms = 0;
    std::uint64_t first_expiry_ms = UINT64_MAX;
    std::uint64_t keys = 0;
    std::uint64_t expires = 0;
    double deadlines_sum = 0;
    KeyspaceInfo InfoAt(std::uint64_t now_ms) const;
  };

  Keyspace(Engine& engine, DatabaseMap& map, DatabaseTable table) : engine_(engine), map_(map), table_(std::move(table)) {}
  Status WriteTable(const DatabaseTable& table);
  void TouchAll();
  void TouchWritten(const WriteBatch& batch, const DatabaseTable* table);
  void TouchMoved(const DatabaseTable& before, const DatabaseTable& after);
  Result<IngestPlace> PlaceOfBundle(std::string_view prefix) LSMKV_EXCLUDES(table_mutex_);
  Status ChangeTable(const std::function<void(DatabaseTable&)>& change, Transaction* transaction) LSMKV_EXCLUDES(table_mutex_);
  Result<Count> Walk(std::uint64_t physical, std::uint64_t now_ms, const Transaction* transaction);
  std::uint64_t PhysicalIn(const Transaction* transaction, std::uint32_t database) const;
  bool StillHolds(const Count& count, std::uint64_t physical, std::uint64_t now_ms, CountMode mode) const;
  /// @param max_skipped  gives up after so many dead ones; 0: never.
  Result<std::optional<std::string>> FirstLiveKey(std::string_view begin, std::string_view end, std::uint64_t now_ms,
                                                  std::uint64_t max_skipped, const Transaction* transaction);

  Engine& engine_;
  DatabaseMap& map_;
  KeyLocks locks_;
  ScanCursors cursors_;
  LookupCounters lookups_;
  WatchedKeys watched_;

  Mutex table_mutex_;                                       // changed under all key locks, too, which are taken first
  DatabaseTable table_ LSMKV_GUARDED_BY(table_mutex_);
  std::uint64_t table_changes_ LSMKV_GUARDED_BY(table_mutex_) = 0;
  Mutex counts_mutex_;                                      // a leaf
  std::vector<Count> counts_ LSMKV_GUARDED_BY(counts_mutex_);   // by logical database
};

}  // namespace lsmkv
