#include "keyspace/key_locks.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>

namespace lsmkv {
namespace {

TEST_CASE("a taken stripe refuses who may not wait, until it is given back", "[locks]") {
  const auto locks = std::make_unique<KeyLocks>();
  KeyLocks::Held first;
  REQUIRE(locks->Lock("a", false, &first));
  CHECK(first.Holds(KeyLocks::StripeOf("a")));
  KeyLocks::Held second;
  CHECK_FALSE(locks->Lock("a", false, &second));
  CHECK(second.empty());
  const std::string_view keys[] = {"x", "a", "y"};
  CHECK_FALSE(locks->LockSeveral(keys, 1, false, &second));
  CHECK(locks->LockSeveral(keys, 2, false, &second));   // x and y
  second.Release();
  first.Release();
  CHECK(locks->LockSeveral(keys, 1, false, &second));
  KeyLocks::Held third;
  CHECK_FALSE(locks->Lock("y", false, &third));
}

TEST_CASE("the same key several times is locked once", "[locks]") {
  const auto locks = std::make_unique<KeyLocks>();
  KeyLocks::Held held;
  const std::string_view keys[] = {"a", "b", "a", "a", "b"};
  REQUIRE(locks->LockSeveral(keys, 1, false, &held));
  CHECK(held.Holds(KeyLocks::StripeOf("a")));
  CHECK(held.Holds(KeyLocks::StripeOf("b")));
  held.Release();
  REQUIRE(locks->Lock("a", false, &held));
}

TEST_CASE("more keys than fit in place, and all stripes", "[locks]") {
  const auto locks = std::make_unique<KeyLocks>();
  std::vector<std::string> names;
  for (int i = 0; i < 10000; ++i) names.push_back(std::to_string(i));
  const std::vector<std::string_view> keys(names.begin(), names.end());
  for (const std::size_t count : {1u, 2u, 8u, 9u, 100u, 10000u}) {
    KeyLocks::Held held;
    REQUIRE(locks->LockSeveral(std::span(keys).first(count), 1, false, &held));
    KeyLocks::Held other;
    for (std::size_t i = 0; i < count; ++i) REQUIRE_FALSE(locks->Lock(keys[i], false, &other));
  }
  KeyLocks::Held all;
  locks->LockAll(&all);
  KeyLocks::Held other;
  CHECK_FALSE(locks->Lock("anything", false, &other));
  all.Release();
  CHECK(locks->Lock("anything", false, &other));
}

TEST_CASE("locks exclude, whether taken one by one, in sets or all, and nobody is forgotten", "[locks][threads]") {
  const auto locks = std::make_unique<KeyLocks>();
  constexpr int kKeys = 8;
  std::array<int, kKeys> counters{};   // not atomic: the locks are what guards them
  std::array<std::string, kKeys> names;
  for (int i = 0; i < kKeys; ++i) names[static_cast<std::size_t>(i)] = "key" + std::to_string(i);
  std::array<std::atomic<int>, kKeys> expected{};
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int step = 0; step < 3000; ++step) {
        KeyLocks::Held held;
        std::set<std::size_t> mine;
        std::vector<std::string_view> keys;
        const bool may_wait = random() % 2 == 0;
        if (random() % 50 == 0) {
          locks->LockAll(&held);
          for (std::size_t i = 0; i < kKeys; ++i) mine.insert(i);
        } else {
          for (std::size_t n = 1 + random() % 3; n > 0; --n) {
            const std::size_t which = random() % kKeys;
            mine.insert(which);
            keys.push_back(names[which]);
          }
          if (!locks->LockSeveral(keys, 1, may_wait, &held)) continue;
        }
        for (const std::size_t which : mine) {
          ++counters[which];
          ++expected[which];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < kKeys; ++i) CHECK(counters[i] == expected[i]);
}

TEST_CASE("the cost of an uncontended lock", "[.benchmark]") {
  const auto locks = std::make_unique<KeyLocks>();
  constexpr int kRounds = 10'000'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    KeyLocks::Held held;
    if (!locks->Lock("key:000000012345", false, &held)) std::abort();
  }
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  std::cout << "lock and unlock of one key: " << time.count() / kRounds << " ns\n";
}

}  // namespace
}  // namespace lsmkv
