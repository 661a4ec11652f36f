// A walk over live engine keys in byte order, forwards, of the present or as a transaction sees it: two sorted runs merged, the
// engine's and what the transaction has staged, which hides what the engine has under the same key.
// Threads  one at a time. Errors and bounds are the engine's iterator's: see lsmkv/iterator.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "keyspace/transaction.h"
#include "lsmkv/engine.h"

namespace lsmkv {

class KeyWalk {
 public:
  /// `transaction` null: the engine as `options` say. Not null: its snapshot is read. Bounds are kept, a prefix is not allowed.
  KeyWalk(Engine& engine, ReadOptions options, const Transaction* transaction);

  void Seek(std::string_view target);
  void Next();
  bool Valid() const { return at_staged_ || keys_->Valid(); }
  bool paused() const { return !at_staged_ && keys_->paused(); }
  std::string_view position() const { return keys_->position(); }
  std::string_view key() const { return at_staged_ ? std::string_view(staged_->first) : keys_->key(); }
  std::string_view value() const { return at_staged_ ? std::string_view(*staged_->second.value) : keys_->value(); }
  std::string_view value_head() const { return at_staged_ ? std::string_view(*staged_->second.value) : keys_->value_head(); }
  std::uint64_t expire_at_ms() const { return at_staged_ ? staged_->second.expire_at_ms : keys_->expire_at_ms(); }
  std::uint64_t examined() const { return keys_->examined() + examined_; }
  Status status() const { return keys_->status(); }

 private:
  /// What the engine's run has at its front: a live key or, when it paused, a dead one.
  bool EngineHasKey() const { return keys_->Valid() || keys_->paused(); }
  std::string_view EngineKeyNow() const { return keys_->Valid() ? keys_->key() : keys_->position(); }
  void LeaveStaged();
  void Settle();

  const std::uint64_t now_ms_;
  const std::string upper_bound_;
  const Transaction* const transaction_;
  std::unique_ptr<Iterator> keys_;
  Transaction::StagedMap::const_iterator staged_;
  bool at_staged_ = false;
  std::uint64_t examined_ = 0;               // of what is staged
};

}  // namespace lsmkv
