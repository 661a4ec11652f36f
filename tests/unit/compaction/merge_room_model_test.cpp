// Merges in steps against a model of the tree: whichever sets of sources are begun, left and taken up again while the room on the disk comes
// and goes, every key reads the same after each step as before it.
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>

#include "engine/compaction/merge_room.h"
#include "table_maker.h"

using namespace lsmkv;

namespace {

struct Cell {
  std::uint64_t sequence = 0;
  bool tombstone = false;
};
using Cells = std::map<std::string, Cell>;

constexpr std::uint64_t kCellBytes = 100;

/// L0, and an L1 with nothing below it; merges do in it what MergePiece and the scheduler's commit do in the engine's.
class ModelTree {
 public:
  explicit ModelTree(std::uint32_t seed) : random_(seed) {}

  void Flush() {
    Cells cells;
    sequence_ += 1000;                                 // room for what is ingested between two flushes
    const std::uint64_t count = 1 + Random(12);
    for (std::uint64_t i = 0; i < count; ++i) cells[RandomKey()] = {++sequence_, Random(3) == 0};
    for (const auto& [key, cell] : cells) newest_[key] = cell;
    l0_.insert(l0_.begin(), Add(std::move(cells)));
  }
  /// Comes to lie in L0 between what was flushed before its moment and after it; nothing newer has gone below it.
  void Ingest() {
    if (l0_.empty()) return;
    const std::size_t newer = 1 + Random(l0_.size());
    const std::uint64_t sequence = l0_[newer - 1]->record().smallest_seq - 1;
    if (newer < l0_.size() && l0_[newer]->record().largest_seq >= sequence) return;      // another one has this place
    Cells cells;
    const std::uint64_t count = 1 + Random(4);
    for (std::uint64_t i = 0; i < count; ++i) cells[RandomKey()] = {sequence, false};
    for (const auto& [smallest, table] : l1_)
      if (table->record().largest_seq >= sequence && table->record().largest_key >= cells.begin()->first && smallest <= cells.rbegin()->first) return;
    for (const auto& [key, cell] : cells)
      if (Cell& newest = newest_[key]; newest.sequence < sequence) newest = cell;
    l0_.insert(l0_.begin() + static_cast<std::ptrdiff_t>(newer), Add(std::move(cells)));
    begun_.clear();                                    // as the scheduler does when an ingest has landed
    ++ingests_;
  }
  /// Some of L0, the oldest, goes down, as far as there happens to be room.
  void Compact() {
    if (l0_.empty()) return;
    const std::size_t count = Random(2) == 0 ? l0_.size() : 1 + Random(l0_.size());
    Merge merge{{{0, {l0_.end() - static_cast<std::ptrdiff_t>(count), l0_.end()}}}, 1, "asked for"};
    const KeySpan span = SpanOf(merge);
    LevelInputs target{1, {}};
    for (const auto& [smallest, table] : l1_)
      if (table->record().largest_key >= span.smallest && smallest <= span.largest) target.tables.push_back(table);
    if (target.tables.empty()) return Run(merge);
    merge.inputs.push_back(std::move(target));
    const std::uint64_t room_bytes = Random(2 * BytesOf(merge));
    if (room_bytes >= BytesOf(merge)) return Run(merge);
    std::erase_if(begun_, [&](const MergeSteps& steps) {
      return !std::ranges::all_of(steps.sources, [&](std::uint64_t id) { return contents_.contains(id); });
    });
    const std::optional<Merge> step = NextStep(merge, begun_, room_bytes);
    if (!step) return;
    Run(*step);
    NoteStep(*step, &begun_);
    ++steps_;
  }
  /// Neighbours of L1 are cut anew, as when they are merged for another reason.
  void Rewrite() {
    if (l1_.size() < 2) return;
    auto at = std::next(l1_.begin(), static_cast<std::ptrdiff_t>(Random(l1_.size() - 1)));
    const TablePtr first = at->second;
    Run({{{1, {first, std::next(at)->second}}}, 1, "rewritten"});
  }
  /// The first key that reads as it should not; empty: none does.
  std::string WrongKey() const {
    for (const auto& [key, expected] : newest_) {
      const Cell found = Read(key);
      if (found.tombstone != expected.tombstone || (!found.tombstone && found.sequence != expected.sequence)) return key;
    }
    return "";
  }
  int steps() const { return steps_; }
  int ingests() const { return ingests_; }
  std::uint64_t Random(std::uint64_t below) { return random_() % below; }

