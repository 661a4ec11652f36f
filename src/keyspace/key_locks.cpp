#include "keyspace/key_locks.h"

#include <algorithm>

#include "base/assert.h"

namespace lsmkv {
namespace {

constexpr int kSpins = 100;   // a holder on another loop needs about this long for a batch in memory

inline void CpuRelax() { __builtin_ia32_pause(); }

}  // namespace

void KeyLocks::Held::Release() {
  if (count_ == 0) return;
  for (const Stripe stripe : stripes()) locks_->UnlockStripe(stripe);
  count_ = 0;
}

std::span<KeyLocks::Stripe> KeyLocks::Held::Room(std::size_t count) {
  many_.resize(count > inline_.size() ? count : 0);
  return {many_.empty() ? inline_.data() : many_.data(), count};
}

bool KeyLocks::Held::Holds(Stripe stripe) const { return std::ranges::binary_search(stripes(), stripe); }

bool KeyLocks::LockSlow(std::atomic<int>& word, bool may_wait) {
  for (int spin = 0; spin < kSpins; ++spin) {
    CpuRelax();
    int expected = kFree;
    if (word.load(std::memory_order_relaxed) == kFree &&
        word.compare_exchange_weak(expected, kTaken, std::memory_order_acquire, std::memory_order_relaxed)) {
      return true;
    }
  }
  if (!may_wait) return false;
  while (word.exchange(kContended, std::memory_order_acquire) != kFree) word.wait(kContended, std::memory_order_relaxed);
  return true;
}

bool KeyLocks::LockStripe(Stripe stripe, bool may_wait) {
  std::atomic<int>& word = words_[stripe];
  int expected = kFree;
  if (word.compare_exchange_strong(expected, kTaken, std::memory_order_acquire, std::memory_order_relaxed)) return true;
  return LockSlow(word, may_wait);
}

void KeyLocks::UnlockStripe(Stripe stripe) {
  std::atomic<int>& word = words_[stripe];
  if (word.exchange(kFree, std::memory_order_release) == kContended) word.notify_one();
}

bool KeyLocks::Lock(std::string_view key, bool may_wait, Held* held) {
  LSMKV_ASSERT(held->empty());
  const Stripe stripe = StripeOf(key);
  if (!LockStripe(stripe, may_wait)) return false;
  held->Room(1)[0] = stripe;
  held->locks_ = this;
  held->count_ = 1;
  return true;
}

/// `wanted` is held's room, filled in any order and with duplicates.
bool KeyLocks::LockRoom(std::span<Stripe> wanted, bool may_wait, Held* held) {
  std::ranges::sort(wanted);
  const std::size_t distinct = wanted.size() - std::ranges::unique(wanted).size();
  for (std::size_t taken = 0; taken < distinct; ++taken) {
    if (LockStripe(wanted[taken], may_wait)) continue;
    while (taken > 0) UnlockStripe(wanted[--taken]);
    return false;
  }
  held->locks_ = this;
  held->count_ = distinct;
  return true;
}

bool KeyLocks::LockSeveral(std::span<const std::string_view> keys, std::size_t step, bool may_wait, Held* held) {
  LSMKV_ASSERT(held->empty() && !keys.empty() && step > 0);
  if (keys.size() <= step) return Lock(keys.front(), may_wait, held);
  const std::span<Stripe> wanted = held->Room((keys.size() + step - 1) / step);
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = StripeOf(keys[i * step]);
  return LockRoom(wanted, may_wait, held);
}

void KeyLocks::LockAll(Held* held) {
  LSMKV_ASSERT(held->empty());
  const std::span<Stripe> wanted = held->Room(kStripes);
  for (std::size_t i = 0; i < kStripes; ++i) wanted[i] = static_cast<Stripe>(i);
  const bool all = LockRoom(wanted, true, held);
  LSMKV_ASSERT(all);
}

}  // namespace lsmkv
