// When L0 is merged within itself, and which of its tables. Versions are made by hand.
#include "engine/compaction/l0_gather.h"

#include <catch2/catch.hpp>

#include "table_maker.h"

using namespace lsmkv;

namespace {

using Ids = std::vector<std::uint64_t>;

/// Limits of L0: 1000 entries, 1000 bytes, 4 tables; writers are slowed from 20 on.
Options SmallOptions() {
  Options options;
  options.base_level_entries = 1000;
  options.base_level_bytes = 1000;
  options.max_sstable_bytes = 1 << 20;
  return options;
}

/// Tables 1, 2, ... of these sizes, the oldest first.
LevelTables L0Of(const std::vector<std::uint64_t>& bytes) {
  LevelTables l0;
  for (std::uint64_t i = 1; i <= bytes.size(); ++i) l0.push_back(FakeTable(i, "a", "z", i, i, 1, bytes[i - 1]));
  return l0;
}
LevelTables L1Of(std::uint64_t bytes, std::uint64_t entries = 500) { return {FakeTable(100, "a", "z", 1, 1, entries, bytes)}; }

/// What is merged within L0; empty: nothing. `down`: what goes to L1.
struct Gathered {
  Ids within;
  Ids down;
};
Gathered Pick(std::vector<LevelTables> levels, BusyTables busy = {}, bool filling = false, Options options = SmallOptions(),
              SequenceNumber ingest_point = 0) {
  const VersionPtr version = *Version::Make(std::move(levels));
  const CompactionPlan plan = PickCompaction({*version, options, busy, 0, false, filling, ingest_point});
  Gathered gathered;
  const auto* merge = std::get_if<Merge>(&plan);
  if (merge == nullptr || merge->inputs[0].level != 0) return gathered;
  Ids& ids = merge->target == 0 ? gathered.within : gathered.down;
  for (const TablePtr& table : merge->inputs[0].tables) ids.push_back(table->id());
  std::ranges::sort(ids);
  return gathered;
}

}  // namespace

TEST_CASE("while L1 is held L0 is gathered: late, neighbours, of about one size", "[picker][gather]") {
  const auto within = [](std::vector<std::uint64_t> bytes, std::set<std::uint64_t> also_busy = {}) {
    for (std::uint64_t& size : bytes) size *= 10;                          // near the limit of bytes
    BusyTables busy;
    busy.tables = {100};
    busy.jobs = {{2, {"a", "z"}}};
    busy.tables.merge(also_busy);
    const Gathered gathered = Pick({L0Of(bytes), L1Of(5000)}, busy);
    CHECK(gathered.down.empty());
    return gathered.within;
  };
  CHECK(within(std::vector<std::uint64_t>(11, 10)).empty());               // three fifths of l0-slowdown-sstables
  CHECK(within(std::vector<std::uint64_t>(12, 10)) == Ids{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});           // ten at most: others come meanwhile
  CHECK(within({900, 400, 100, 10, 10, 10, 10, 10, 10, 10, 10, 10}) == Ids{4, 5, 6, 7, 8, 9, 10, 11, 12});   // not what was gathered before
  CHECK(within({80, 80, 80, 80, 80, 80, 80, 80, 80, 10, 10, 10}) == Ids{8, 9, 10, 11, 12});           // the fewest bytes for each table less
  CHECK(within({10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10}, {3}) == Ids{4, 5, 6, 7, 8, 9, 10, 11, 12});      // none in between
  CHECK(within({10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10}, {1, 2, 3, 4, 5}).empty());           // too few that are free
  // Not more than twice the limit of bytes, or what could go down meanwhile would wait for its end.
  CHECK(within(std::vector<std::uint64_t>(12, 40)) == Ids{1, 2, 3, 4, 5});
  CHECK(within(std::vector<std::uint64_t>(19, 60)).empty());
  CHECK(within(std::vector<std::uint64_t>(20, 60)) == Ids{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});           // where writers would be slowed it must be
  Options no_bound = SmallOptions();
  no_bound.base_level_bytes = 1ull << 63;
  no_bound.base_level_entries = 12;
  no_bound.level_ratio = 100;
  CHECK(Pick({L0Of(std::vector<std::uint64_t>(12, 10)), L1Of(5000)}, {{100}, {{1, {"a", "z"}}}}, false, no_bound).within.size() == 10);
  // Each larger than those after it together: that costs the most, and is done only where writers would be slowed.
  std::vector<std::uint64_t> halves;
  for (std::uint64_t i = 0; i < 19; ++i) halves.push_back(1ull << (21 - i));
  CHECK(within(halves).empty());
  halves.push_back(2);
  CHECK(within(halves) == Ids{17, 18, 19, 20});
}

TEST_CASE("L0 that has its count of tables but few bytes does not rewrite a large L1", "[picker][gather]") {
  CHECK(Pick({L0Of({10, 10, 10}), L1Of(120)}).down == Ids{1, 2, 3});       // four times as much
  CHECK(Pick({L0Of({10, 10, 10}), L1Of(121)}).within == Ids{1, 2, 3});
  CHECK(Pick({L0Of({10, 10, 10}), L1Of(5000, 12)}).down == Ids{1, 2, 3});  // a quarter of its entries: that makes room
  CHECK(Pick({L0Of({80, 40, 10}), L1Of(5000)}).within == Ids{2, 3});       // and always ends below the count
  CHECK(Pick({L0Of({300, 200, 138}), L1Of(5000)}).down == Ids{1, 2, 3});   // three quarters of the soft limit, 850 bytes
  CHECK(Pick({L0Of({300, 200, 130}), L1Of(5000)}).within == Ids{1, 2, 3});
  Options entries = SmallOptions();
  entries.base_level_entries = 4;
  entries.level_ratio = 100;
  CHECK(Pick({L0Of({10, 10, 10}), L1Of(5000, 300)}, {}, false, entries).down == Ids{1, 2, 3});     // of entries it has enough
  Options one_table = SmallOptions();
  one_table.max_sstable_bytes = 0;
  CHECK(Pick({L0Of({10, 10, 10}), L1Of(5000)}, {}, false, one_table).down == Ids{1, 2, 3});   // each level one table: by design
  CHECK(Pick({L0Of({10, 10, 10}), {FakeTable(100, "zz", "zzz", 1, 1, 500, 5000)}}).down == Ids{1, 2, 3});   // overlaps nothing
}

