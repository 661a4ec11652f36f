// The commit protocol without a disk: whatever prefix of a plan's writes has happened, recovery finds the tree before the
// edit or the tree after it.
#include "manifest_fixture.h"

namespace lsmkv::manifest_test {
namespace {

std::vector<LevelManifest> Plan(const Manifests& on_disk, const VersionEdit& edit) {
  auto plan = PlanCommit(on_disk, edit, 100, 5000);
  REQUIRE(plan.status().message() == "");
  return *plan;
}

std::vector<std::uint32_t> LevelsOf(const std::vector<LevelManifest>& writes) {
  std::vector<std::uint32_t> levels;
  for (const LevelManifest& manifest : writes) levels.push_back(manifest.level);
  return levels;
}

VersionEdit Flush(std::uint64_t id, std::uint64_t floor = 1) {
  return {.target_level = 0, .added = {Table(id)}, .removed = {}, .wal_floor = floor, .flushed_sequence = id * 10 + 9};
}

/// A tree of a few levels with some `replaces` left over.
Manifests SomeTree() {
  Manifests on_disk;
  for (const std::uint64_t id : {1u, 2u, 3u}) Write(&on_disk, Plan(on_disk, Flush(id)));
  Write(&on_disk, Plan(on_disk, {.target_level = 1, .added = {Table(4, "a", "m"), Table(5, "n", "z")},
                                 .removed = {{0, 1}, {0, 2}}, .wal_floor = {}, .flushed_sequence = {}}));
  return on_disk;
}

Tree LiveTree(const Manifests& on_disk) {
  const auto resolution = Resolve(on_disk, 6000);
  REQUIRE(resolution.status().message() == "");
  Manifests finished = on_disk;
  Write(&finished, resolution->to_write);
  CHECK(TreeOf(finished) == TreeOf(resolution->live));
  return TreeOf(resolution->live);
}

/// Every crash point of `edit`; returns the manifests after it.
Manifests CommitWithEveryCrash(const Manifests& before, const VersionEdit& edit) {
  const Tree tree_before = LiveTree(before);
  const Tree tree_after = After(tree_before, edit);
  Manifests on_disk = before;
  bool committed = false;
  for (const LevelManifest& write : Plan(before, edit)) {
    CHECK(write.revision == (on_disk.contains(write.level) ? on_disk[write.level].revision + 1 : 1));
    Write(&on_disk, {write});
    const Tree tree = LiveTree(on_disk);
    CHECK((tree == tree_after || (!committed && tree == tree_before)));
    committed = tree == tree_after;
  }
  CHECK(LiveTree(on_disk) == tree_after);
  CHECK(TreeOf(on_disk) == tree_after);
  return on_disk;
}

}  // namespace

TEST_CASE("a flush is one write, and moves the WAL's floor in it", "[manifest]") {
  const auto writes = Plan({}, Flush(1, 12));
  REQUIRE(LevelsOf(writes) == std::vector<std::uint32_t>{0});
  CHECK(writes[0].wal_floor == 12u);
  CHECK(writes[0].flushed_sequence == 19u);
  CHECK(writes[0].last_id == 100);
  CHECK(writes[0].written_at_ms == 5000);
}

TEST_CASE("a compaction writes its target first, which replaces the inputs of other levels", "[manifest]") {
  const Manifests tree = SomeTree();
  const VersionEdit edit{.target_level = 1, .added = {Table(6, "p", "z"), Table(7, "a", "o")},
                         .removed = {{0, 3}, {1, 4}, {1, 5}}, .wal_floor = {}, .flushed_sequence = {}};
  const auto writes = Plan(tree, edit);
  CHECK(LevelsOf(writes) == std::vector<std::uint32_t>{1, 0});
  CHECK(writes[0].sstables[0].id == 7);                                     // by key
  CHECK(writes[0].sstables[1].replaces == std::vector<TableRef>{{0, 3}});   // the first that was added says it
  CHECK(writes[1].wal_floor == 1u);
  CommitWithEveryCrash(tree, edit);
}

TEST_CASE("replaces is dropped at the next write", "[manifest]") {
  const Manifests tree = SomeTree();
  REQUIRE(!tree.at(1).sstables[0].replaces.empty());
  const auto writes = Plan(tree, {.target_level = 1, .added = {}, .removed = {{1, 5}}, .wal_floor = {}, .flushed_sequence = {}});
  CHECK(writes[0].sstables[0].replaces.empty());
}

TEST_CASE("an edit without additions is written deepest level first", "[manifest]") {
  const Manifests tree = SomeTree();
  const auto writes = Plan(tree, {.target_level = 0, .added = {}, .removed = {{0, 3}, {1, 4}}, .wal_floor = {}, .flushed_sequence = {}});
  CHECK(LevelsOf(writes) == std::vector<std::uint32_t>{1, 0});
}

TEST_CASE("a table that moves down, up and down again is in one level at every moment", "[manifest]") {
  Manifests tree = SomeTree();
  const auto move = [&](std::uint32_t from, std::uint32_t to) {
    TableRecord table = *std::ranges::find(tree.at(from).sstables, 5u, &TableRecord::id);
    table.replaces.clear();
    tree = CommitWithEveryCrash(tree, {.target_level = to, .added = {table}, .removed = {{from, 5}}, .wal_floor = {}, .flushed_sequence = {}});
  };
  move(1, 2);
  move(2, 1);
  move(1, 2);
  move(2, 3);
  move(3, 1);
}

TEST_CASE("edits that make no sense are refused and plan nothing", "[manifest]") {
  const Manifests tree = SomeTree();
  const auto refused = [&](VersionEdit edit) {
    CHECK(PlanCommit(tree, edit, 100, 0).status().code() == StatusCode::kInvalidArgument);
  };
  VersionEdit replaces_too_much{.target_level = 2, .added = {Table(9)}, .removed = {}, .wal_floor = {}, .flushed_sequence = {}};
  replaces_too_much.added[0].replaces = {{0, 3}};
  refused(replaces_too_much);
  refused({.target_level = 0, .added = {}, .removed = {{0, 99}}, .wal_floor = {}, .flushed_sequence = {}});
  refused({.target_level = 0, .added = {Table(3)}, .removed = {}, .wal_floor = {}, .flushed_sequence = {}});
  refused({.target_level = 2, .added = {Table(5)}, .removed = {}, .wal_floor = {}, .flushed_sequence = {}});
  refused({.target_level = 1, .added = {Table(9, "b", "c")}, .removed = {}, .wal_floor = {}, .flushed_sequence = {}});
  refused({.target_level = 2, .added = {Table(101)}, .removed = {}, .wal_floor = {}, .flushed_sequence = {}});
}

TEST_CASE("manifests that contradict each other are corruption", "[manifest]") {
  Manifests on_disk = SomeTree();
  SECTION("a table in two levels") {
    on_disk[2] = on_disk[1];
    on_disk[2].level = 2;
  }
  SECTION("two tables that replace each other") {
    on_disk[0].sstables[0].replaces = {{1, 4}};
    on_disk[1].sstables[0].replaces = {{0, 3}};
  }
  CHECK(Resolve(on_disk, 0).status().code() == StatusCode::kCorruption);
}

TEST_CASE("any history of edits, cut off anywhere, is before or after", "[manifest]") {
  const auto seed = GENERATE(range(0u, 40u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Manifests tree;
  std::uint64_t id = 1;
  for (int step = 0; step < 30; ++step) {
    CAPTURE(step);
    VersionEdit edit;
    const auto deepest = static_cast<std::uint32_t>(random() % 4);
    std::vector<TableRecord> inputs;
    for (const auto& [level, manifest] : tree) {
      for (const TableRecord& table : manifest.sstables) {
        if (level > deepest) continue;
        edit.removed.push_back({level, table.id});
        inputs.push_back(table);
      }
    }
    if (random() % 3 == 0 || inputs.empty()) {
      edit = Flush(id++);
    } else if (inputs.size() == 1 && random() % 2 == 0) {
      edit.target_level = (edit.removed[0].first + 1 + static_cast<std::uint32_t>(random() % 3)) % 4;
      edit.added = inputs;   // moved, up or down
      edit.added[0].replaces.clear();
      if (edit.target_level > 0 && !tree[edit.target_level].sstables.empty()) continue;
    } else {
      edit.target_level = static_cast<std::uint32_t>(random() % (deepest + 1));
      const bool one = random() % 2 == 0;
      edit.added.push_back(Table(id++, "a", one ? "z" : "m"));
      if (!one) edit.added.push_back(Table(id++, "n", "z"));
    }
    if (id > 100) break;
    tree = CommitWithEveryCrash(tree, edit);
  }
}

}  // namespace lsmkv::manifest_test
