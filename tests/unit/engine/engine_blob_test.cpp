// Values in blob files: what the engine promises of them. Format and reader are tested in unit/blob; histories with blobs are in
// engine_model_test.cpp, power cuts in engine_crash_test.cpp.
#include "engine_fixture.h"

#include <set>
#include <thread>

#include "engine/compaction/blob_garbage.h"
#include "engine/manifest/manifest.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

Options BlobOptions(FileSystem* fs, Clock* clock = nullptr) {
  Options options = TinyOptions(fs, clock);
  options.min_blob_bytes = 100;
  options.compression = Compression::kNone;
  return options;
}

std::string KeyOf(int i) { return "key:" + std::to_string(1000 + i); }
std::string LargeValue(int key, int version) {
  return KeyOf(key) + "=" + std::to_string(version) + std::string(200 + static_cast<std::size_t>(key) % 300, 'v');
}

/// Nothing runs, nothing is over its limit, and blob files are as they may stay.
EngineStats WaitForRest(Engine& engine) {
  while (true) {
    const EngineStats stats = engine.Stats();
    const bool levels_rest = std::ranges::all_of(stats.levels, [](const LevelInfo& level) { return level.score < 1; });
    const double dead = stats.blob_bytes == 0 ? 0 : static_cast<double>(stats.blob_dead_bytes) / static_cast<double>(stats.blob_bytes);
    if (stats.compactions_running == 0 && stats.immutable_memtables == 0 && levels_rest && dead < kRewriteTables) return stats;
    std::this_thread::yield();
  }
}

std::set<std::string> BlobFilesOnDisk(FileSystem& fs, const std::string& dir = "db") {
  const auto names = fs.ListDirectory(dir + "/blob");
  REQUIRE(names);
  return {names->begin(), names->end()};
}

/// As the manifests name them.
std::set<std::string> BlobFilesNamed(Engine& engine) {
  std::set<std::string> named;
  for (const LevelInfo& level : engine.Stats().levels) {
    const auto text = engine.ManifestText(level.level);
    if (!text) continue;
    const auto manifest = DecodeManifest(*text, "manifest");
    REQUIRE(manifest);
    for (const TableRecord& table : manifest->sstables)
      for (const BlobRef& blob : table.blobs) named.insert(BlobRecordFile(blob.id).substr(5));
  }
  return named;
}

void FillWithLarge(Engine& engine, int keys, int version) {
  for (int i = 0; i < keys; ++i) REQUIRE(Put(engine, KeyOf(i), LargeValue(i, version)).ok());
}

}  // namespace

