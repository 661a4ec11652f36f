// Of the simulation itself: what it must find, and that it does nothing but what the seed says.
#include "simulation.h"

#include <catch2/catch.hpp>

#include <optional>
#include <set>
#include <vector>

#include "base/mutex.h"
#include "base/thread.h"
#include "base/thread_pool.h"
#include "history.h"

using namespace lsmkv;
using namespace lsmkv::simulation;
using std::chrono::microseconds;

namespace {

constexpr std::uint64_t kSeeds = 300;

/// The first seed under which `run`, which is given the seed, says true.
template <typename Run>
std::optional<std::uint64_t> FirstSeedThat(const Run& run) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    if (run(seed)) return seed;
  }
  return std::nullopt;
}

/// Two threads that run `work`, and the end of both.
void InTwoThreads(const std::function<void()>& work) {
  Thread one("one", work);
  Thread two("two", work);
  one.Join();
  two.Join();
}

}  // namespace

TEST_CASE("a lock that is kept makes a counter right under every seed, one that is let go too early is found", "[simulation]") {
  const auto count = [](std::uint64_t seed, bool let_go) {
    int counter = 0;
    const Outcome outcome = Simulate(seed, [&] {
      Mutex mutex;
      InTwoThreads([&] {
        for (int i = 0; i < 3; ++i) {
          mutex.Lock();
          const int before = counter;
          if (let_go) {
            mutex.Unlock();
            mutex.Lock();
          }
          counter = before + 1;
          mutex.Unlock();
        }
      });
    });
    REQUIRE(outcome.ok());
    return counter;
  };
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) REQUIRE(count(seed, false) == 6);
  CHECK(FirstSeedThat([&](std::uint64_t seed) { return count(seed, true) < 6; }));
}

TEST_CASE("a signal between the look and the wait is lost, and that is found as a deadlock", "[simulation]") {
  const auto outcome = [](std::uint64_t seed, bool under_the_mutex) {
    struct Bell {
      Mutex mutex;
      CondVar rung;
      bool done = false;
    };
    const auto bell = std::make_shared<Bell>();    // outlives this: a deadlock leaves its threads behind
    return Simulate(seed, [bell, under_the_mutex] {
      Thread rings("rings", [&] {
        std::optional<MutexLock> lock;
        if (under_the_mutex) lock.emplace(bell->mutex);
        bell->done = true;
        bell->rung.NotifyOne();
      });
      bell->mutex.Lock();
      if (under_the_mutex) {
        while (!bell->done) bell->rung.Wait(bell->mutex);
      } else if (!bell->done) {
        bell->rung.Wait(bell->mutex);
      }
      bell->mutex.Unlock();
      rings.Join();
    });
  };
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) REQUIRE(outcome(seed, true).ok());
  const auto lost = FirstSeedThat([&](std::uint64_t seed) { return outcome(seed, false).end == Outcome::End::kDeadlock; });
  REQUIRE(lost);
  CHECK(outcome(*lost, false).report.find("main-0: waits for a signal") != std::string::npos);
}

TEST_CASE("two locks taken in two orders are found as a deadlock that names who holds what", "[simulation]") {
  struct Locks {
    Mutex a, b;
  };
  const auto outcome = [](std::uint64_t seed) {
    const auto locks = std::make_shared<Locks>();
    return Simulate(seed, [locks] {
      Thread other("other", [&] {
        const MutexLock a(locks->a);
        const MutexLock b(locks->b);
      });
      {
        const MutexLock b(locks->b);
        const MutexLock a(locks->a);
      }
      other.Join();
    });
  };
  const auto found = FirstSeedThat([&](std::uint64_t seed) { return outcome(seed).end == Outcome::End::kDeadlock; });
  REQUIRE(found);
  const std::string report = outcome(*found).report;
  INFO(report);
  CHECK(report.find("main-0: waits for a mutex that other-1 holds") != std::string::npos);
  CHECK(report.find("other-1: waits for a mutex that main-0 holds") != std::string::npos);
}

TEST_CASE("who never gives up and never gets on is found as a livelock", "[simulation]") {
  const Outcome outcome = Simulate(1, [] {
    while (true) SleepFor(microseconds(100));
  }, {.steps = 1000});
  CHECK(outcome.end == Outcome::End::kLivelock);
}

