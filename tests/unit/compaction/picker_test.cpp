// The rules of the picker, each by name. Versions are made by hand; no file is touched.
#include <catch2/catch.hpp>

#include "engine/compaction/picker.h"
#include "table_maker.h"

using namespace lsmkv;

namespace {

Options SmallOptions() {
  Options options;
  options.base_level_entries = 1000;
  options.base_level_bytes = 1 << 20;
  options.max_sstable_bytes = 1 << 20;
  return options;
}

struct Picked {
  explicit Picked(std::vector<LevelTables> levels, Options with = SmallOptions(), BusyTables busy_now = {}, std::uint64_t now_ms = 0,
                  bool idle = false)
      : options(with), busy(std::move(busy_now)), version(*Version::Make(std::move(levels))),
        plan(PickCompaction({*version, options, busy, now_ms, idle})) {}
  const Merge* merge() const { return std::get_if<Merge>(&plan); }
  const TrivialMove* move() const { return std::get_if<TrivialMove>(&plan); }
  const Drop* drop() const { return std::get_if<Drop>(&plan); }
  bool nothing() const { return std::holds_alternative<std::monostate>(plan); }
  std::vector<std::uint64_t> Ids(std::size_t input) const {
    std::vector<std::uint64_t> ids;
    for (const TablePtr& table : merge()->inputs[input].tables) ids.push_back(table->id());
    std::ranges::sort(ids);
    return ids;
  }
  const Options options;
  const BusyTables busy;
  VersionPtr version;
  CompactionPlan plan;
};

using Ids = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("below every soft limit nothing is compacted", "[picker]") {
  CHECK(Picked({{FakeTable(1, "a", "z"), FakeTable(2, "a", "z")}, {FakeTable(3, "a", "z")}}).nothing());
}

TEST_CASE("three tables in L0 reach the soft limit of four", "[picker]") {
  const Picked picked({{FakeTable(1, "a", "f", 1, 1), FakeTable(2, "c", "h", 2, 2), FakeTable(3, "b", "c", 3, 3)},
                       {FakeTable(4, "a", "b"), FakeTable(5, "g", "k"), FakeTable(6, "m", "z")}});
  REQUIRE(picked.merge() != nullptr);
  CHECK(picked.merge()->target == 1);
  CHECK(picked.Ids(0) == Ids{1, 2, 3});
  CHECK(picked.Ids(1) == Ids{4, 5});       // not 6: it overlaps nothing
}

TEST_CASE("with a ratio of 1 L0 waits for its hard limit", "[picker]") {
  Options options = SmallOptions();
  options.soft_limit_ratio = 1.0;
  CHECK(Picked({{FakeTable(1, "a", "f", 1, 1), FakeTable(2, "c", "h", 2, 2), FakeTable(3, "b", "c", 3, 3)}}, options).nothing());
  CHECK(Picked({{FakeTable(1, "a", "f", 1, 1), FakeTable(2, "c", "h", 2, 2), FakeTable(3, "b", "c", 3, 3), FakeTable(4, "a", "z", 4, 4)}}, options).merge() != nullptr);
}

TEST_CASE("tables of L0 that overlap nothing move without a rewrite", "[picker]") {
  const Picked picked({{FakeTable(1, "a", "b", 1, 1), FakeTable(2, "c", "d", 2, 2), FakeTable(3, "e", "f", 3, 3)}, {FakeTable(4, "m", "z")}});
  REQUIRE(picked.move() != nullptr);
  CHECK(picked.move()->tables.size() == 3);
  CHECK(picked.move()->to == 1);
}

TEST_CASE("the highest score goes first", "[picker]") {
  // L1: 20,000 of 8,500 entries; L0: 3 of 3 tables.
  const Picked picked({{FakeTable(1, "a", "z", 1, 1), FakeTable(2, "a", "z", 2, 2), FakeTable(3, "a", "z", 3, 3)}, {FakeTable(4, "a", "z", 1, 1, 20000)}});
  REQUIRE(picked.move() != nullptr);
  CHECK(picked.move()->from == 1);
}

TEST_CASE("an L1 past its hard limit goes before L0, whatever the scores, and L0 is merged within itself meanwhile", "[picker]") {
  LevelTables l0;
  for (std::uint64_t i = 1; i <= 12; ++i) l0.push_back(FakeTable(i, "a", "z", i, i));     // a score of 4
  const auto with_l1 = [&](std::uint64_t entries, BusyTables busy = {}) {
    return Picked({l0, {FakeTable(100, "a", "m", 1, 1, entries), FakeTable(101, "n", "z", 1, 1, 1)}, {FakeTable(102, "a", "m")}}, SmallOptions(), std::move(busy));
  };
  const Picked at_limit = with_l1(9'999);       // 10,000 of 10,000 entries
  REQUIRE(at_limit.merge() != nullptr);
  CHECK(at_limit.merge()->target == 1);
  const Picked past_limit = with_l1(10'000);
  REQUIRE_FALSE(past_limit.nothing());
  CHECK((past_limit.move() != nullptr ? past_limit.move()->from : past_limit.merge()->target - 1) == 1);
  BusyTables busy;
  busy.tables = {100, 101, 102};
  busy.jobs = {{2, {"a", "z"}}};
  const Picked held = with_l1(10'000, busy);
  REQUIRE(held.merge() != nullptr);
  CHECK(held.merge()->target == 0);
  BusyTables damaged;                            // no job: what L1 would be merged into is left alone for good
  damaged.damaged = {102};
  const LevelTables whole_l1 = {FakeTable(100, "a", "m", 1, 1, 10'001)};
  const Picked stuck({l0, whole_l1, {FakeTable(102, "a", "m")}}, SmallOptions(), damaged);
  REQUIRE(stuck.merge() != nullptr);
  CHECK(stuck.merge()->target == 1);
}

TEST_CASE("a deeper level gives the table that drags the least along", "[picker]") {
  const Picked picked({{}, {FakeTable(1, "a", "c", 1, 1, 5000), FakeTable(2, "d", "f", 1, 1, 5000)},
                       {FakeTable(3, "a", "b", 1, 1, 1, 9000), FakeTable(4, "c", "c", 1, 1, 1, 9000), FakeTable(5, "e", "e", 1, 1, 1, 2000)}});
  REQUIRE(picked.merge() != nullptr);
  CHECK(picked.Ids(0) == Ids{2});
  CHECK(picked.Ids(1) == Ids{5});
  CHECK(picked.merge()->target == 2);
}

TEST_CASE("of tables that drag as much along the one with most dead data goes first, and of equals the oldest", "[picker]") {
  const auto first = [](std::uint64_t tombstones, std::uint64_t age_of_second, std::uint64_t bytes_below_second) {
    TableRecord second;
    second.id = 2;
    second.smallest_key = "d";
    second.largest_key = "f";
    second.entries = 5000;
    second.tombstones = tombstones;
    second.size_bytes = 1000;
    second.smallest_seq = second.largest_seq = age_of_second;
    const Picked picked({{}, {FakeTable(1, "a", "c", 10, 10, 5000), FakeTableOf(second), FakeTable(3, "g", "i", 10, 10, 5000)},
                         {FakeTable(4, "a", "b", 1, 1, 1, 4000), FakeTable(5, "e", "e", 1, 1, 1, bytes_below_second), FakeTable(6, "g", "h", 1, 1, 1, 4000)}});
    REQUIRE(picked.merge() != nullptr);
    return picked.Ids(0).front();
  };
  CHECK(first(0, 11, 4000) == 1);
  CHECK(first(0, 9, 4000) == 2);             // older
  CHECK(first(1000, 11, 4000) == 2);         // with more that is dead
  CHECK(first(1000, 11, 4400) == 2);         // a fifth of it is dead, which makes up for a tenth more
  CHECK(first(1000, 11, 4500) == 1);
}

TEST_CASE("one table a level: the whole level and the whole next one", "[picker]") {
  Options options = SmallOptions();
  options.max_sstable_bytes = 0;
  const Picked merged({{}, {FakeTable(1, "a", "c", 1, 1, 9000)}, {FakeTable(2, "x", "z")}}, options);
  REQUIRE(merged.merge() != nullptr);
  CHECK(merged.Ids(0) == Ids{1});
  CHECK(merged.Ids(1) == Ids{2});
  const Picked moved({{}, {FakeTable(1, "a", "c", 1, 1, 9000)}}, options);
  CHECK(moved.move() != nullptr);
}

TEST_CASE("a busy level waits, and lower scores do not prolong its wait", "[picker]") {
  BusyTables busy;
  busy.tables = {4};
  busy.jobs = {{2, {"a", "z"}}};
  const std::vector<LevelTables> levels = {{FakeTable(1, "a", "z", 1, 1), FakeTable(2, "a", "z", 2, 2), FakeTable(3, "a", "z", 3, 3)},
                                           {FakeTable(4, "a", "m", 1, 1, 8000), FakeTable(5, "n", "z", 1, 1, 600)}};
  CHECK(Picked(levels, SmallOptions(), busy).nothing());
}

TEST_CASE("jobs that do not meet run side by side", "[picker]") {
  BusyTables busy;
  busy.tables = {1, 3};
  busy.jobs = {{2, {"a", "c"}}};
  const Picked picked({{}, {FakeTable(1, "a", "c", 1, 1, 5000), FakeTable(2, "d", "f", 1, 1, 5000)}, {FakeTable(3, "a", "b"), FakeTable(4, "e", "g")}},
                      SmallOptions(), busy);
  REQUIRE(picked.merge() != nullptr);
  CHECK(picked.Ids(0) == Ids{2});
  CHECK(picked.Ids(1) == Ids{4});
}

TEST_CASE("a table that reaches into a flushed database is rewritten at once, one that lies in it is dropped", "[picker]") {
  struct Flushed final : CompactionFilter {
    bool IsDead(std::string_view key) const override { return key >= "d" && key < "m"; }
    bool IsRangeDead(std::string_view smallest, std::string_view largest) const override { return IsDead(smallest) && IsDead(largest); }
  };
  const Flushed filter;
  Options options = SmallOptions();
  options.compaction_filter = &filter;
  const auto picked = [&](std::vector<LevelTables> levels) { return Picked(std::move(levels), options); };
  CHECK(picked({{}, {FakeTable(1, "d", "f")}}).drop() != nullptr);
  // Nothing of it is read: so a damaged one goes too, but not one that a job reads.
  BusyTables damaged;
  damaged.damaged = {1};
  CHECK(Picked({{}, {FakeTable(1, "d", "f")}}, options, damaged).drop() != nullptr);
  BusyTables busy;
  busy.tables = {1};
  CHECK(Picked({{}, {FakeTable(1, "d", "f")}}, options, busy).nothing());
  CHECK(picked({{}, {FakeTable(1, "a", "c"), FakeTable(2, "m", "z")}}).nothing());
  for (const auto& table : {FakeTable(7, "a", "f"), FakeTable(7, "k", "z")}) {
    const auto in_place = picked({{}, {}, {table}});
    REQUIRE(in_place.merge() != nullptr);
    CHECK(in_place.merge()->target == 2);
    const auto from_l0 = picked({{table}});
    CHECK(!from_l0.nothing());
  }
}

TEST_CASE("a table whose entries have all expired is dropped unread, unless it hides something", "[picker]") {
  TableRecord expired;
  expired.id = 1;
  expired.smallest_key = "a";
  expired.largest_key = "c";
  expired.entries = expired.expiring = 10;
  expired.expires_first_ms = 100;
  expired.expires_last_ms = 200;
  CHECK(Picked({{}, {FakeTableOf(expired)}}, SmallOptions(), {}, 200).drop() == nullptr);
  CHECK(Picked({{}, {FakeTableOf(expired)}}, SmallOptions(), {}, 201).drop() != nullptr);
  CHECK(Picked({{}, {FakeTableOf(expired)}, {FakeTable(2, "b", "z")}}, SmallOptions(), {}, 201).drop() == nullptr);
  expired.entries = 11;                  // one entry lives for ever
  CHECK(Picked({{}, {FakeTableOf(expired)}}, SmallOptions(), {}, 201).drop() == nullptr);
}

TEST_CASE("a table of tombstones is compacted though no limit is reached", "[picker]") {
  TableRecord dead;
  dead.id = 1;
  dead.smallest_key = "a";
  dead.largest_key = "c";
  dead.entries = 100;
  dead.tombstones = 30;
  dead.created_at_ms = 5000;
  const std::uint64_t due = dead.created_at_ms + 300'000;     // half of ten minutes
  CHECK(Picked({{}, {FakeTableOf(dead)}}, SmallOptions(), {}, due - 1).nothing());
  const Picked in_place({{}, {FakeTableOf(dead)}}, SmallOptions(), {}, due);
  REQUIRE(in_place.merge() != nullptr);
  CHECK(in_place.merge()->target == 1);
  const Picked down({{}, {FakeTableOf(dead)}, {FakeTable(2, "b", "b")}}, SmallOptions(), {}, due);
  REQUIRE(down.merge() != nullptr);
  CHECK(down.merge()->target == 2);
  dead.tombstones = 29;
  CHECK(Picked({{}, {FakeTableOf(dead)}}, SmallOptions(), {}, due).nothing());
}

TEST_CASE("on a disk that is low what is dead goes at once", "[picker][space]") {
  TableRecord dead;
  dead.id = 1;
  dead.smallest_key = dead.largest_key = "a";
  dead.entries = 100;
  dead.tombstones = 30;
  dead.created_at_ms = 5000;
  const VersionPtr version = *Version::Make({{}, {FakeTableOf(dead)}});
  const Options options = SmallOptions();
  const BusyTables busy;
  PickerInput input{*version, options, busy, dead.created_at_ms};
  CHECK(std::holds_alternative<std::monostate>(PickCompaction(input)));
  input.disk_low = true;
  CHECK(std::holds_alternative<Merge>(PickCompaction(input)));
}

TEST_CASE("of L0 a table may go down alone that lies over no older one", "[picker][space]") {
  const VersionPtr version = *Version::Make({{FakeTable(1, "a", "f", 1, 1), FakeTable(2, "c", "h", 2, 2), FakeTable(3, "m", "n", 3, 3),
                                              FakeTable(4, "x", "z", 4, 4)}, {FakeTable(5, "a", "b"), FakeTable(6, "n", "p")}});
  const Options options = SmallOptions();
  const BusyTables busy{.tables = {4}, .jobs = {}};
  const std::vector<CompactionPlan> plans = PlansOfOneOfL0({*version, options, busy}, "no room");
  std::vector<Ids> taken;
  for (const CompactionPlan& plan : plans) {
    const auto& merge = std::get<Merge>(plan);
    CHECK(merge.target == 1);
    taken.push_back({merge.inputs[0].tables[0]->id(), merge.inputs[1].tables[0]->id()});
  }
  CHECK(taken == std::vector<Ids>{{3, 6}, {1, 5}});      // 2 lies over 1, and 4 is busy
  const std::vector<CompactionPlan> move = PlansOfOneOfL0({*version, options, {.tables = {1, 2, 3}, .jobs = {}}}, "no room");
  REQUIRE(move.size() == 1);
  CHECK(std::holds_alternative<TrivialMove>(move[0]));
}

TEST_CASE("a table that has been dead for all of dead-max-age goes before levels over their limits, but not before an L0 that slows writers", "[picker]") {
  TableRecord dead;
  dead.id = 9;
  dead.smallest_key = "x";
  dead.largest_key = "z";
  dead.entries = 100;
  dead.tombstones = 50;
  dead.created_at_ms = 5000;
  const std::uint64_t due = dead.created_at_ms + 600'000;
  const Options options = SmallOptions();
  const auto first = [&](std::uint64_t l0_tables, std::uint64_t now_ms, bool l0_only = false) {
    std::vector<LevelTables> levels{{}, {FakeTable(1, "a", "c", 1, 1, 20'000)}, {FakeTable(2, "a", "c"), FakeTableOf(dead)}};
    for (std::uint64_t i = 0; i < l0_tables; ++i) levels[0].push_back(FakeTable(100 + i, "a", "m", 2 + i, 2 + i));
    const VersionPtr version = *Version::Make(std::move(levels));
    const BusyTables nobody;
    PickerInput input{*version, options, nobody, now_ms};
    input.l0_only = l0_only;
    const CompactionPlan plan = PickCompaction(input);
    const auto* merge = std::get_if<Merge>(&plan);
    REQUIRE(merge != nullptr);
    return merge->inputs.front().tables.front()->id();
  };
  CHECK(first(0, due - 1) == 1);
  CHECK(first(0, due) == 9);
  CHECK(first(options.l0_slowdown_sstables - 1, due) == 9);
  CHECK(first(options.l0_slowdown_sstables, due) != 9);
  CHECK(first(options.l0_slowdown_sstables - 1, due, true) >= 100);
}

TEST_CASE("of two tables that are mostly dead the one that has been so for longer goes first", "[picker]") {
  TableRecord expiring;
  expiring.id = 1;
  expiring.smallest_key = "a";
  expiring.largest_key = "c";
  expiring.entries = 100;
  expiring.expiring = 50;
  expiring.expires_first_ms = 1'000'000;
  expiring.expires_last_ms = 1'100'000;           // 30 of 100 are dead at 1'060'000
  TableRecord tombstones = expiring;
  tombstones.id = 2;
  tombstones.smallest_key = "d";
  tombstones.largest_key = "f";
  tombstones.expiring = 0;
  tombstones.tombstones = 31;
  const auto first_at = [&](std::uint64_t made_ms, std::uint64_t now_ms) {
    tombstones.created_at_ms = made_ms;
    return Picked({{}, {FakeTableOf(expiring), FakeTableOf(tombstones)}}, SmallOptions(), {}, now_ms).Ids(0);
  };
  CHECK(first_at(1'059'000, 2'000'000) == Ids{2});
  CHECK(first_at(1'061'000, 2'000'000) == Ids{1});
  CHECK(first_at(1'061'000, 1'360'000) == Ids{1});
}

TEST_CASE("a full compaction takes every level, deeper ones than the target included", "[picker]") {
  const auto version = *Version::Make({{FakeTable(1, "a", "b")}, {FakeTable(2, "a", "b")}, {}, {FakeTable(3, "a", "b")}});
  const CompactionPlan plan = PlanManual(*version, std::nullopt, 1);
  const auto& merge = std::get<Merge>(plan);
  CHECK(merge.inputs.size() == 3);
  CHECK(merge.target == 1);
  CHECK(std::get<Merge>(PlanManual(*version, 0, 1)).inputs.size() == 2);
  CHECK(std::holds_alternative<std::monostate>(PlanManual(*Version::Make({}).value(), std::nullopt, 1)));
}

TEST_CASE("a tree at rest moves its upper levels down when they are more than a tenth of the last", "[picker]") {
  Options options = SmallOptions();
  options.max_sstable_bytes = 1000;
  options.base_level_entries = 0;
  const auto tree = [](std::uint64_t l0, std::uint64_t l1, std::uint64_t l2) {
    std::vector<LevelTables> levels(3);
    if (l0 > 0) levels[0] = {FakeTable(1, "a", "m", 9, 9, 10, l0)};
    if (l1 > 0) levels[1] = {FakeTable(2, "a", "c", 5, 5, 10, l1 / 2), FakeTable(3, "d", "m", 5, 5, 10, l1 / 2)};
    levels[2] = {FakeTable(4, "a", "z", 1, 1, 10, l2)};
    return levels;
  };
  const auto idle = [&](std::vector<LevelTables> levels) { return Picked(std::move(levels), options, {}, 0, true); };
  CHECK(Picked(tree(500, 2000, 10'000), options).nothing());            // not while something is written
  CHECK(idle(tree(400, 600, 10'000)).nothing());                        // a tenth
  CHECK(idle(tree(400, 400, 5000)).nothing());                          // less than a table's worth
  const Picked l0 = idle(tree(500, 600, 10'000));
  REQUIRE(l0.merge() != nullptr);
  CHECK(l0.merge()->target == 1);
  const Picked l1 = idle(tree(0, 1200, 10'000));
  REQUIRE(l1.merge() != nullptr);
  CHECK(l1.merge()->target == 2);
  options.max_sstable_bytes = 0;
  CHECK(idle(tree(500, 2000, 10'000)).nothing());
}