TEST_CASE("large values live in blob files, small ones in tables, and both are read", "[engine][blob]") {
  FaultFileSystem fs;
  Options options = BlobOptions(&fs);
  options.compression = GENERATE(Compression::kNone, Compression::kLz4, Compression::kZstd);
  options.max_sstable_bytes = 1 << 20;
  {
    auto engine = MustOpen(options);
    REQUIRE(Put(*engine, "below", std::string(99, 's')).ok());
    REQUIRE(Put(*engine, "at", std::string(100, 'l')).ok());
    REQUIRE(Put(*engine, "above", std::string(300'000, 'h')).ok());
    REQUIRE(engine->Flush().ok());
    const EngineStats stats = engine->Stats();
    CHECK(stats.blob_files == 1);
    CHECK(stats.blob_live_bytes == stats.blob_bytes);
    CHECK(stats.blob_dead_bytes == 0);
    CHECK(engine->ManifestText(0)->find("\"blobs\": [[") != std::string::npos);
  }
  options.min_blob_bytes = GENERATE(0u, 1u, 100u, 1000u);      // what is there stays readable
  auto engine = MustOpen(options);
  for (int round = 0; round < 2; ++round) {
    CHECK(Get(*engine, "below") == std::string(99, 's'));
    CHECK(Get(*engine, "at") == std::string(100, 'l'));
    CHECK(Get(*engine, "above") == std::string(300'000, 'h'));
    CHECK(Contents(*engine).size() == 3);
    REQUIRE(engine->Compact().ok());
  }
}

TEST_CASE("a blob that is not in memory is kWouldBlock, and memory once it was read", "[engine][blob]") {
  FaultFileSystem fs;
  Options options = BlobOptions(&fs);
  options.block_cache_bytes = 1 << 20;
  { FillWithLarge(*MustOpen(options), 1, 1); }
  auto engine = MustOpen(options);
  REQUIRE(engine->Flush().ok());
  ReadOptions memory_only;
  memory_only.memory_only = true;
  const auto iterator = engine->NewIterator();
  iterator->SeekToFirst();                              // brings in the table's blocks, not the value
  CHECK(iterator->value_head() == LargeValue(0, 1).substr(0, kValueHeadBytes));
  const auto cold = engine->Get(KeyOf(0), memory_only);
  REQUIRE_FALSE(cold);
  CHECK(cold.error().code() == StatusCode::kWouldBlock);
  ReadOptions uncached;
  uncached.fill_cache = false;
  CHECK(Get(*engine, KeyOf(0), uncached) == LargeValue(0, 1));
  CHECK(engine->Get(KeyOf(0), memory_only).error().code() == StatusCode::kWouldBlock);
  fs.CacheEverything(true);
  CHECK(Get(*engine, KeyOf(0), memory_only) == LargeValue(0, 1));
  fs.CacheEverything(false);
  CHECK(Get(*engine, KeyOf(0)) == LargeValue(0, 1));
  CHECK(Get(*engine, KeyOf(0), memory_only) == LargeValue(0, 1));
  const auto first = engine->Get(KeyOf(0));
  const auto second = engine->Get(KeyOf(0));
  CHECK((*first)->data().data() == (*second)->data().data());      // pinned, not copied
}

TEST_CASE("a walk over keys reads no blob", "[engine][blob]") {
  FaultFileSystem fs;
  auto engine = MustOpen(BlobOptions(&fs));
  FillWithLarge(*engine, 200, 1);
  REQUIRE(engine->Compact().ok());
  WaitForRest(*engine);
  for (const std::string& name : BlobFilesOnDisk(fs)) REQUIRE(fs.Mutate("db/blob/" + name, [](std::string& bytes) { bytes.assign(bytes.size(), 'x'); }).ok());
  const auto iterator = engine->NewIterator();
  int keys = 0;
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    CHECK(iterator->value_head() == LargeValue(keys, 1).substr(0, kValueHeadBytes));
    ++keys;
  }
  CHECK(iterator->status().ok());
  CHECK(keys == 200);
}

TEST_CASE("a large value is written once, whatever levels it sinks through", "[engine][blob]") {
  FaultFileSystem fs;
  const auto written_by_merges = [&fs](std::uint64_t min_blob_bytes) {
    Options options = BlobOptions(&fs);
    options.dir = "db" + std::to_string(min_blob_bytes);
    options.min_blob_bytes = min_blob_bytes;
    options.max_sstable_bytes = 40'000;
    auto engine = MustOpen(options);
    for (int i = 0; i < 3000; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i * 7919 % 3000), std::string(1000, 'v')).ok());
    REQUIRE(engine->Flush().ok());
    const EngineStats stats = WaitForRest(*engine);
    CHECK(stats.levels.size() > 3);
    CHECK(stats.flush_bytes_written > 3'000'000);
    CHECK(stats.blob_bytes_moved == 0);
    return stats.compaction_bytes_written;
  };
  const std::uint64_t with = written_by_merges(100);
  const std::uint64_t without = written_by_merges(0);
  CAPTURE(with, without);
  CHECK(with < 1'500'000);        // pointers only
  CHECK(without > 6'000'000);
}

TEST_CASE("dead blob bytes stay under 30% of all, and emptied files go", "[engine][blob]") {
  const auto seed = GENERATE(range(0u, Seeds(4, 40)));
  CAPTURE(seed);
  std::mt19937 random(seed);
  FaultFileSystem fs;
  Options options = BlobOptions(&fs);
  options.max_sstable_bytes = seed % 2 == 0 ? 2000 : 0;
  auto engine = MustOpen(options);
  constexpr int kKeys = 400;
  std::map<std::string, std::string> model;
  for (int version = 0; version < 12; ++version) {
    for (int i = 0; i < kKeys; ++i) {
      const int key = version == 0 ? i : static_cast<int>(random() % kKeys);
      const std::string value = LargeValue(key, version);
      REQUIRE(Put(*engine, KeyOf(key), value).ok());
      model[KeyOf(key)] = value;
    }
    REQUIRE(engine->Flush().ok());
    const EngineStats stats = WaitForRest(*engine);
    CHECK(static_cast<double>(stats.blob_dead_bytes) < kBlobDeadLimit * static_cast<double>(stats.blob_bytes));
    CHECK(stats.blob_bytes == stats.blob_live_bytes + stats.blob_dead_bytes);
    REQUIRE(Contents(*engine) == model);
  }
  CHECK(engine->Stats().blob_bytes_moved > 0);
  engine->ReleaseThreadView();
  while (BlobFilesOnDisk(fs) != BlobFilesNamed(*engine)) std::this_thread::yield();     // the janitor removes the rest
  // Everything overwritten is gone but for what the deeper levels still hide.
  std::uint64_t alive = 0;
  for (const auto& [key, value] : model) alive += value.size();
  CHECK(engine->Stats().blob_bytes < 3 * alive);
  engine.reset();
  CHECK(Contents(*MustOpen(options)) == model);
}

TEST_CASE("an iterator and a snapshot keep the blob files of their moment", "[engine][blob]") {
  FaultFileSystem fs;
  auto engine = MustOpen(BlobOptions(&fs));
  FillWithLarge(*engine, 200, 1);
  REQUIRE(engine->Compact().ok());
  WaitForRest(*engine);
  const std::set<std::string> before = BlobFilesOnDisk(fs);
  auto iterator = engine->NewIterator();
  ReadOptions then;
  then.snapshot = engine->GetSnapshot();
  FillWithLarge(*engine, 200, 2);
  REQUIRE(engine->Compact().ok());
  WaitForRest(*engine);
  const std::set<std::string> named = BlobFilesNamed(*engine);
  for (const std::string& name : before) CHECK_FALSE(named.contains(name));
  int keys = 0;
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next(), ++keys) REQUIRE(iterator->value() == LargeValue(keys, 1));
  CHECK(iterator->status().ok());
  CHECK(keys == 200);
  CHECK(Get(*engine, KeyOf(7), then) == LargeValue(7, 1));
  CHECK(Get(*engine, KeyOf(7)) == LargeValue(7, 2));
  iterator.reset();
  then.snapshot.reset();
  engine->ReleaseThreadView();
  while (BlobFilesOnDisk(fs) != named) std::this_thread::yield();
}

TEST_CASE("a deleted, expired or dropped value lets go of its blob file", "[engine][blob]") {
  struct DeadPrefix final : CompactionFilter {
    bool IsDead(std::string_view key) const override { return armed && key.starts_with("key:"); }
    bool IsRangeDead(std::string_view smallest, std::string_view largest) const override { return IsDead(smallest) && IsDead(largest); }
    std::atomic<bool> armed{false};
  };
  FaultFileSystem fs;
  WallClock clock;
  DeadPrefix filter;
  Options options = BlobOptions(&fs, &clock);
  options.compaction_filter = &filter;
  auto engine = MustOpen(options);
  const bool expires = GENERATE(true, false);
  const bool deletes = !expires && GENERATE(true, false);
  for (int i = 0; i < 100; ++i) REQUIRE(Put(*engine, KeyOf(i), LargeValue(i, 1), expires ? clock.WallMillis() + 1000 : 0).ok());
  REQUIRE(engine->Compact().ok());
  CHECK(WaitForRest(*engine).blob_live_bytes > 0);
  if (expires) {
    CHECK(engine->Get(KeyOf(3))->value().expire_at_ms() == clock.WallMillis() + 1000);
    clock.Advance(1001);
    REQUIRE(engine->Compact().ok());
  } else if (deletes) {
    for (int i = 0; i < 100; ++i) REQUIRE(Delete(*engine, KeyOf(i)).ok());
    REQUIRE(engine->Compact().ok());
  } else {
    filter.armed = true;
    engine->ReclaimDeadRanges();
    while (engine->Stats().blob_files > 0) std::this_thread::yield();
  }
  const EngineStats stats = WaitForRest(*engine);
  CHECK(stats.blob_files == 0);
  CHECK(stats.blob_bytes == 0);
  engine->ReleaseThreadView();
  while (!BlobFilesOnDisk(fs).empty()) std::this_thread::yield();
}

TEST_CASE("a checkpoint holds its blob files, and opens without the original", "[engine][blob]") {
  FaultFileSystem fs;
  Options options = BlobOptions(&fs);
  auto engine = MustOpen(options);
  FillWithLarge(*engine, 150, 1);
  REQUIRE(engine->Checkpoint("copy").ok());
  FillWithLarge(*engine, 150, 2);
  REQUIRE(engine->Compact().ok());
  WaitForRest(*engine);
  engine.reset();
  for (const std::string& name : BlobFilesOnDisk(fs)) REQUIRE(fs.RemoveFile("db/blob/" + name).ok());
  fs.PowerCut(1, CutMode::kLost);                       // the checkpoint was durable when it was done
  options.dir = "copy";
  auto copy = MustOpen(options);
  CHECK(BlobFilesOnDisk(fs, "copy") == BlobFilesNamed(*copy));
  const auto contents = Contents(*copy);
  REQUIRE(contents.size() == 150);
  for (int i = 0; i < 150; ++i) REQUIRE(contents.at(KeyOf(i)) == LargeValue(i, 1));
  FillWithLarge(*copy, 150, 3);
  REQUIRE(copy->Compact().ok());
  CHECK(Get(*copy, KeyOf(5)) == LargeValue(5, 3));
}

TEST_CASE("a damaged value is an error for its key, with file and offset, and upkeep goes on around it", "[engine][blob][fault]") {
  FaultFileSystem fs;
  Options options = BlobOptions(&fs);
  auto engine = MustOpen(options);
  FillWithLarge(*engine, 30, 1);
  REQUIRE(engine->Compact().ok());
  WaitForRest(*engine);
  const std::string name = *BlobFilesOnDisk(fs).begin();
  REQUIRE(fs.Mutate("db/blob/" + name, [](std::string& bytes) { bytes[100] = static_cast<char>(bytes[100] ^ 4); }).ok());
  const auto damaged = engine->Get(KeyOf(0));
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().code() == StatusCode::kCorruption);
  CHECK(damaged.error().message() == "db/blob/" + name + ": offset 32: record checksum does not match");
  CHECK(Get(*engine, KeyOf(1)) == LargeValue(1, 1));
  const auto iterator = engine->NewIterator();
  int values = 0;
  for (iterator->Seek(KeyOf(1)); iterator->Valid(); iterator->Next()) values += iterator->value().size() > 100 ? 1 : 0;
  CHECK(iterator->status().ok());
  CHECK(values == 29);
  iterator->SeekToFirst();
  CHECK(iterator->value().empty());
  CHECK_FALSE(iterator->Valid());
  CHECK(iterator->status().code() == StatusCode::kCorruption);
  // Two thirds of the file die; what is left cannot be moved, and nobody tries for ever.
  for (int i = 10; i < 30; ++i) REQUIRE(Put(*engine, KeyOf(i), LargeValue(i, 2)).ok());
  REQUIRE(engine->Compact().ok());
  for (int i = 10; i < 30; ++i) REQUIRE(Put(*engine, KeyOf(i), LargeValue(i, 3)).ok());
  REQUIRE(engine->Compact().ok());
  CHECK(engine->WriteHealth().ok());
  CHECK_FALSE(engine->Get(KeyOf(0)));
  for (int i = 1; i < 30; ++i) CHECK(Get(*engine, KeyOf(i)) == LargeValue(i, i < 10 ? 1 : 3));
  REQUIRE(Put(*engine, KeyOf(0), LargeValue(0, 9)).ok());      // written anew, it is well again
  REQUIRE(engine->Compact().ok());
  CHECK(Contents(*engine).size() == 30);
}

