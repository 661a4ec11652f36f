// What writers are held back for, and how far. Versions are made by hand; no file is touched.
#include "engine/write_debt.h"

#include <catch2/catch.hpp>

#include "compaction/table_maker.h"
#include "engine/compaction/blob_garbage.h"

using namespace lsmkv;

namespace {

Options DebtOptions() {
  Options options;
  options.base_level_entries = 1000;
  options.base_level_bytes = 1 << 20;
  options.l0_slowdown_sstables = 10;
  options.l0_stop_sstables = 20;
  return options;
}

double DebtOf(std::vector<LevelTables> levels, double memtable_fill = 0, const LevelFigures& l0_in_merges = {}) {
  const VersionPtr version = *Version::Make(std::move(levels));
  return DebtOfWriters(*version, DebtOptions(), WaitingL0(*version, l0_in_merges), memtable_fill).largest();
}

}  // namespace

TEST_CASE("writers are slowed from l0-slowdown-sstables on, and as far as it goes at l0-stop-sstables", "[engine][admission]") {
  const auto with_l0 = [](std::uint64_t tables, std::uint64_t in_merges = 0) {
    LevelTables l0;
    for (std::uint64_t i = 0; i < tables; ++i) l0.push_back(FakeTable(1 + i, "a", "z", 1 + i, 1 + i));
    return DebtOf({std::move(l0)}, 0, {in_merges});
  };
  CHECK(with_l0(0) == 0);
  CHECK(with_l0(10) == 0);
  CHECK(with_l0(11) == Approx(0.1));
  CHECK(with_l0(15) == Approx(0.5));
  CHECK(with_l0(20) == 1);
  CHECK(with_l0(25) == 1);
  CHECK(with_l0(25, 10) == Approx(0.5));      // what goes down does not count
  CHECK(with_l0(25, 15) == 0);
  CHECK(with_l0(3, 4) == 0);                  // a merge has just ended
}

TEST_CASE("a deeper level slows writers from its hard limit on, in entries or bytes, and never as far as L0", "[engine][admission]") {
  const auto with_l1 = [](std::uint64_t entries, std::uint64_t bytes) { return DebtOf({{}, {FakeTable(1, "a", "z", 1, 1, entries, bytes)}}); };
  CHECK(with_l1(10'000, 10 << 20) == 0);
  CHECK(with_l1(20'000, 10 << 20) == Approx(0.35));
  CHECK(with_l1(10'000, 20 << 20) == Approx(0.35));
  CHECK(with_l1(30'000, 10 << 20) == Approx(0.7));
  CHECK(with_l1(90'000, 90 << 20) == Approx(0.7));
  CHECK(DebtOf({{}, {}, {FakeTable(1, "a", "z", 1, 1, 200'000, 1)}}) == Approx(0.35));
}

TEST_CASE("the bytes of L0 slow writers when they are many beside what lies deeper", "[engine][admission]") {
  constexpr std::uint64_t kMega = 1 << 20;                                     // L0's limit; no level is past its own below
  const auto with = [](std::uint64_t l0, std::uint64_t deeper, std::uint64_t in_merges = 0) {
    return DebtOf({{FakeTable(1, "a", "z", 1, 1, 90'000, l0 * kMega)}, {}, {FakeTable(2, "a", "z", 1, 1, 1, deeper * kMega)}}, 0,
                  {0, 0, 0, in_merges * kMega});
  };
  CHECK(with(3, 0) == 0);
  CHECK(with(5, 0) == Approx(0.7 * 2 / 3));
  CHECK(with(6, 0) == Approx(0.7));
  CHECK(with(60, 80) == 0);
  CHECK(with(90, 80) == Approx(0.35));
  CHECK(with(160, 80) == Approx(0.7));
  CHECK(with(160, 80, 120) == 0);              // what goes down does not count,
  CHECK(with(240, 80, 200) == Approx(0.45));   // unless it is too much in all: it may have to go down from the start
  CHECK(with(400, 80, 400) == Approx(0.9));
  CHECK(with(4, 80, 5) == 0);
}

TEST_CASE("dead bytes in blob files slow writers when they are more than was promised", "[engine][admission]") {
  const auto with_dead = [](double share) {
    constexpr std::uint64_t kBytes = 1'000'000;
    TableRecord record;
    record.id = 1;
    record.smallest_key = "a";
    record.largest_key = "z";
    record.entries = 100;
    record.size_bytes = 1000;
    record.blobs.push_back({2, 1, kBytes - static_cast<std::uint64_t>(share * kBytes), kBytes + kBlobOverheadBytes});
    return DebtOf({{}, {FakeTableOf(std::move(record))}});
  };
  CHECK(with_dead(kBlobDeadLimit) == Approx(0).margin(0.001));
  CHECK(with_dead(1.5 * kBlobDeadLimit) == Approx(0.3).epsilon(0.01));
  CHECK(with_dead(2 * kBlobDeadLimit) == Approx(0.6).epsilon(0.01));
  CHECK(with_dead(0.9) == Approx(0.6));
}

TEST_CASE("the debt of memtables stands by itself: what writers are used to does not count against it", "[engine][admission]") {
  const VersionPtr version = *Version::Make({{}, {FakeTable(1, "a", "z", 1, 1, 20'000)}});
  const WriteDebt debt = DebtOfWriters(*version, DebtOptions(), WaitingL0(*version, {}), 0.875);
  CHECK(debt.tree == Approx(0.35));
  CHECK(debt.memtables == Approx(0.475));
  CHECK(debt.largest() == Approx(0.475));
}

TEST_CASE("memtables slow writers before they are full, and the largest debt counts", "[engine][admission]") {
  CHECK(DebtOf({}, 0.75) == 0);
  CHECK(DebtOf({}, 0.875) == Approx(0.475));
  CHECK(DebtOf({}, 1) == Approx(0.95));
  const LevelTables l1 = {FakeTable(1, "a", "z", 1, 1, 20'000)};
  CHECK(DebtOf({{}, l1}, 0.8) == Approx(0.35));
  CHECK(DebtOf({{}, l1}, 0.875) == Approx(0.475));
}
