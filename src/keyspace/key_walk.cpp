#include "keyspace/key_walk.h"

#include <utility>

#include "base/assert.h"

namespace lsmkv {
namespace {

ReadOptions At(ReadOptions options, const Transaction* transaction) {
  LSMKV_ASSERT(transaction == nullptr || (options.prefix.empty() && options.now_ms != 0));
  if (transaction != nullptr) options.snapshot = transaction->snapshot();
  return options;
}

}  // namespace

KeyWalk::KeyWalk(Engine& engine, ReadOptions options, const Transaction* transaction)
    : now_ms_(options.now_ms),
      upper_bound_(options.upper_bound),
      transaction_(transaction),
      keys_(engine.NewIterator(At(std::move(options), transaction))) {
  if (transaction_ != nullptr) staged_ = transaction_->staged().end();
}

void KeyWalk::Seek(std::string_view target) {
  keys_->Seek(target);
  if (transaction_ == nullptr) return;
  staged_ = transaction_->staged().lower_bound(target);
  Settle();
}

void KeyWalk::Next() {
  if (at_staged_) {
    LeaveStaged();
  } else {
    keys_->Next();
  }
  if (transaction_ != nullptr) Settle();
}

/// With what it hides.
void KeyWalk::LeaveStaged() {
  if (keys_->Valid() && keys_->key() == staged_->first) keys_->Next();
  ++staged_;
  ++examined_;
}

/// To the live key that is first of the two runs.
void KeyWalk::Settle() {
  for (at_staged_ = false; staged_ != transaction_->staged().end(); LeaveStaged()) {
    if (!upper_bound_.empty() && staged_->first >= upper_bound_) return;
    if (EngineHasKey() && EngineKeyNow() < staged_->first) return;
    at_staged_ = staged_->second.value != nullptr && !HasExpired(staged_->second.expire_at_ms, now_ms_);
    if (at_staged_) return;
  }
}

}  // namespace lsmkv