 private:
  std::string RandomKey() { return "key" + std::to_string(100 + Random(40)); }

  TablePtr Add(Cells cells) {
    const std::uint64_t id = ++last_id_;
    const auto by_age = [](const auto& a, const auto& b) { return a.second.sequence < b.second.sequence; };
    const auto [oldest, newest] = std::ranges::minmax_element(cells, by_age);
    TablePtr table = FakeTable(id, cells.begin()->first, cells.rbegin()->first, oldest->second.sequence, newest->second.sequence, cells.size(),
                               kCellBytes * cells.size());
    contents_[id] = std::move(cells);
    return table;
  }

  void Run(const Merge& merge) {
    Cells merged;
    for (const LevelInputs& level : merge.inputs) {
      for (const TablePtr& table : level.tables) {
        for (const auto& [key, cell] : contents_.at(table->id())) {
          if ((merge.bounds.begin && key < *merge.bounds.begin) || (merge.bounds.end && key >= *merge.bounds.end)) continue;
          Cell& newest = merged[key];
          if (cell.sequence > newest.sequence) newest = cell;
        }
      }
    }
    for (const LevelInputs& level : merge.inputs)
      if (merge.Removes(level.level))
        for (const TablePtr& table : level.tables) Remove(*table);
    std::erase_if(merged, [](const auto& entry) { return entry.second.tombstone; });
    while (!merged.empty()) {                          // cut wherever a table happens to be full
      const auto end = std::next(merged.begin(), static_cast<std::ptrdiff_t>(1 + Random(std::min<std::uint64_t>(merged.size(), 8))));
      TablePtr table = Add(Cells(merged.begin(), end));
      merged.erase(merged.begin(), end);
      l1_[table->record().smallest_key] = table;
    }
  }
  void Remove(const TableFile& table) {
    contents_.erase(table.id());
    std::erase_if(l1_, [&](const auto& entry) { return entry.second->id() == table.id(); });
    std::erase_if(l0_, [&](const TablePtr& other) { return other->id() == table.id(); });
  }
  Cell Read(const std::string& key) const {
    for (const TablePtr& table : l0_)
      if (const auto found = contents_.at(table->id()).find(key); found != contents_.at(table->id()).end()) return found->second;
    for (const auto& [smallest, table] : l1_)
      if (const auto found = contents_.at(table->id()).find(key); found != contents_.at(table->id()).end()) return found->second;
    return {0, true};
  }

  std::mt19937 random_;
  std::uint64_t last_id_ = 0;
  std::uint64_t sequence_ = 0;
  int steps_ = 0;
  int ingests_ = 0;
  std::map<std::uint64_t, Cells> contents_;            // by a table's id
  std::vector<TablePtr> l0_;                           // newest first
  std::map<std::string, TablePtr> l1_;                 // by their smallest keys
  std::vector<MergeSteps> begun_;
  Cells newest_;
};

}  // namespace

TEST_CASE("merges in steps leave every key as it was, whichever sources are begun, left and taken up again", "[compaction][space]") {
  int steps = 0;
  int ingests = 0;
  for (std::uint32_t seed = 1; seed <= 400; ++seed) {
    ModelTree tree(seed);
    for (int round = 0; round < 200; ++round) {
      switch (tree.Random(6)) {
        case 0: case 1: tree.Flush(); break;
        case 2: tree.Random(2) == 0 ? tree.Rewrite() : tree.Ingest(); break;
        default: tree.Compact();
      }
      if (const std::string wrong = tree.WrongKey(); !wrong.empty()) FAIL("seed " << seed << ", round " << round << ": " << wrong);
    }
    steps += tree.steps();
    ingests += tree.ingests();
  }
  CHECK(steps > 5000);
  CHECK(ingests > 500);
}