TEST_CASE("L0 grows while it is filled, and goes down when that ends", "[picker][gather]") {
  const std::vector<std::uint64_t> bytes(12, 100);                         // 1200 of 1000
  CHECK(Pick({L0Of(bytes), L1Of(1700)}, {}, true).within.size() == 10);
  CHECK(Pick({L0Of(bytes), L1Of(1700)}, {}, false).down.size() == 12);
  CHECK(Pick({L0Of(bytes), L1Of(1500)}, {}, true).down.size() == 12);      // large enough for what it overlaps
  // Within its limit of bytes it grows until it has many tables, and if it is large enough for what it overlaps not even so far.
  const auto grows = [](std::size_t tables, std::uint64_t l1_bytes) {
    const Gathered gathered = Pick({L0Of(std::vector<std::uint64_t>(tables, 80)), L1Of(l1_bytes)}, {}, true);
    CHECK(gathered.within.empty());
    return gathered.down.empty();
  };
  CHECK(grows(11, 5000));
  CHECK_FALSE(grows(12, 5000));
  CHECK(grows(4, 250));
  CHECK_FALSE(grows(4, 230));
}

TEST_CASE("L0 waits for its own merges before it goes down, and begins no new ones", "[picker][gather]") {
  BusyTables busy;
  busy.tables = {11, 12, 13, 14};
  busy.jobs = {{0, {"a", "z"}}};
  const Gathered gathered = Pick({L0Of(std::vector<std::uint64_t>(24, 40)), L1Of(900)}, busy);
  CHECK(gathered.within.empty());
  CHECK(gathered.down.empty());
}

TEST_CASE("a damaged table of L0 does not keep the others from being gathered", "[picker][gather]") {
  BusyTables damaged;                       // for good, and no job
  damaged.damaged = {3};
  CHECK(Pick({L0Of(std::vector<std::uint64_t>(12, 100)), L1Of(900)}, damaged).within == Ids{4, 5, 6, 7, 8, 9, 10, 11, 12});
}

TEST_CASE("tables before and after an ingest under way do not become one", "[picker][gather]") {
  // Tables 1, 2 and 3 have the sequence numbers 1, 2 and 3. Of an ingest at 1 or 2 what it brings will lie in between.
  const auto within = [](SequenceNumber point) { return Pick({L0Of({10, 10, 10}), L1Of(5000)}, {}, false, SmallOptions(), point).within; };
  CHECK(within(0) == Ids{1, 2, 3});
  CHECK(within(1) == Ids{2, 3});
  CHECK(within(2) == Ids{1, 2});
  CHECK(within(3) == Ids{1, 2, 3});
}

TEST_CASE("a table with no neighbour to be merged with goes down, however little it is", "[picker][gather]") {
  Options options = SmallOptions();
  options.max_l0_sstables = 1;
  CHECK(Pick({L0Of({10}), L1Of(5000)}, {}, false, options).down == Ids{1});
}

TEST_CASE("tables on their way down make no hurry with those that came since", "[picker][gather]") {
  Options options = SmallOptions();
  options.l0_slowdown_sstables = 8;
  options.l0_stop_sstables = 16;
  BusyTables busy;
  busy.jobs = {{1, {"a", "z"}}};
  for (std::uint64_t id = 1; id <= 9; ++id) busy.tables.insert(id);
  CHECK(Pick({L0Of(std::vector<std::uint64_t>(16, 100)), L1Of(900)}, busy, false, options).within.empty());
  CHECK(Pick({L0Of(std::vector<std::uint64_t>(17, 100)), L1Of(900)}, busy, false, options).within == Ids{10, 11, 12, 13, 14, 15, 16, 17});
}

TEST_CASE("while L0 grows by choice L1 goes down from its soft limit on", "[picker][gather]") {
  Options options = SmallOptions();                                        // L1: 10'000 bytes, 8'500 of them soft
  const VersionPtr version = *Version::Make({L0Of(std::vector<std::uint64_t>(5, 300)), L1Of(9000), {FakeTable(200, "b", "c")}});
  const BusyTables busy;
  const CompactionPlan plan = PickCompaction({*version, options, busy, 0, false, true});
  const auto* merge = std::get_if<Merge>(&plan);
  REQUIRE(merge != nullptr);
  CHECK(merge->target == 2);
}

TEST_CASE("of an L0 that is several times what lies below the oldest go down", "[picker][l0]") {
  const std::vector<std::uint64_t> sizes(20, 1000);
  CHECK(Pick({L0Of(sizes), L1Of(10'000)}).down.size() == 20);                             // twice
  CHECK(Pick({L0Of(sizes), L1Of(6'000)}).down == Ids{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13});
  CHECK(Pick({L0Of(sizes), L1Of(1'000)}).down == Ids{1, 2, 3, 4, 5, 6, 7, 8, 9});         // no less than eight times L0's limit
  CHECK(Pick({L0Of({50'000, 1000, 1000, 1000}), L1Of(1'000)}).down == Ids{1});            // one at least
  CHECK(Pick({L0Of(sizes)}).down.size() == 20);                                           // below there is nothing to be rewritten
}
