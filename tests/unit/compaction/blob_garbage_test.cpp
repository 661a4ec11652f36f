// When a blob file is emptied, by figures alone.
#include <catch2/catch.hpp>

#include "engine/compaction/blob_garbage.h"
#include "engine/compaction/picker.h"
#include "table_maker.h"

using namespace lsmkv;

namespace {

constexpr std::uint64_t kFileBytes = 1000 + kBlobOverheadBytes;
using Ids = std::set<std::uint64_t>;
using Live = std::vector<std::pair<std::uint64_t, std::uint64_t>>;   // blob file, live bytes of 1000

TablePtr TableWith(std::uint64_t id, std::string smallest, std::string largest, const Live& live) {
  TableRecord record;
  record.id = id;
  record.smallest_key = std::move(smallest);
  record.largest_key = std::move(largest);
  record.entries = 100;
  record.size_bytes = 1000;
  for (const auto& [blob, bytes] : live) record.blobs.push_back({blob, 1, bytes, kFileBytes});
  return FakeTableOf(std::move(record));
}

Options SmallOptions() {
  Options options;
  options.base_level_entries = 1000;
  options.max_sstable_bytes = 1 << 20;
  return options;
}

CompactionPlan Pick(const VersionPtr& version, const BusyTables& busy = {}) {
  const Options options = SmallOptions();
  return PickCompaction({*version, options, busy});
}
bool IsNothing(const CompactionPlan& plan) { return std::holds_alternative<std::monostate>(plan); }

/// Twenty files, which the one table of L1 refers to; the first of them is `dead` per mille dead, and the others `rest`.
VersionPtr TwentyFiles(std::uint64_t dead, std::uint64_t rest) {
  Live live = {{1, 1000 - dead}};
  for (std::uint64_t id = 2; id <= 20; ++id) live.emplace_back(id, 1000 - rest);
  return *Version::Make({{}, {TableWith(100, "a", "z", live)}});
}

}  // namespace

TEST_CASE("a version counts what its tables refer to, over every change", "[blob]") {
  const auto first = *Version::Make({{TableWith(100, "a", "z", {{1, 300}})}, {TableWith(101, "a", "m", {{1, 200}, {2, 1000}}), TableWith(102, "n", "z", {{2, 0}})}});
  CHECK(first->blobs().size() == 2);
  CHECK(first->blobs().at(1).live_bytes == 500);
  CHECK(first->blobs().at(1).dead_bytes() == 500);
  CHECK(first->blobs().at(1).tables == 2);
  VersionChange change;
  change.removed = {{0, 100}, {1, 101}};
  change.added = {{1, TableWith(103, "a", "m", {{2, 400}, {3, 900}})}};
  const auto second = *first->With(change);
  CHECK_FALSE(second->blobs().contains(1));       // nothing refers to it: it is gone
  CHECK(second->blobs().at(2).live_bytes == 400);
  CHECK(second->blobs().at(2).tables == 2);
  CHECK(second->blobs().at(3).dead_bytes() == 100);
  CHECK(first->blobs().at(1).live_bytes == 500);
  VersionChange move;                              // a table that only changes its level
  move.removed = {{1, 103}};
  move.added = {{2, second->level(1)[0]}};
  CHECK((*second->With(move))->blobs().at(3).live_bytes == 900);
}

TEST_CASE("a file is emptied in passing when it is mostly dead, or when its turn has come", "[blob]") {
  struct Case {
    std::uint64_t dead;     // of the first file, per mille
    std::uint64_t rest;     // of the others
    Ids worth;
  };
  const auto c = GENERATE(values<Case>({{0, 0, {}},
                                        {499, 0, {}},
                                        {500, 0, {1}},
                                        {300, 190, {}},          // 19.6% of all
                                        {300, 200, {1, 2}},      // 20.5%: a tenth of all files at once
                                        {800, 700, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}}}));
  CAPTURE(c.dead, c.rest);
  const VersionPtr version = TwentyFiles(c.dead, c.rest);
  CHECK(BlobGarbage(*version).WorthMoving(version->level(1), 0, UINT64_MAX) == c.worth);
}

