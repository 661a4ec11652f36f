#include "manifest_fixture.h"

namespace lsmkv::manifest_test {
namespace {

const std::string kDir = "db";

void MakeDirectories(FaultFileSystem& fs) {
  REQUIRE(fs.CreateDirectories(kDir + "/sst").ok());
  REQUIRE(fs.SyncDirectory("").ok());
  REQUIRE(fs.SyncDirectory(kDir).ok());
}

/// Step 1, the caller's.
Status MakeTable(FileSystem& fs, std::uint64_t id, std::uint64_t bytes = kTableBytes) {
  auto file = fs.NewWritableFile(kDir + "/" + TableRecordFile(id));
  if (!file) return file.error();
  if (Status s = (*file)->Append(std::string(bytes, 't')); !s.ok()) return s;
  if (Status s = (*file)->Sync(); !s.ok()) return s;
  return fs.SyncDirectory(kDir + "/sst");
}

Status Do(FileSystem& fs, ManifestStore& store, const VersionEdit& edit) {
  for (const TableRecord& table : edit.added) {
    if (fs.Exists(kDir + "/" + table.file)) continue;
    if (Status made = MakeTable(fs, table.id); !made.ok()) return made;
  }
  return store.Commit(edit);
}

VersionEdit Edit(std::uint32_t target, std::vector<TableRecord> added, std::vector<TableRef> removed) {
  return {.target_level = target, .added = std::move(added), .removed = std::move(removed), .wal_floor = {}, .flushed_sequence = {}};
}

/// Flushes, merges, a move down, up and down, a merge of everything upwards, a drop.
std::vector<VersionEdit> Script() {
  std::vector<VersionEdit> script;
  for (const std::uint64_t id : {1u, 2u}) {
    script.push_back(Edit(0, {Table(id)}, {}));
    script.back().wal_floor = id + 1;
    script.back().flushed_sequence = id * 10 + 9;
  }
  script.push_back(Edit(1, {Table(3, "a", "m"), Table(4, "n", "z")}, {{0, 1}, {0, 2}}));
  script.push_back(Edit(2, {Table(3, "a", "m")}, {{1, 3}}));
  script.push_back(Edit(1, {Table(3, "a", "m")}, {{2, 3}}));
  script.push_back(Edit(2, {Table(3, "a", "m")}, {{1, 3}}));
  script.push_back(Edit(0, {Table(5)}, {}));
  script.push_back(Edit(1, {Table(6)}, {{0, 5}, {1, 4}, {2, 3}}));
  script.push_back(Edit(1, {}, {{1, 6}}));
  return script;
}

Tree TreeAfter(const std::vector<VersionEdit>& script, std::size_t edits) {
  Tree tree;
  for (std::size_t i = 0; i < edits; ++i) tree = After(tree, script[i]);
  return tree;
}

RecoveredTree MustRecover(FileSystem& fs, ManifestStore& store) {
  static_cast<void>(fs);
  auto tree = store.Recover();
  REQUIRE(tree.status().message() == "");
  return *tree;
}

}  // namespace

TEST_CASE("a new directory recovers to an empty tree", "[manifest]") {
  FaultFileSystem fs;
  MakeDirectories(fs);
  ManifestStore store(fs, kDir, Clock::System());
  const RecoveredTree tree = MustRecover(fs, store);
  CHECK(tree.levels.empty());
  CHECK(!tree.wal_floor);
  CHECK(tree.max_table_id == 0);
  CHECK(tree.orphans.empty());
}

TEST_CASE("a manifest that could not be read again is not written, and the tree stays as it was", "[manifest]") {
  constexpr std::uint64_t kMost = 100'000;
  FaultFileSystem fs;
  MakeDirectories(fs);
  const std::string large(6'000, '\xff');       // 60,000 bytes of text for a table's two
  ManifestStore store(fs, kDir, Clock::System(), kMost);
  MustRecover(fs, store);
  REQUIRE(Do(fs, store, Edit(1, {Table(1, "a", "b")}, {})).ok());
  REQUIRE(Do(fs, store, Edit(1, {Table(2, large + "a", large + "b")}, {})).ok());
  const Status refused = Do(fs, store, Edit(1, {Table(3, large + "c", large + "d")}, {}));
  CHECK(refused.code() == StatusCode::kInvalidArgument);
  CHECK_THAT(refused.message(), Catch::Contains("db/manifest_l1.json") && Catch::Contains("max-sstable-size-mb"));
  CHECK_FALSE(store.unfinished());
  REQUIRE(Do(fs, store, Edit(2, {Table(3, large + "c", large + "d")}, {})).ok());
  REQUIRE(Do(fs, store, Edit(1, {}, {{1, 2}})).ok());
  const Tree tree = TreeOf(store.manifests());
  ManifestStore again(fs, kDir, Clock::System(), kMost);
  CHECK(TreeOf(MustRecover(fs, again).levels) == tree);
}

TEST_CASE("what was committed is found again, with the floor, the ids and the orphans", "[manifest]") {
  FaultFileSystem fs;
  MakeDirectories(fs);
  const auto script = Script();
  {
    ManifestStore store(fs, kDir, Clock::System());
    MustRecover(fs, store);
    for (const VersionEdit& edit : script) REQUIRE(Do(fs, store, edit).ok());
    CHECK(TreeOf(store.manifests()) == TreeAfter(script, script.size()));
  }
  ManifestStore store(fs, kDir, Clock::System());
  const RecoveredTree tree = MustRecover(fs, store);
  CHECK(TreeOf(tree.levels) == TreeAfter(script, script.size()));
  CHECK(tree.wal_floor == 3u);
  CHECK(tree.flushed_sequence == 29u);
  CHECK(tree.max_table_id == 6);
  CHECK(tree.orphans.size() == 6);
  CHECK(tree.orphans[0] == "sst/sstable_000001.sst");
  for (const std::string& orphan : tree.orphans) REQUIRE(fs.RemoveFile(kDir + "/" + orphan).ok());
  ManifestStore third(fs, kDir, Clock::System());
  CHECK(MustRecover(fs, third).max_table_id == 6);   // no id twice, not even when its table is gone
}

TEST_CASE("the manifest before the present one stays as .prev", "[manifest]") {
  FaultFileSystem fs;
  MakeDirectories(fs);
  ManifestStore store(fs, kDir, Clock::System());
  MustRecover(fs, store);
  const auto script = Script();
  REQUIRE(Do(fs, store, script[0]).ok());
  const std::string first = *ReadManifestText(fs, kDir, 0);
  CHECK(*fs.ReadWholeFile(kDir + "/manifest_l0.json.prev") == first);
  REQUIRE(Do(fs, store, script[1]).ok());
  CHECK(*fs.ReadWholeFile(kDir + "/manifest_l0.json.prev") == first);
  CHECK(*ReadManifestText(fs, kDir, 0) != first);
  CHECK(ReadManifestText(fs, kDir, 7).error().code() == StatusCode::kNotFound);
}

TEST_CASE("a manifest that gets lost is missed, also when it was written only once", "[manifest]") {
  FaultFileSystem fs;
  MakeDirectories(fs);
  const auto script = Script();
  const std::size_t edits = GENERATE(1u, 3u, 4u);
  {
    ManifestStore store(fs, kDir, Clock::System());
    MustRecover(fs, store);
    for (std::size_t i = 0; i < edits; ++i) REQUIRE(Do(fs, store, script[i]).ok());
  }
  const std::string newest = "/manifest_l" + std::to_string(script[edits - 1].target_level) + ".json";
  REQUIRE(fs.RemoveFile(kDir + newest).ok());
  ManifestStore store(fs, kDir, Clock::System());
  const auto recovered = store.Recover();
  REQUIRE(!recovered);
  CHECK_THAT(recovered.error().message(), Catch::Contains(kDir + newest) && Catch::Contains("is missing"));
}

TEST_CASE("recovery refuses, by name, what it cannot trust", "[manifest]") {
  FaultFileSystem fs;
  MakeDirectories(fs);
  {
    ManifestStore store(fs, kDir, Clock::System());
    MustRecover(fs, store);
    const auto script = Script();
    for (std::size_t i = 0; i < 3; ++i) REQUIRE(Do(fs, store, script[i]).ok());
  }
  std::string named;
  SECTION("a missing table") {
    named = "db/sst/sstable_000003.sst is missing";
    REQUIRE(fs.RemoveFile(kDir + "/sst/sstable_000003.sst").ok());
  }
  SECTION("a table of another size") {
    named = "db/sst/sstable_000004.sst has 99 bytes";
    REQUIRE(MakeTable(fs, 4, 99).ok());
  }
  SECTION("a damaged manifest") {
    named = "db/manifest_l1.json: ";
    REQUIRE(fs.FlipBit(kDir + "/manifest_l1.json", 8 * 40).ok());
  }
  SECTION("a manifest that went missing") {
    named = "db/manifest_l0.json is missing";
    REQUIRE(fs.RemoveFile(kDir + "/manifest_l0.json").ok());
  }
  SECTION("a manifest under another's name") {
    named = "db/manifest_l4.json: is the manifest of level 1";
    REQUIRE(fs.Link(kDir + "/manifest_l1.json", kDir + "/manifest_l4.json").ok());
  }
  const std::uint64_t writes = fs.calls(Fault::kWriteError);
  ManifestStore store(fs, kDir, Clock::System());
  const auto tree = store.Recover();
  REQUIRE(!tree.has_value());
  CHECK(tree.error().code() == StatusCode::kCorruption);
  CHECK(tree.error().message().starts_with(named));
  CHECK(fs.calls(Fault::kWriteError) == writes);   // everything on disk is untouched
}

namespace {

/// A table that refers to blob file `id`, which is made of `bytes`.
TableRecord TableWithBlob(FaultFileSystem& fs, std::uint64_t table_id, std::uint64_t id, std::string smallest, std::string largest) {
  const std::string path = kDir + "/" + BlobRecordFile(id);
  if (!fs.Exists(path)) {
    auto file = fs.NewWritableFile(path);
    REQUIRE(file);
    REQUIRE((*file)->Append(std::string(1000, 'b')).ok());
    REQUIRE((*file)->Sync().ok());
  }
  TableRecord table = Table(table_id, std::move(smallest), std::move(largest));
  table.blobs = {{id, 3, 300, 1000}};
  return table;
}

}  // namespace

TEST_CASE("blob files are missed, measured and cleared away like tables", "[manifest]") {
  FaultFileSystem fs;
  MakeDirectories(fs);
  REQUIRE(fs.CreateDirectories(kDir + "/blob").ok());
  const std::string blob = kDir + "/blob/blob_000009.blob";
  {
    ManifestStore store(fs, kDir, Clock::System());
    MustRecover(fs, store);
    REQUIRE(Do(fs, store, Edit(1, {TableWithBlob(fs, 1, 9, "a", "m"), TableWithBlob(fs, 2, 9, "n", "z")}, {})).ok());
    TableWithBlob(fs, 3, 12, "a", "z");      // of a flush that was cut off
  }
  ManifestStore store(fs, kDir, Clock::System());
  SECTION("all there") {
    const RecoveredTree tree = MustRecover(fs, store);
    CHECK(tree.max_table_id == 12);
    CHECK(tree.orphans == std::vector<std::string>{"blob/blob_000012.blob"});
    CHECK(tree.levels.at(1).sstables[0].blobs == std::vector<BlobRef>{{9, 3, 300, 1000}});
    REQUIRE(fs.RemoveFile(kDir + "/blob/blob_000012.blob").ok());
    ManifestStore second(fs, kDir, Clock::System());
    CHECK(MustRecover(fs, second).max_table_id == 9);
  }
  SECTION("missing") {
    REQUIRE(fs.RemoveFile(blob).ok());
    CHECK(store.Recover().error().message().starts_with("db/blob/blob_000009.blob is missing; manifest_l1.json names it"));
  }
  SECTION("of another size") {
    REQUIRE(fs.Mutate(blob, [](std::string& bytes) { bytes.pop_back(); }).ok());
    CHECK(store.Recover().error().message().starts_with("db/blob/blob_000009.blob has 999 bytes; manifest_l1.json says 1000"));
  }
  SECTION("of two sizes, as two tables say") {
    MustRecover(fs, store);
    TableRecord other = TableWithBlob(fs, 4, 9, "zz", "zzz");
    other.blobs[0].file_bytes = 1001;
    REQUIRE(Do(fs, store, Edit(2, {other}, {})).ok());
    ManifestStore second(fs, kDir, Clock::System());
    CHECK(second.Recover().error().message().starts_with("db/blob/blob_000009.blob has 1000 bytes; manifest_l2.json says 1001"));
  }
}

TEST_CASE("an edit that makes no sense leaves the store usable", "[manifest]") {
  FaultFileSystem fs;
  MakeDirectories(fs);
  ManifestStore store(fs, kDir, Clock::System());
  MustRecover(fs, store);
  CHECK(store.Commit(Edit(0, {}, {{0, 5}})).code() == StatusCode::kInvalidArgument);
  CHECK(!store.unfinished());
  CHECK(Do(fs, store, Script()[0]).ok());
}

TEST_CASE("a commit whose step failed once is finished by Resume", "[manifest]") {
  const auto fault = GENERATE(Fault::kWriteError, Fault::kNoSpace, Fault::kFailedSync, Fault::kFailedRename, Fault::kShortWrite);
  const auto script = Script();
  std::uint64_t fired = 1;
  for (std::uint64_t call = 1; fired > 0; ++call) {
    CAPTURE(static_cast<int>(fault), call);
    FaultFileSystem fs;
    MakeDirectories(fs);
    for (const VersionEdit& edit : script) {
      for (const TableRecord& table : edit.added) REQUIRE(MakeTable(fs, table.id).ok());
    }
    ManifestStore store(fs, kDir, Clock::System());
    MustRecover(fs, store);
    fs.FailCall(call, fault);
    for (const VersionEdit& edit : script) {
      const Status committed = store.Commit(edit);
      CHECK(committed.ok() == !store.unfinished());
      if (!committed.ok()) REQUIRE(store.Resume().ok());
      REQUIRE(!store.unfinished());
    }
    fired = fs.fired();
    fs.ClearFaults();
    fs.PowerCut(call, CutMode::kLost);
    ManifestStore again(fs, kDir, Clock::System());
    REQUIRE(TreeOf(MustRecover(fs, again).levels) == TreeAfter(script, script.size()));
  }
}

TEST_CASE("a full disk leaves a commit that was cut off to later, and shows the tree as it is", "[manifest]") {
  const auto script = Script();
  for (std::uint64_t call = 1; call < 60; ++call) {
    CAPTURE(call);
    FaultFileSystem fs;
    MakeDirectories(fs);
    for (const VersionEdit& edit : script) {
      for (const TableRecord& table : edit.added) REQUIRE(MakeTable(fs, table.id).ok());
    }
    {
      ManifestStore store(fs, kDir, Clock::System());
      MustRecover(fs, store);
      fs.FailCall(call, Fault::kWriteError, FaultSpan::kFromThenOn);
      for (const VersionEdit& edit : script)
        if (!store.Commit(edit).ok()) break;
      fs.ClearFaults();
    }
    fs.FailCall(1, Fault::kNoSpace, FaultSpan::kFromThenOn);
    ManifestStore full(fs, kDir, Clock::System());
    const Result<RecoveredTree> on_full_disk = full.Recover();
    REQUIRE(on_full_disk);
    fs.ClearFaults();
    REQUIRE(full.Resume().ok());
    ManifestStore again(fs, kDir, Clock::System());
    REQUIRE(TreeOf(MustRecover(fs, again).levels) == TreeOf(on_full_disk->levels));
  }
}

TEST_CASE("a crash at any call leaves the tree before or after the edit, and work goes on", "[manifest][crash]") {
  const auto mode = GENERATE(CutMode::kLost, CutMode::kKept, CutMode::kNamesKept, CutMode::kTorn512, CutMode::kOutOfOrder);
  const auto script = Script();
  std::uint64_t fired = 1;
  for (std::uint64_t call = 1; fired > 0; ++call) {
    CAPTURE(static_cast<int>(mode), call);
    FaultFileSystem fs;
    MakeDirectories(fs);
    std::size_t done = 0;
    {
      ManifestStore store(fs, kDir, Clock::System());
      MustRecover(fs, store);
      fs.FailCall(call, Fault::kWriteError, FaultSpan::kFromThenOn);
      while (done < script.size() && Do(fs, store, script[done]).ok()) ++done;
    }
    fired = fs.fired();
    fs.ClearFaults();
    fs.PowerCut(call, mode);
    if (call % 3 == 0) {   // and once more, in the middle of recovery
      fs.FailCall(1 + call % 7, Fault::kWriteError, FaultSpan::kFromThenOn);
      static_cast<void>(ManifestStore(fs, kDir, Clock::System()).Recover());
      fs.ClearFaults();
      fs.PowerCut(call, mode);
    }
    ManifestStore store(fs, kDir, Clock::System());
    const RecoveredTree tree = MustRecover(fs, store);
    const bool after = done < script.size() && TreeOf(tree.levels) == TreeAfter(script, done + 1);
    if (after) ++done;
    REQUIRE(TreeOf(tree.levels) == TreeAfter(script, done));
    for (; done < script.size(); ++done) REQUIRE(Do(fs, store, script[done]).ok());
    REQUIRE(TreeOf(store.manifests()) == TreeAfter(script, script.size()));
  }
}

}  // namespace lsmkv::manifest_test
