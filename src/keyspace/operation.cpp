#include "keyspace/operation.h"

#include <array>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace lsmkv {
namespace {

/// A batch this large gives its memory back when its command is done; smaller ones keep it for the next.
constexpr std::size_t kBatchKeptBytes = 1u << 20;

/// Passes on what the engine asks, and tells that it has.
class AskingGate final : public LargeValueGate {
 public:
  explicit AskingGate(LargeValueGate& gate) : gate_(gate) {}
  bool Admit(std::uint64_t bytes) override {
    asked_ = true;
    return gate_.Admit(bytes);
  }
  bool asked() const { return asked_; }

 private:
  LargeValueGate& gate_;
  bool asked_ = false;
};

WriteBatch& ThreadBatch() {
  thread_local WriteBatch batch;
  return batch;
}

}  // namespace

Operation::~Operation() {
  if (!gave_up_ && hits_ + misses_ > 0) {
    transaction_ == nullptr ? keyspace_.lookups().Count(hits_, misses_) : transaction_->CountLookups(hits_, misses_);
  }
  if (staged_ && ThreadBatch().operations().size() > kBatchKeptBytes) ThreadBatch() = WriteBatch();
}

Status Operation::Lock(std::string_view key) {
  LSMKV_ASSERT(physical_ == kNotAsked);
  if (transaction_ != nullptr) [[unlikely]] return Status::Ok();
  return keyspace_.locks().Lock(key, may_block_, &held_) ? Status::Ok() : Status::WouldBlock();
}

Status Operation::LockSeveral(std::span<const std::string_view> keys, std::size_t step) {
  LSMKV_ASSERT(physical_ == kNotAsked);
  if (transaction_ != nullptr) [[unlikely]] return Status::Ok();
  return keyspace_.locks().LockSeveral(keys, step, may_block_, &held_) ? Status::Ok() : Status::WouldBlock();
}

// A new moment must not go with an old database, nor an old one with a new database: a transaction may have changed the table and written.
Status Operation::ReadOneMoment() {
  LSMKV_ASSERT(physical_ == kNotAsked);
  if (transaction_ != nullptr) [[unlikely]] return Status::Ok();
  while (true) {                            // again for each change of the table in between
    const std::uint64_t changes = keyspace_.table_changes();
    if (Status settled = AwaitTable(changes); !settled.ok()) return settled;
    const std::uint64_t physical = keyspace_.Physical(database_);
    options_.snapshot = keyspace_.engine().GetSnapshot();
    if (keyspace_.table_changes() != changes) continue;
    physical_ = physical;
    return Status::Ok();
  }
}

/// `changes`: Keyspace::table_changes() of now. Returns when that is another number, if a change is under way.
Status Operation::AwaitTable(std::uint64_t changes) {
  if (changes % 2 == 0) [[likely]] return Status::Ok();
  gave_up_ = !may_block_;
  if (gave_up_) return Status::WouldBlock();
  keyspace_.WaitForTableChange(changes);
  return Status::Ok();
}

// Without a lock: what a transaction writes together with a change of the table must not be seen through the old one.
Result<std::optional<Record>> Operation::ReadUnbound(std::string_view key) {
  while (true) {
    const std::uint64_t changes = keyspace_.table_changes();
    if (Status settled = AwaitTable(changes); !settled.ok()) [[unlikely]] return settled;
    const auto counted = std::pair(hits_, misses_);
    Result<std::optional<Record>> record = ReadIn(AskPhysical(database_), key);
    if (keyspace_.table_changes() == changes) [[likely]] return record;
    std::tie(hits_, misses_) = counted;
    gave_up_ = false;
  }
}

void Operation::WillRead(std::span<const std::string_view> keys) {
  if (!may_block_ || keys.size() < 2) return;
  const std::uint64_t physical = PhysicalHere();
  std::vector<std::string> engine_keys;
  for (const std::string_view key : keys) engine_keys.emplace_back(EngineKey(physical, key).view());
  const std::vector<std::string_view> views(engine_keys.begin(), engine_keys.end());
  keyspace_.engine().WillRead(views, options_);
}

/// The newest version for this operation.
Result<std::optional<PinnedValue>> Operation::Get(std::string_view engine_key) {
  const Transaction::Staged* const staged = transaction_ == nullptr ? nullptr : transaction_->Find(engine_key);
  if (staged == nullptr) [[likely]] return keyspace_.engine().Get(engine_key, options_);
  if (staged->value == nullptr) return std::optional<PinnedValue>();
  return std::optional<PinnedValue>(std::in_place, std::string_view(*staged->value), staged->expire_at_ms, staged->value);
}