TEST_CASE("a blob file that is missing or of another size refuses the start by name", "[engine][blob][fault]") {
  FaultFileSystem fs;
  const Options options = BlobOptions(&fs);
  {
    auto engine = MustOpen(options);
    FillWithLarge(*engine, 30, 1);
    REQUIRE(engine->Compact().ok());
    engine->ReleaseThreadView();
    while (BlobFilesOnDisk(fs) != BlobFilesNamed(*engine)) std::this_thread::yield();
  }
  const std::string path = "db/blob/" + *BlobFilesOnDisk(fs).begin();
  if (GENERATE(true, false)) {
    REQUIRE(fs.RemoveFile(path).ok());
  } else {
    REQUIRE(fs.Mutate(path, [](std::string& bytes) { bytes += 'x'; }).ok());
  }
  const auto engine = Engine::Open(options);
  REQUIRE_FALSE(engine);
  CHECK(engine.error().code() == StatusCode::kCorruption);
  CHECK(engine.error().message().starts_with(path));
}

TEST_CASE("a job that fails leaves no blob file behind, and one that nobody names is cleared away", "[engine][blob][fault]") {
  FaultFileSystem fs;
  const Options options = BlobOptions(&fs);
  {
    auto engine = MustOpen(options);
    FillWithLarge(*engine, 30, 1);
    fs.FailSyncs("/blob");
    CHECK_FALSE(engine->Flush().ok());
    fs.ClearFaults();
    while (!engine->Flush().ok()) std::this_thread::yield();
    CHECK(BlobFilesOnDisk(fs) == BlobFilesNamed(*engine));
    CHECK(Get(*engine, KeyOf(3)) == LargeValue(3, 1));
  }
  {
    auto file = fs.NewWritableFile("db/blob/blob_000999.blob");
    REQUIRE((*file)->Append("half of a flush").ok());
  }
  auto engine = MustOpen(options);
  CHECK(BlobFilesOnDisk(fs) == BlobFilesNamed(*engine));
  CHECK(Contents(*engine).size() == 30);
}
