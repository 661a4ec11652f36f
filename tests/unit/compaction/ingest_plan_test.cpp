// Where an ingest goes: each rule by name, and for random trees what makes a place right.
#include <catch2/catch.hpp>

#include <random>

#include "engine/compaction/ingest_plan.h"
#include "table_maker.h"

using namespace lsmkv;

namespace {

constexpr SequenceNumber kPoint = 1000;

Options LevelOptions() {
  Options options;
  options.base_level_entries = 0;
  options.base_level_bytes = 10'000;       // L1: 100 000, L2: 1 000 000
  options.max_sstable_bytes = 5000;
  return options;
}

IngestShape Shape(std::string smallest, std::string largest, std::uint64_t bytes) {
  return {{std::move(smallest), std::move(largest)}, kPoint, 100, bytes};
}

struct Planned {
  Planned(std::vector<LevelTables> levels, IngestShape with, Options options_now = LevelOptions(), BusyTables busy_now = {})
      : options(options_now), busy(std::move(busy_now)), shape(std::move(with)), version(*Version::Make(std::move(levels))),
        plan(PlanIngest({*version, options, busy, shape})) {}
  const Merge* merge() const { return std::get_if<Merge>(&plan); }
  bool waits() const { return std::holds_alternative<WaitForJobs>(plan); }
  /// -1: it does not go anywhere yet.
  int level() const { return merge() == nullptr ? -1 : static_cast<int>(merge()->target); }
  std::vector<std::uint64_t> inputs() const {
    std::vector<std::uint64_t> ids;
    for (const LevelInputs& input : merge()->inputs)
      for (const TablePtr& table : input.tables) ids.push_back(table->id());
    std::ranges::sort(ids);
    return ids;
  }
  const Options options;
  const BusyTables busy;
  const IngestShape shape;
  VersionPtr version;
  IngestPlan plan;
};
using Ids = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("into an empty tree an ingest goes where it has room", "[ingest]") {
  CHECK(Planned({}, Shape("a", "z", 5000)).level() == 1);
  CHECK(Planned({}, Shape("a", "z", 500'000)).level() == 2);
  CHECK(Planned({}, Shape("a", "z", 5'000'000)).level() == 3);
}

TEST_CASE("what overlaps nothing goes to the deepest level, and nothing is rewritten", "[ingest]") {
  const Planned planned({{FakeTable(1, "a", "c")}, {FakeTable(2, "a", "c")}, {FakeTable(3, "a", "c")}}, Shape("d", "f", 5000));
  CHECK(planned.level() == 2);
  CHECK(planned.inputs().empty());
}

TEST_CASE("a level that is full is passed by", "[ingest]") {
  CHECK(Planned({{}, {FakeTable(2, "a", "c", 1, 1, 100, 99'000)}}, Shape("d", "f", 5000)).level() == 2);
}

TEST_CASE("above what overlaps there may be a place too", "[ingest]") {
  const Planned planned({{}, {FakeTable(2, "a", "c")}, {FakeTable(3, "d", "f")}}, Shape("d", "f", 5000));
  CHECK(planned.level() == 1);
  CHECK(planned.inputs().empty());
}

TEST_CASE("newer tables of L0 may lie above it, older ones not", "[ingest]") {
  CHECK(Planned({{FakeTable(1, "a", "z", 1001, 1005)}}, Shape("d", "f", 5000)).level() == 1);
  CHECK(Planned({{FakeTable(1, "a", "z", 990, 999)}}, Shape("d", "f", 5000)).level() == 0);
}

TEST_CASE("a small one that overlaps becomes one table of L0", "[ingest]") {
  const Planned planned({{FakeTable(1, "a", "e", 5, 9)}, {FakeTable(2, "a", "z")}}, Shape("d", "f", 9000));
  CHECK(planned.level() == 0);
  CHECK(planned.inputs().empty());
}

TEST_CASE("a large one is merged into a level that may hold it, with what overlaps down to there", "[ingest]") {
  const Planned planned({{FakeTable(1, "a", "e", 5, 9), FakeTable(2, "x", "z", 10, 12), FakeTable(3, "b", "z", 1, 4)},
                         {FakeTable(4, "a", "b"), FakeTable(5, "h", "k"), FakeTable(6, "m", "n")},
                         {FakeTable(7, "a", "z")}},
                        Shape("d", "f", 20'000));
  CHECK(planned.level() == 1);
  CHECK(planned.inputs() == Ids{1, 3, 4, 5, 6});      // 3 overlaps 1 and is older; 2 is newer than 3 and overlaps neither
}

TEST_CASE("when L0 is full of tables a small one is merged as well", "[ingest]") {
  LevelTables l0;
  for (std::uint64_t i = 1; i <= Options().l0_slowdown_sstables; ++i) l0.push_back(FakeTable(i, "a", "z", i, i));
  CHECK(Planned({l0}, Shape("d", "f", 100)).level() == 1);
}

TEST_CASE("newer data that sank is merged with it, as deep as that lies", "[ingest]") {
  const std::vector<LevelTables> sunk = {{}, {}, {FakeTable(1, "a", "z", 5, 1007)}};
  CHECK(Planned(sunk, Shape("d", "f", 100)).level() == 2);
  CHECK(Planned(sunk, Shape("d", "f", 100)).inputs() == Ids{1});
  const std::vector<LevelTables> mixed = {{FakeTable(1, "a", "z", 999, 1001)}};
  CHECK(Planned(mixed, Shape("d", "f", 100)).inputs() == Ids{1});
}

TEST_CASE("newer data that a job is taking out of L0 is waited for, since it may go deeper than the ingest", "[ingest]") {
  BusyTables leaving;
  leaving.tables = {1};
  leaving.jobs = {{4, {"a", "z"}}};
  CHECK(Planned({{FakeTable(1, "a", "z", 1001, 1002)}}, Shape("d", "f", 100), LevelOptions(), leaving).waits());
  CHECK(Planned({{FakeTable(1, "a", "c", 1001, 1002)}}, Shape("d", "f", 100), LevelOptions(), leaving).level() == 1);   // not of its keys
}

TEST_CASE("a running job into the same level and range is not crossed", "[ingest]") {
  BusyTables busy;
  busy.jobs = {{2, {"c", "g"}}};
  CHECK(Planned({{}, {}, {FakeTable(1, "a", "b")}}, Shape("d", "f", 100), LevelOptions(), busy).level() == 1);
  busy.jobs = {{1, {"c", "g"}}};
  const std::vector<LevelTables> tree = {{FakeTable(1, "a", "e", 5, 9)}, {FakeTable(2, "a", "z")}};
  CHECK(Planned(tree, Shape("d", "f", 20'000), LevelOptions(), busy).waits());
  busy.jobs.clear();
  busy.damaged = {1, 2, 3};                 // nobody ends that: the job will say what it met
  CHECK_FALSE(Planned(tree, Shape("d", "f", 20'000), LevelOptions(), busy).waits());
  busy.damaged.clear();
  busy.tables = {2};
  CHECK(Planned(tree, Shape("d", "f", 20'000), LevelOptions(), busy).waits());
}

TEST_CASE("with one table a level a level is empty or merged whole", "[ingest]") {
  Options options = LevelOptions();
  options.max_sstable_bytes = 0;
  CHECK(Planned({}, Shape("d", "f", 500'000), options).level() == 2);
  const Planned merged({{}, {}, {FakeTable(1, "x", "z")}}, Shape("d", "f", 500'000), options);
  CHECK(merged.level() == 2);
  CHECK(merged.inputs() == Ids{1});
  CHECK(Planned({{}, {FakeTable(1, "x", "z")}}, Shape("d", "f", 500), options).level() == 0);
}

namespace {

std::uint32_t Below(std::mt19937& random, std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); }
std::string Key(std::uint32_t number) { return std::string(1, static_cast<char>('a' + number % 26)); }

std::vector<LevelTables> RandomTree(std::mt19937& random) {
  std::vector<LevelTables> levels(1 + Below(random, 4));
  std::uint64_t id = 1;
  SequenceNumber sequence = kPoint / 2 + random() % 20;       // doubled and odd below: nothing else has the point's number
  for (std::uint32_t i = Below(random, 5); i > 0; --i) {
    const SequenceNumber last = sequence - random() % 3;
    sequence = last - random() % 12;
    std::string first = Key(Below(random, 26)), second = Key(Below(random, 26));
    if (first > second) std::swap(first, second);
    levels[0].push_back(FakeTable(id++, first, second, 2 * sequence + 1, 2 * last + 1));
    --sequence;
  }
  for (std::size_t n = 1; n < levels.size(); ++n) {
    for (std::uint32_t at = Below(random, 8); at < 26; at += 1 + Below(random, 8)) {
      const std::uint32_t end = std::min<std::uint32_t>(25, at + Below(random, 4));
      const bool newer = random() % 20 == 0;
      levels[n].push_back(FakeTable(id++, Key(at), Key(end), 1, newer ? kPoint + 5 : kPoint - 5, 100, 500 + random() % 8000));
      at = end;
    }
  }
  return levels;
}

bool Overlaps(const TablePtr& table, const KeySpan& span) {
  return span.Overlaps({table->record().smallest_key, table->record().largest_key});
}

}  // namespace

TEST_CASE("in any tree: nothing newer below an ingest, nothing older above it", "[ingest][model]") {
  std::mt19937 random(11);
  int placed = 0, merged = 0, in_l0 = 0;
  for (int round = 0; round < 4000; ++round) {
    CAPTURE(round);
    Options options = LevelOptions();
    if (random() % 4 == 0) options.max_sstable_bytes = 0;
    std::string first = Key(Below(random, 26)), second = Key(Below(random, 26));
    if (first > second) std::swap(first, second);
    const std::uint64_t bytes = random() % 2 == 0 ? 100 + random() % 9000 : 20'000 + random() % 300'000;
    const Planned planned(RandomTree(random), Shape(first, second, bytes), options);
    REQUIRE(planned.merge() != nullptr);        // nothing runs that it could wait for
    const Merge& merge = *planned.merge();
    std::set<std::uint64_t> inputs;
    KeySpan span = planned.shape.span;
    for (const LevelInputs& level : merge.inputs) {
      REQUIRE(level.level <= merge.target);
      for (const TablePtr& table : level.tables) {
        inputs.insert(table->id());
        span = {std::min(span.smallest, table->record().smallest_key), std::max(span.largest, table->record().largest_key)};
      }
    }
    ++(merge.inputs.empty() ? merge.target == 0 ? in_l0 : placed : merged);
    for (std::uint32_t n = 0; n < planned.version->level_count(); ++n) {
      for (const TablePtr& table : planned.version->level(n)) {
        if (inputs.contains(table->id())) continue;
        const TableRecord& record = table->record();
        CAPTURE(n, record.id);
        const bool meets = Overlaps(table, planned.shape.span);
        if (meets && (n > merge.target || (n == merge.target && n > 0))) REQUIRE(record.largest_seq < kPoint);
        if (meets && n < merge.target) REQUIRE(record.smallest_seq > kPoint);
        if (meets && n == 0 && merge.target == 0) REQUIRE((record.smallest_seq > kPoint || record.largest_seq < kPoint));
        if (n == merge.target && n > 0) REQUIRE_FALSE(Overlaps(table, span));
        // What an input sinks past must not hold an older version of its keys.
        for (const LevelInputs& level : merge.inputs) {
          for (const TablePtr& input : level.tables) {
            const bool below = n > level.level && n <= merge.target;
            const bool older_in_l0 = n == 0 && level.level == 0 && record.largest_seq < input->record().largest_seq;
            if (below || older_in_l0) REQUIRE_FALSE(Overlaps(table, {input->record().smallest_key, input->record().largest_key}));
          }
        }
      }
    }
  }
  CHECK(placed > 100);
  CHECK(merged > 100);
  CHECK(in_l0 > 100);
}
