// Per-key locks: every command that writes a key holds the key's stripe from before its first read of the key until
// its batch is applied, plain SET included, so that read-modify-write commands are atomic.
//
//   stripe state   0 free | 1 held | 2 held, and someone may be parked
//   Lock           0 -> 1, or spin, or * -> 2 and park on the word (futex)
//   Unlock         1 -> 0; 2 -> 0 and wake one, which takes it as 2 since it cannot know whether others are parked
//
// Invariants
//   1. Stripes are taken in ascending order without duplicates, so lockers cannot wait for each other in a ring.
//   2. A key's stripe depends on the user key alone, not on its database: MOVE and SWAPDB need no special order.
//   3. Holding all stripes (LockAll) means that no command is between its first read and its write: the database table
//      may change.
//   4. Without `may_wait` nothing parks: an event loop spins for about a microsecond and gives up.
//
// Threads  any. A holder may wait for a disk read (it runs on a pool then), never for another holder's event loop.
// Not here who must lock what (operation.h). Clang's analysis cannot follow a set of stripes chosen at run time, so these
//          locks are not capabilities; operation.cpp asserts instead that a writer holds what it writes.
// Source   the three-state word is Drepper's "Futexes Are Tricky", mutex 2; striping as in Kvrocks' LockManager.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace lsmkv {

class KeyLocks {
 public:
  static constexpr std::size_t kStripes = 4096;   // 16 KiB of words: stays in the first-level cache, unlike padded ones
  using Stripe = std::uint16_t;

  /// What one command holds; gives it back when it goes. A single stripe costs no allocation, nor do up to eight.
  class Held {
   public:
    Held() = default;
    ~Held() { Release(); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    void Release();
    bool Holds(Stripe stripe) const;
    bool empty() const { return count_ == 0; }

   private:
    friend class KeyLocks;
    /// Room for `count` stripes, to be filled and then taken.
    std::span<Stripe> Room(std::size_t count);
    std::span<const Stripe> stripes() const { return {many_.empty() ? inline_.data() : many_.data(), count_}; }

    KeyLocks* locks_ = nullptr;
    std::size_t count_ = 0;                   // how many are held
    std::array<Stripe, 8> inline_;            // they, ascending, when there was room
    std::vector<Stripe> many_;                // else in here
  };

  static Stripe StripeOf(std::string_view key) { return static_cast<Stripe>(Hash(key) % kStripes); }

  /// Takes the stripes of one key / of keys[0], keys[step], keys[2 x step], … / all of them. `held` must be empty.
  /// False, and nothing is held: a stripe is taken by someone else and !may_wait.
  bool Lock(std::string_view key, bool may_wait, Held* held);
  bool LockSeveral(std::span<const std::string_view> keys, std::size_t step, bool may_wait, Held* held);
  void LockAll(Held* held);

 private:
  static constexpr int kFree = 0;
  static constexpr int kTaken = 1;
  static constexpr int kContended = 2;

  bool LockStripe(Stripe stripe, bool may_wait);
  bool LockSlow(std::atomic<int>& word, bool may_wait);
  void UnlockStripe(Stripe stripe);
  bool LockRoom(std::span<Stripe> wanted, bool may_wait, Held* held);

  std::array<std::atomic<int>, kStripes> words_{};   // acquire when taken, release when given back
};

}  // namespace lsmkv
