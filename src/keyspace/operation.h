// An operation: one command's reads and writes of keys. Commands know nothing below it.
//
//   lock (writers only, first) -> read -> stage -> commit -> the locks go with the object
//
// Everything staged is one engine batch: atomic for readers' eyes and across a crash. Nothing is changed before Commit(),
// so a command may give up at any point before it, and where waiting is not allowed each step answers kWouldBlock instead
// of waiting.
//
// Invariants
//   1. A writer locks all keys it may read or write, at once, before its first read; one Lock call an operation.
//   2. Reads do not see what the same operation has staged: a command reads first, then decides, then stages.
//   3. The logical database is looked up once, after the locks: what is committed goes where the reads came from.
//   4. An expired key is absent. A deadline that has passed is staged as a deletion; one that is now is kept, for its millisecond.
//
// An operation that is a part of a transaction (transaction.h) has its locks already, reads what those before it have staged, and
// its Commit() only adds to that.
//
// Room was left for  other types: Record carries the type, and every command that does not care about it (DEL, EXPIRE, RENAME, …)
//                    goes through Record.
// Threads  one at a time; at most one operation with staged writes a thread (the batch is the thread's).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

#include "keyspace/codec.h"
#include "keyspace/keyspace.h"
#include "keyspace/transaction.h"

namespace lsmkv {

/// A key's value, of whatever type, where it lies (memtable or cached block) until this goes.
class Record {
 public:
  Record() = default;
  Record(PinnedValue pin, ValueType type) : pin_(std::move(pin)), type_(type) {}
  ValueType type() const { return type_; }
  std::string_view payload() const { return pin_.data().substr(1); }   ///< of a Record that was read
  bool edited() const { return (TypeByte() & kEditedBit) != 0; }       ///< likewise; see codec.h
  std::uint64_t expire_at_ms() const { return pin_.expire_at_ms(); }   ///< 0: never
  const std::shared_ptr<const void>& block() const { return pin_.block(); }   ///< PinnedValue::block(), of payload()

 private:
  friend class Operation;
  std::uint8_t TypeByte() const { return static_cast<std::uint8_t>(pin_.data().front()); }

  PinnedValue pin_;
  ValueType type_ = ValueType::kString;
};

struct StringRead {
  enum class Found : std::uint8_t { kNothing, kString, kOtherType } what = Found::kNothing;
  Record record;                                                       ///< when kString

  bool found() const { return what == Found::kString; }
  bool wrong_type() const { return what == Found::kOtherType; }
  /// An absent key reads as empty, as most string commands want it.
  std::string_view value() const { return found() ? record.payload() : std::string_view(); }
  /// PinnedValue::block(), of value() when it is found.
  const std::shared_ptr<const void>& block() const { return record.block(); }
  std::uint64_t expire_at_ms() const { return found() ? record.expire_at_ms() : 0; }
};

class Operation {
 public:
  /// More than this, in one value or one batch, is not copied on an event loop: the command is sent to the pool.
  static constexpr std::size_t kLongBytes = 1u << 20;

  /// @param counts_reads  as CountReads() says.
  /// @param transaction   what it is a part of; null: it stands alone.
  /// @param large_values  asked for each value that ReadString() finds, which then may end with kWouldBlock; may be null.
  Operation(Keyspace& keyspace, std::uint32_t database, std::uint64_t now_ms, bool may_block, bool counts_reads = false,
            Transaction* transaction = nullptr, LargeValueGate* large_values = nullptr)
      : keyspace_(keyspace),
        transaction_(transaction),
        database_(database),
        may_block_(may_block),
        counts_reads_(counts_reads),
        now_ms_(now_ms),
        large_values_(large_values) {
    options_.memory_only = !may_block;
    options_.now_ms = now_ms;
    if (transaction != nullptr) [[unlikely]] options_.snapshot = transaction->snapshot();
  }
  /// Counts what its reads found, unless it gave up because it would have blocked.
  ~Operation();
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  std::uint64_t now_ms() const { return now_ms_; }
  std::uint32_t database() const { return database_; }
  bool may_block() const { return may_block_; }

  /// Whether the reads from here on count as hits and misses (LookupCounters); as the constructor was told at first.
  void CountReads(bool count) { counts_reads_ = count; }
  /// The command will be run again from its start: nothing that was read counts.
  void GiveUp() { gave_up_ = true; }
  /// Asks for the memory of a value that is about to be made. kWouldBlock: as with a read, the command will be run again.
  Status AdmitMade(std::uint64_t bytes);