TEST_CASE("time is the simulation's: hours pass in no time, and waits end in their order", "[simulation]") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    std::vector<int> order;
    const Outcome outcome = Simulate(seed, [&] {
      SimulatedClock clock;
      const microseconds begin = clock.Monotonic();
      std::vector<Thread> threads;
      for (int hours : {3, 1, 2}) {
        threads.emplace_back("sleeper", [&, hours] {
          SleepFor(std::chrono::hours(hours));
          order.push_back(hours);
        });
      }
      Mutex mutex;
      CondVar never;
      bool signalled = true;
      mutex.Lock();
      while (clock.Monotonic() - begin < std::chrono::hours(4)) signalled = never.WaitFor(mutex, std::chrono::hours(4));
      mutex.Unlock();
      if (signalled) order.push_back(-1);
      for (Thread& thread : threads) thread.Join();
    });
    REQUIRE(outcome.ok());
    CHECK(order == std::vector<int>{1, 2, 3});
    CHECK(outcome.time >= std::chrono::hours(4));
  }
}

TEST_CASE("a seed is an interleaving: the same one leaves the same trace, others lead elsewhere", "[simulation]") {
  const auto run = [](std::uint64_t seed, std::vector<int>* order) {
    return Simulate(seed, [order] {
      Mutex mutex;
      ThreadPool pool("pool", 3);
      for (int i = 0; i < 12; ++i) {
        pool.Submit([&mutex, order, i] {
          const MutexLock lock(mutex);
          order->push_back(i);
        });
      }
      pool.Stop(ThreadPool::StopMode::kDrain);
    });
  };
  std::set<std::vector<int>> orders;
  std::set<std::uint64_t> traces;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    std::vector<int> first, second;
    const Outcome once = run(seed, &first);
    const Outcome again = run(seed, &second);
    REQUIRE(once.ok());
    REQUIRE(first.size() == 12);
    REQUIRE(first == second);
    REQUIRE(once.trace == again.trace);
    REQUIRE(once.steps == again.steps);
    REQUIRE(once.time == again.time);
    orders.insert(first);
    traces.insert(once.trace);
  }
  CHECK(traces.size() > 80);     // under some nobody is interrupted
  CHECK(orders.size() > 20);
}

TEST_CASE("what a thread's own objects do when it ends belongs to the simulation", "[simulation]") {
  static Mutex mutex;
  static int ended;
  struct AtTheEnd {
    ~AtTheEnd() {
      const MutexLock lock(mutex);
      ++ended;
    }
  };
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    ended = 0;
    int seen = 0;
    REQUIRE(Simulate(seed, [&] {
      InTwoThreads([] { static thread_local AtTheEnd at_the_end; });
      seen = ended;
    }).ok());
    CHECK(seen == 2);
  }
}

TEST_CASE("an ingest of which nobody knows whether it has happened explains itself, wherever it stands, and nothing else", "[simulation]") {
  History history;
  history.Wrote(1, {{"a", "first", 0}}, 0);
  history.AllowGaps();
  history.MayHaveIngested(1, {{"a", "ingested", 0}}, 1);
  history.Wrote(3, {{"b", "second", 0}}, 0);
  history.Wrote(4, {{"a", "third", 0}}, 0);
  const auto fault_at = [&](SequenceNumber at, const State& found) { return history.FaultAt({at, at, 0, 0, 2, 3}, at, found); };
  CHECK(fault_at(3, {{"a", {"first", 0}}, {"b", {"second", 0}}}).empty());
  CHECK(fault_at(3, {{"a", {"ingested", 0}}, {"b", {"second", 0}}}).empty());
  CHECK_FALSE(fault_at(3, {{"b", {"second", 0}}}).empty());
  CHECK_FALSE(fault_at(3, {{"a", {"first", 0}}, {"b", {"ingested", 0}}}).empty());
  CHECK(fault_at(4, {{"a", {"third", 0}}, {"b", {"second", 0}}}).empty());
  CHECK_FALSE(fault_at(4, {{"a", {"ingested", 0}}, {"b", {"second", 0}}}).empty());
  CHECK(fault_at(5, {{"a", {"ingested", 0}}, {"b", {"second", 0}}}).empty());
  history.Saw({3, 4, 0, 0, 4, 5}, "a", Value{"ingested", 0});
  CHECK(history.Fault().empty());
  history.Saw({3, 4, 0, 0, 6, 7}, "a", std::nullopt);
  CHECK_FALSE(history.Fault().empty());
  history.Forget(4);                               // after an end it does not come any more
  CHECK_FALSE(fault_at(5, {{"a", {"ingested", 0}}, {"b", {"second", 0}}}).empty());
}