TEST_CASE("a merge moves no more than its share", "[blob]") {
  const VersionPtr version = TwentyFiles(800, 700);
  const BlobGarbage garbage(*version);
  CHECK(garbage.WorthMoving(version->level(1), 0, 800) == Ids{1, 2, 3});     // 200 + 300 + 300 bytes are alive
  CHECK(garbage.WorthMoving(version->level(1), 9, 500) == Ids{9, 1});        // what it is for comes first
  CHECK(garbage.WorthMoving(version->level(1), 9, 1) == Ids{9});             // and is done however large it is
  CHECK(garbage.WorthMoving({}, 0, 800).empty());
}

TEST_CASE("a file that cannot be emptied counts for nothing", "[blob]") {
  const VersionPtr version = TwentyFiles(900, 100);
  version->blobs().at(1).file->MarkUnreadable();
  const BlobGarbage garbage(*version);
  CHECK(garbage.dead_share() == Approx(0.1));
  CHECK(garbage.candidates().empty());
  CHECK(garbage.WorthMoving(version->level(1), 0, UINT64_MAX).empty());
}

TEST_CASE("with too much garbage a table is rewritten where it stands", "[blob][picker]") {
  const auto versions = [](std::uint64_t live) {
    return *Version::Make({{}, {TableWith(100, "a", "m", {{1, live / 4}, {2, live}}), TableWith(101, "n", "z", {{1, live / 2}})}});
  };
  CHECK(IsNothing(Pick(versions(900))));                 // 21% of 2000 bytes are dead
  const VersionPtr version = versions(800);              // 30%
  const CompactionPlan plan = Pick(version);
  const auto& merge = std::get<Merge>(plan);
  CHECK(merge.target == 1);
  REQUIRE(merge.inputs.size() == 1);
  CHECK(merge.inputs[0].level == 1);
  CHECK(merge.inputs[0].tables[0]->id() == 101);         // which refers to most of file 1
  CHECK(merge.blobs_to_empty == Ids{1});
  BusyTables busy;
  busy.tables = {101};
  busy.jobs = {{1, {"n", "z"}}};
  const CompactionPlan beside = Pick(version, busy);
  CHECK(std::get<Merge>(beside).inputs[0].tables[0]->id() == 100);
  busy.jobs = {{1, {"a", "z"}}};
  CHECK(IsNothing(Pick(version, busy)));
}

TEST_CASE("garbage that L0 refers to goes with all of L0", "[blob][picker]") {
  const auto version = *Version::Make({{TableWith(100, "a", "f", {{1, 100}}), TableWith(101, "c", "k", {{2, 1000}})}, {TableWith(102, "b", "d", {})}});
  const CompactionPlan plan = Pick(version);
  const auto& merge = std::get<Merge>(plan);
  CHECK(merge.target == 1);
  CHECK(merge.inputs[0].tables.size() == 2);
  CHECK(merge.blobs_to_empty == Ids{1});
}

TEST_CASE("garbage does not keep a level busy that L0 waits for", "[blob][picker]") {
  LevelTables l0;
  for (std::uint64_t id = 1; id <= 4; ++id) l0.push_back(FakeTable(id, "a", "z", id, id));
  const auto version = *Version::Make({l0, {TableWith(100, "a", "m", {{50, 100}}), TableWith(101, "n", "z", {{51, 100}})}});
  BusyTables busy;
  busy.tables = {101};
  busy.jobs = {{1, {"n", "z"}}};
  CHECK(IsNothing(Pick(version, busy)));
  CHECK(std::get<Merge>(Pick(version)).inputs[0].level == 0);
}

TEST_CASE("a full compaction empties what is worth it as well", "[blob][picker]") {
  const VersionPtr version = TwentyFiles(800, 0);
  CHECK(std::get<Merge>(PlanManual(*version, std::nullopt, 2)).blobs_to_empty == Ids{1});
}