  // ---- locking. kWouldBlock: somebody else holds one of them, and nothing is held.
  Status Lock(std::string_view key);
  /// Of keys[0], keys[step], keys[2 x step], …
  Status LockSeveral(std::span<const std::string_view> keys, std::size_t step = 1);

  // ---- reading. Errors: the engine's; kWouldBlock: on disk, or too long to copy here.
  /// From here on reads see one moment: for commands that read several keys without locks. kWouldBlock: not just now.
  Status ReadOneMoment();
  /// A hint that all of `keys` will be read next: where waiting is allowed, their disk reads are issued together.
  void WillRead(std::span<const std::string_view> keys);
  Result<std::optional<Record>> Read(std::string_view key) {
    return IsBound() ? ReadIn(PhysicalHere(), key) : ReadUnbound(key);
  }
  Result<std::optional<Record>> Read(std::uint32_t database, std::string_view key) {
    return ReadIn(PhysicalOf(database), key);
  }
  /// For who replies with it or keeps it: it is the one that asks `large_values`. Who only looks at a value lets go of it at once.
  Result<StringRead> ReadString(std::string_view key);

  // ---- staging. `expire_at_ms` 0: never.
  void PutString(std::string_view key, std::string_view value, std::uint64_t expire_at_ms = 0);
  /// What was made by changing the string that was there: the two joined.
  void PutEditedString(std::string_view key, std::string_view first, std::string_view second, std::uint64_t expire_at_ms);
  /// The same value with another name, place or deadline.
  void PutRecord(std::uint32_t database, std::string_view key, const Record& record, std::uint64_t expire_at_ms);
  void Delete(std::string_view key);
  /// Gives what was read a deadline (0: none) of the client's; one that is now or has passed is a deletion at once.
  void PutDeadline(std::string_view key, const Record& record, std::uint64_t expire_at_ms) {
    if (expire_at_ms != 0 && expire_at_ms <= now_ms_) return Delete(key);
    PutRecord(database_, key, record, expire_at_ms);
  }

  /// What will be staged gives space back in time though it writes a value, as a deadline does: it is taken while only the
  /// disk's reserve is left. Deletions alone are anyway.
  void MayUseReserve() { may_use_reserve_ = true; }

  /// Applies what was staged, if anything. On an error nothing was. At most once. kWriteRefused: the disk takes no writes.
  Status Commit();

 private:
  static constexpr std::uint64_t kNotAsked = UINT64_MAX;

  std::uint64_t PhysicalHere() {
    if (physical_ == kNotAsked) physical_ = AskPhysical(database_);
    return physical_;
  }
  std::uint64_t PhysicalOf(std::uint32_t database) {
    return database == database_ ? PhysicalHere() : AskPhysical(database);
  }
  std::uint64_t AskPhysical(std::uint32_t database) const {
    return transaction_ == nullptr ? keyspace_.Physical(database) : transaction_->Physical(database);
  }
  /// Nothing can change which database it reads.
  bool IsBound() const { return physical_ != kNotAsked || !held_.empty() || transaction_ != nullptr; }
  Result<std::optional<Record>> ReadUnbound(std::string_view key);
  Status AwaitTable(std::uint64_t changes);
  Result<StringRead> ReadStringHere(std::string_view key);
  Result<StringRead> ReadAdmitted(std::string_view key);
  Result<std::optional<PinnedValue>> Get(std::string_view engine_key);
  Result<std::optional<Record>> ReadIn(std::uint64_t physical, std::string_view key);
  void Stage(std::uint64_t physical, std::string_view key, std::uint8_t type_byte, std::string_view first,
             std::string_view second, std::uint64_t expire_at_ms);
  WriteBatch& Batch();
  bool HoldsLockOf(std::string_view key) const {
    return transaction_ == nullptr ? held_.Holds(KeyLocks::StripeOf(key)) : transaction_->Holds(key);
  }

  Keyspace& keyspace_;
  Transaction* const transaction_;
  const std::uint32_t database_;
  const bool may_block_;
  bool counts_reads_;
  bool staged_ = false;
  bool adds_data_ = false;            // something staged is not a deletion
  bool may_use_reserve_ = false;
  bool gave_up_ = false;              // a read or Commit() has said kWouldBlock: it will be run again
  std::uint32_t hits_ = 0;
  std::uint32_t misses_ = 0;
  bool too_long_ = false;             // something staged must not be copied here, or not now: Commit() says kWouldBlock
  const std::uint64_t now_ms_;
  LargeValueGate* const large_values_;
  std::uint64_t physical_ = kNotAsked;
  ReadOptions options_;
  KeyLocks::Held held_;
};

}  // namespace lsmkv
