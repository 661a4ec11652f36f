// What a merge costs, and how it is cut into steps.
#include <catch2/catch.hpp>

#include "engine/compaction/merge_room.h"
#include "table_maker.h"

using namespace lsmkv;

namespace {

/// Two tables of L0 over "a" to "y", 200 bytes each, and four of L1 with 1000 bytes each.
Merge WideMerge() {
  return {{{0, {FakeTable(10, "a", "y", 20, 29, 100, 200), FakeTable(9, "b", "x", 10, 19, 100, 200)}},
           {1, {FakeTable(1, "b", "d"), FakeTable(2, "f", "h"), FakeTable(3, "k", "m"), FakeTable(4, "p", "r")}}},
          1,
          "asked for"};
}

std::vector<std::uint64_t> TargetIds(const Merge& step) {
  std::vector<std::uint64_t> ids;
  for (const LevelInputs& level : step.inputs) {
    if (level.level != step.target) continue;
    for (const TablePtr& table : level.tables) ids.push_back(table->id());
  }
  return ids;
}

}  // namespace

TEST_CASE("steps go over the target from end to end, and the last one takes the sources away", "[compaction][space]") {
  const Merge merge = WideMerge();
  std::vector<MergeSteps> begun;
  std::vector<std::vector<std::uint64_t>> taken;
  std::optional<std::string> end;
  while (taken.size() < 10) {
    const std::optional<Merge> step = NextStep(merge, begun, 2300);     // two tables, and a tenth more each for the sources
    REQUIRE(step.has_value());
    CHECK(step->bounds.begin == end);
    CHECK(BytesOf(*step) <= 2300);
    CHECK(step->inputs[0].tables.size() == 2);
    CHECK(step->Removes(1));
    CHECK(step->Removes(0) == !step->bounds.end.has_value());
    taken.push_back(TargetIds(*step));
    if (!step->bounds.end) break;
    NoteStep(*step, &begun);
    REQUIRE(begun.size() == 1);
    CHECK(begun[0].sources == std::set<std::uint64_t>{9, 10});
    end = begun[0].next_key;
  }
  CHECK(taken == std::vector<std::vector<std::uint64_t>>{{1, 2}, {3, 4}});
}

TEST_CASE("sources that came later wait for the next merge", "[compaction][space]") {
  Merge merge = WideMerge();
  const std::vector<MergeSteps> begun = {{{77}, 1, "c"}, {{9, 10}, 2, "c"}, {{9, 10}, 1, "f"}};
  merge.inputs[0].tables.insert(merge.inputs[0].tables.begin(), FakeTable(11, "a", "zz", 30, 39, 100, 200));
  const std::optional<Merge> step = NextStep(merge, begun, 1500);
  REQUIRE(step.has_value());
  CHECK(InputIdsOf(*step) == std::set<std::uint64_t>{9, 10, 2});
  CHECK(step->bounds.begin == "f");
  CHECK(step->bounds.end == "k");
}

TEST_CASE("behind the target's last table the rest of the sources follows", "[compaction][space]") {
  const std::optional<Merge> step = NextStep(WideMerge(), std::vector<MergeSteps>{{{9, 10}, 1, "s"}}, 100);
  REQUIRE(step.has_value());
  CHECK(TargetIds(*step).empty());
  CHECK(step->Removes(0));
  CHECK(BytesOf(*step) > 0);
}

TEST_CASE("where not one table fits, and where nothing lies below, there is no step", "[compaction][space]") {
  CHECK_FALSE(NextStep(WideMerge(), {}, 1000).has_value());
  const Merge in_place{{{1, {FakeTable(1, "b", "d")}}}, 1, "in place"};
  CHECK_FALSE(NextStep(in_place, {}, 1 << 20).has_value());
  const Merge onto_nothing{{{0, {FakeTable(1, "b", "d")}}}, 1, "onto nothing"};
  CHECK_FALSE(NextStep(onto_nothing, {}, 1 << 20).has_value());
}

TEST_CASE("a merge costs what it reads, and likely what its tombstones leave of it", "[compaction][space]") {
  const Merge merge = WideMerge();
  CHECK(BytesOf(merge) == 4400);
  CHECK(LivePart(merge) == 1);
  TableRecord dead;
  dead.id = 20;
  dead.entries = dead.tombstones = 300;
  Merge with_dead = merge;
  with_dead.inputs[0].tables.push_back(FakeTableOf(dead));
  CHECK(LivePart(with_dead) == Approx(0.5));    // 600 values, 300 tombstones
}

TEST_CASE("what gave up for want of room waits for more room, other tables, or something that succeeds", "[compaction][space]") {
  GaveUp gave_up;
  const Merge merge = WideMerge();
  const std::optional<Merge> step = NextStep(merge, {}, 2300);
  REQUIRE(step.has_value());
  CHECK_FALSE(gave_up.Holds(*step, 2300));
  gave_up.Add(*step, 2300);
  CHECK(gave_up.Holds(*step, 2300));
  CHECK(gave_up.Holds(*step, 100));             // less is no better
  CHECK(gave_up.Holds(*step, 2800));
  CHECK_FALSE(gave_up.Holds(*step, 2900));      // somebody has removed something
  CHECK_FALSE(gave_up.Holds(merge, 2300));      // the whole of it is another thing to try
  gave_up.Add(merge, 2300);
  CHECK(gave_up.Holds(merge, 2300));
  CHECK(gave_up.Holds(*step, 2300));            // neither makes the other be tried again
  Merge grown = merge;
  grown.inputs[0].tables.push_back(FakeTable(11, "a", "z"));
  CHECK_FALSE(gave_up.Holds(grown, 2300));
  gave_up.Clear();
  CHECK_FALSE(gave_up.Holds(*step, 2300));
  for (std::uint64_t id = 100; id < 300; ++id) gave_up.Add(Merge{{{0, {FakeTable(id, "a", "b")}}}, 1, "many"}, 1);      // bounded
  CHECK_FALSE(gave_up.Holds(Merge{{{0, {FakeTable(100, "a", "b")}}}, 1, "many"}, 1));
}