Result<std::optional<Record>> Operation::ReadIn(std::uint64_t physical, std::string_view key) {
  const EngineKey engine_key(physical, key);
  Result<std::optional<PinnedValue>> value = Get(engine_key.view());
  if (!value) [[unlikely]] {
    gave_up_ = true;
    return std::move(value.error());
  }
  if (!*value || HasExpired((*value)->expire_at_ms(), now_ms_)) {
    misses_ += counts_reads_ ? 1 : 0;
    return std::optional<Record>();
  }
  hits_ += counts_reads_ ? 1 : 0;
  PinnedValue& pin = **value;
  const std::optional<DecodedValue> decoded = DecodeValue(pin.data());
  if (!decoded) [[unlikely]] return Status::Corruption("a value of unknown type");
  return std::optional<Record>(std::in_place, std::move(pin), decoded->type);
}

Result<StringRead> Operation::ReadString(std::string_view key) {
  if (large_values_ != nullptr) [[unlikely]] return ReadAdmitted(key);
  return ReadStringHere(key);
}

// Not inlined: what reads on a loop has no part in it.
[[gnu::noinline]] Result<StringRead> Operation::ReadAdmitted(std::string_view key) {
  AskingGate gate(*large_values_);
  options_.large_values = &gate;
  Result<StringRead> read = ReadStringHere(key);
  options_.large_values = nullptr;
  // One of a blob file was admitted before it was read. Others are in memory anyway, or in a block of a table that had to be read.
  if (!read || !read->found() || gate.asked() || large_values_->Admit(read->value().size())) return read;
  gave_up_ = true;
  return Status::WouldBlock();
}

Status Operation::AdmitMade(std::uint64_t bytes) {
  if (large_values_ == nullptr || large_values_->Admit(bytes)) return Status::Ok();
  gave_up_ = true;
  return Status::WouldBlock();
}

Result<StringRead> Operation::ReadStringHere(std::string_view key) {
  Result<std::optional<Record>> record = Read(key);
  if (!record) [[unlikely]] return std::move(record.error());
  if (!*record) return StringRead{};
  if ((*record)->type() != ValueType::kString) return StringRead{StringRead::Found::kOtherType, {}};
  if (!may_block_ && (*record)->payload().size() > kLongBytes) [[unlikely]] {
    gave_up_ = true;
    return Status::WouldBlock();
  }
  return StringRead{StringRead::Found::kString, std::move(**record)};
}

WriteBatch& Operation::Batch() {
  WriteBatch& batch = ThreadBatch();
  if (!staged_) batch.Clear();   // a command that gave up may have left something
  staged_ = true;
  return batch;
}

void Operation::Stage(std::uint64_t physical, std::string_view key, std::uint8_t type_byte, std::string_view first,
                      std::string_view second, std::uint64_t expire_at_ms) {
  LSMKV_INVARIANT(HoldsLockOf(key));
  const std::size_t staged_bytes = staged_ ? ThreadBatch().operations().size() : 0;
  if (!may_block_ && staged_bytes + key.size() + first.size() + second.size() > kLongBytes) [[unlikely]] {
    too_long_ = true;
    return;
  }
  const EngineKey engine_key(physical, key);
  if (HasExpired(expire_at_ms, now_ms_)) {
    Batch().Delete(engine_key.view());
    return;
  }
  adds_data_ = true;
  const char header = static_cast<char>(type_byte);
  const std::array<std::string_view, 3> pieces{std::string_view(&header, 1), first, second};
  Batch().PutPieces(engine_key.view(), pieces, expire_at_ms);
}

void Operation::PutString(std::string_view key, std::string_view value, std::uint64_t expire_at_ms) {
  Stage(PhysicalHere(), key, static_cast<std::uint8_t>(ValueType::kString), value, {}, expire_at_ms);
}

void Operation::PutEditedString(std::string_view key, std::string_view first, std::string_view second,
                                std::uint64_t expire_at_ms) {
  Stage(PhysicalHere(), key, static_cast<std::uint8_t>(ValueType::kString) | kEditedBit, first, second, expire_at_ms);
}

void Operation::PutRecord(std::uint32_t database, std::string_view key, const Record& record, std::uint64_t expire_at_ms) {
  // It is in memory twice until it is written: as it was read, and in the batch.
  if (record.payload().size() > kLongBytes && !AdmitMade(2 * std::uint64_t{record.payload().size()}).ok()) [[unlikely]] {
    too_long_ = true;
    return;
  }
  Stage(PhysicalOf(database), key, record.TypeByte(), record.payload(), {}, expire_at_ms);
}

void Operation::Delete(std::string_view key) {
  LSMKV_INVARIANT(HoldsLockOf(key));
  Batch().Delete(EngineKey(PhysicalHere(), key).view());
}

Status Operation::Commit() {
  if (too_long_) [[unlikely]] {
    gave_up_ = true;
    return Status::WouldBlock();
  }
  if (!staged_) return Status::Ok();
  const bool may_use_reserve = may_use_reserve_ || !adds_data_;
  WriteBatch& batch = ThreadBatch();
  if (transaction_ != nullptr) [[unlikely]] {
    Status staged = transaction_->Stage(batch, may_use_reserve);
    gave_up_ = !staged.ok();
    return staged;
  }
  return keyspace_.Write(batch, {.wait_for_admission = false, .may_use_reserve = may_use_reserve}, may_block_);
}

}  // namespace lsmkv
