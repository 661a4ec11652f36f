#include <catch2/catch.hpp>

#include <algorithm>

#include "engine/compaction/merge_split.h"
#include "table_maker.h"

using namespace lsmkv;

namespace {

std::vector<Table::Section> Even(int count, std::uint64_t bytes, int first = 0, int step = 1) {
  std::vector<Table::Section> sections;
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(1000 + first + i * step);
    sections.push_back({"k" + number, bytes});
  }
  return sections;
}

Merge MergeOf(std::uint32_t target, std::size_t tables, std::uint64_t bytes) {
  Merge merge{{{target, {}}}, target, "test"};
  for (std::size_t i = 0; i < tables; ++i)
    merge.inputs[0].tables.push_back(FakeTable(i + 1, "a" + std::to_string(i), "a" + std::to_string(i), 1, 1, 100, bytes));
  return merge;
}

}  // namespace

TEST_CASE("cuts share the weight evenly over all inputs", "[compaction][split]") {
  std::vector<Table::Section> sections = Even(50, 10, 0, 2);
  const std::vector<Table::Section> others = Even(50, 10, 1, 2);
  sections.insert(sections.end(), others.begin(), others.end());
  const std::vector<std::string> cuts = CutsOf(sections, 4);
  CHECK(cuts == std::vector<std::string>{"k1024", "k1049", "k1074"});
}

TEST_CASE("one heavy section is not cut, and gives no empty piece", "[compaction][split]") {
  CHECK(CutsOf({{"a", 1}, {"b", 1'000'000}, {"c", 1}}, 4) == std::vector<std::string>{"b"});
  CHECK(CutsOf({{"a", 1'000'000}}, 4).empty());
  CHECK(CutsOf({{"same", 10}, {"same", 10}, {"same", 10}, {"z", 10}}, 4) == std::vector<std::string>{"same"});
  CHECK(CutsOf({}, 4).empty());
  CHECK(CutsOf(Even(10, 10), 1).empty());
  CHECK(CutsOf(Even(10, 0), 3).empty());
}

TEST_CASE("cuts ascend strictly, and are fewer than the pieces", "[compaction][split]") {
  for (std::size_t pieces = 2; pieces < 40; ++pieces) {
    const std::vector<std::string> cuts = CutsOf(Even(17, 3), pieces);
    CHECK(cuts.size() < pieces);
    CHECK(std::ranges::adjacent_find(cuts, std::greater_equal<>()) == cuts.end());
  }
}

TEST_CASE("only a merge of many tables' bytes into a level of many tables is split", "[compaction][split]") {
  CHECK(PiecesWorthMaking(MergeOf(1, 7, 1000), 1000) == 1);
  CHECK(PiecesWorthMaking(MergeOf(1, 8, 1000), 1000) == 2);
  CHECK(PiecesWorthMaking(MergeOf(1, 5000, 1000), 1000) == 64);
  CHECK(PiecesWorthMaking(MergeOf(1, 100, 1000), 0) == 1);   // a level is one table
  CHECK(PiecesWorthMaking(MergeOf(0, 100, 1000), 1000) == 1);
}
