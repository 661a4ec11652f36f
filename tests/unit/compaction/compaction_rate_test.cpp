#include <catch2/catch.hpp>

#include <thread>
#include <vector>

#include "engine/compaction/compaction_rate.h"
#include "table_maker.h"

using namespace lsmkv;
using std::chrono::microseconds;

namespace {

CompactionRate::Pressure Merging(double debt, std::int64_t p99_us) { return {debt, true, microseconds(p99_us)}; }

}  // namespace

TEST_CASE("an automatic rate has no bound until the foreground suffers", "[rate]") {
  CompactionRate rate(Clock::System(), 0);
  for (int i = 0; i < 20; ++i) rate.Adapt({0.5, false, microseconds(2000)});   // quiet: 2 ms
  for (int i = 0; i < 20; ++i) rate.Adapt(Merging(0.5, 5000));
  CHECK(rate.bytes_per_second() == 0);
  rate.Adapt(Merging(0.5, 7000));
  CHECK(rate.bytes_per_second() > 0);
  std::uint64_t last = rate.bytes_per_second();
  for (int i = 0; i < 100; ++i) {
    rate.Adapt(Merging(0.5, 7000));
    CHECK(rate.bytes_per_second() <= last);
    last = rate.bytes_per_second();
  }
  CHECK(last == CompactionRate::kLeastRate);
  for (int i = 0; i < 100; ++i) rate.Adapt(Merging(0.5, 1500));                // nobody is disturbed
  CHECK(rate.bytes_per_second() == 0);
}

TEST_CASE("towards the hard limit the least rate rises without a step, and past it there is none", "[rate]") {
  CompactionRate rate(Clock::System(), 0);
  std::uint64_t last = 0;
  for (double debt = 0.5; debt < 0.995; debt += 0.01) {
    for (int i = 0; i < 50; ++i) rate.Adapt(Merging(debt, 1'000'000));
    const std::uint64_t now = rate.bytes_per_second();
    CHECK(now > last);
    if (last != 0) CHECK(static_cast<double>(now) < 1.15 * static_cast<double>(last));
    last = now;
  }
  rate.Adapt(Merging(1.0, 1'000'000));
  CHECK(rate.bytes_per_second() == 0);
}

TEST_CASE("a fixed rate stays, and is kept by several threads together", "[rate]") {
  const std::uint64_t per_second = 10 << 20;
  CompactionRate rate(Clock::System(), per_second);
  rate.Adapt(Merging(5, 1));
  CHECK(rate.bytes_per_second() == per_second);
  const std::atomic<bool> hurry{false};
  const microseconds start = Clock::System().Monotonic();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) rate.Charge(per_second / 100, hurry);   // 30 hundredths of a second in all
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(Clock::System().Monotonic() - start >= microseconds(270'000));
}

TEST_CASE("who is in a hurry does not wait", "[rate]") {
  CompactionRate rate(Clock::System(), 1);
  const std::atomic<bool> hurry{true};
  rate.Charge(1 << 30, hurry);      // a thousand years otherwise
}

TEST_CASE("the window tells its p99 within a fifth, and forgets it", "[rate]") {
  LatencyWindow window;
  CHECK(window.TakeP99() == microseconds(0));
  for (int i = 1; i <= 1000; ++i) window.Add(microseconds(i * 10));
  const auto p99 = static_cast<double>(window.TakeP99().count());
  CHECK(p99 >= 9900);
  CHECK(p99 <= 9900 * 1.2);
  CHECK(window.TakeP99() == microseconds(0));
  window.Add(microseconds(0));
  CHECK(window.TakeP99() <= microseconds(2));
  window.Add(std::chrono::hours(10));
  CHECK(window.TakeP99() >= std::chrono::seconds(16));
}

TEST_CASE("the debt of L0 is how near writers are to being slowed, not how far it is past limits it passes by choice", "[rate]") {
  Options options;
  options.base_level_bytes = 1000;                           // of L0; L1 may have 10,000
  options.max_sstable_bytes = 1 << 20;
  options.max_l0_sstables = 4;
  options.l0_slowdown_sstables = 20;
  const auto debt = [&](std::uint64_t l0_tables, std::uint64_t l1_bytes) {
    std::vector<LevelTables> levels(2);
    for (std::uint64_t id = 1; id <= l0_tables; ++id) levels[0].push_back(FakeTable(id, "a", "z", id, id, 1, 900));
    levels[1].push_back(FakeTable(100, "a", "z", 1, 1, 1, l1_bytes));
    return CompactionDebt(**Version::Make(std::move(levels)), options);
  };
  CHECK(debt(10, 1000) == Approx(0.5));                      // two and a half times its tables, nine times its bytes
  CHECK(debt(20, 1000) == Approx(1));
  CHECK(debt(5, 8000) == Approx(0.8));                       // the larger of the two
  CHECK(debt(5, 12'000) == Approx(1.2));
  options.max_sstable_bytes = 0;                             // one table a level: nothing is put off there
  CHECK(debt(8, 1000) == Approx(7.2));
}
