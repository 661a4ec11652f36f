#include <catch2/catch.hpp>

#include "../compaction/table_maker.h"
#include "engine/version/version.h"

using namespace lsmkv;

TEST_CASE("L0 is ordered newest first, deeper levels by key", "[version]") {
  const auto version = Version::Make({{FakeTable(1, "a", "z", 1, 10), FakeTable(2, "a", "z", 11, 20)}, {FakeTable(4, "m", "p"), FakeTable(3, "a", "c")}});
  REQUIRE(version);
  CHECK((*version)->level(0)[0]->id() == 2);
  CHECK((*version)->level(1)[0]->id() == 3);
}

TEST_CASE("a deeper level whose tables overlap is refused by name", "[version]") {
  const auto version = Version::Make({{}, {FakeTable(1, "a", "m"), FakeTable(2, "m", "z")}});
  REQUIRE_FALSE(version);
  CHECK(version.error().code() == StatusCode::kCorruption);
}

TEST_CASE("the table that may hold a key", "[version]") {
  const auto version = *Version::Make({{}, {FakeTable(1, "b", "d"), FakeTable(2, "f", "f"), FakeTable(3, "h", "k")}});
  struct Case { const char* key; std::uint64_t id; };
  const auto c = GENERATE(values<Case>({{"a", 0}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 0}, {"f", 2}, {"g", 0}, {"k", 3}, {"l", 0}}));
  CAPTURE(c.key);
  const TablePtr* table = version->FindTable(1, c.key);
  CHECK((table == nullptr ? 0 : (*table)->id()) == c.id);
}

TEST_CASE("a change makes a new version and leaves the old one", "[version]") {
  const auto before = *Version::Make({{FakeTable(1, "a", "c"), FakeTable(2, "b", "d")}, {FakeTable(3, "a", "z")}});
  VersionChange change;
  change.removed = {{0, 1}, {0, 2}, {1, 3}};
  change.added = {{1, FakeTable(4, "a", "m")}, {1, FakeTable(5, "n", "z")}};
  const auto after = before->With(change);
  REQUIRE(after);
  CHECK(before->level(0).size() == 2);
  CHECK((*after)->level(0).empty());
  CHECK((*after)->level(1).size() == 2);
  CHECK((*after)->figures(1).sstables == 2);
  CHECK((*after)->Overlapping(1, "m", "n").size() == 2);
  CHECK((*after)->Overlapping(1, "mm", "mz").empty());
}
