// The engine's promises one by one; histories are in engine_model_test.cpp, power cuts in engine_crash_test.cpp.
#include <set>
#include <utility>

#include "engine_fixture.h"

#include "engine/manifest/manifest.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

TEST_CASE("what was written is read, also after a reopen", "[engine]") {
  FaultFileSystem fs;
  {
    auto engine = MustOpen(TinyOptions(&fs));
    REQUIRE(Put(*engine, "a", "1").ok());
    REQUIRE(Put(*engine, "b", std::string(100'000, 'x')).ok());
    REQUIRE(Put(*engine, "", "empty key").ok());
    REQUIRE(Put(*engine, std::string("bin\0ary", 7), std::string("\0\r\n", 3)).ok());
    REQUIRE(Delete(*engine, "a").ok());
    REQUIRE(Put(*engine, "c", "").ok());
  }
  for (int reopen = 0; reopen < 3; ++reopen) {
    auto engine = MustOpen(TinyOptions(&fs));
    CHECK(Get(*engine, "a") == std::nullopt);
    CHECK(Get(*engine, "b") == std::string(100'000, 'x'));
    CHECK(Get(*engine, "") == "empty key");
    CHECK(Get(*engine, std::string("bin\0ary", 7)) == std::string("\0\r\n", 3));
    CHECK(Get(*engine, "c") == "");
    if (reopen == 1) REQUIRE(engine->Flush().ok());
    if (reopen == 2) CHECK(engine->last_sequence() == 6);
  }
}

TEST_CASE("a second engine on the same directory is refused as busy", "[engine]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  const auto second = Engine::Open(TinyOptions(&fs));
  REQUIRE_FALSE(second);
  CHECK(second.error().code() == StatusCode::kBusy);
}

TEST_CASE("options out of range are refused by name", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.level_ratio = 1;
  const auto engine = Engine::Open(options);
  REQUIRE_FALSE(engine);
  CHECK(engine.error().message().find("level_ratio") != std::string::npos);
}

TEST_CASE("a batch is applied as one, its last operation on a key wins", "[engine]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Put("b", "2");
  batch.Delete("a");
  REQUIRE(*engine->Write(batch) == 3);
  CHECK(Get(*engine, "a") == std::nullopt);
  CHECK(Get(*engine, "b") == "2");
  CHECK_FALSE(engine->Write(WriteBatch()));
}

TEST_CASE("a snapshot sees its moment over flushes and compactions", "[engine]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  for (int i = 0; i < 500; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), "old").ok());
  const auto snapshot = engine->GetSnapshot();
  const auto iterator = engine->NewIterator();
  for (int i = 0; i < 500; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), "new").ok());
  REQUIRE(Put(*engine, "later", "x").ok());
  REQUIRE(engine->Compact().ok());
  ReadOptions at_snapshot;
  at_snapshot.snapshot = snapshot;
  CHECK(Get(*engine, "k7", at_snapshot) == "old");
  CHECK(Get(*engine, "later", at_snapshot) == std::nullopt);
  CHECK(Get(*engine, "k7") == "new");
  std::size_t seen = 0;
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next(), ++seen) CHECK(iterator->value() == "old");
  CHECK(iterator->status().ok());
  CHECK(seen == 500);
}

TEST_CASE("memory only: a block on disk is kWouldBlock, and memory once it was read", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.block_cache_bytes = 1 << 20;
  { REQUIRE(Put(*MustOpen(options), "k", "v").ok()); }
  auto engine = MustOpen(options);
  REQUIRE(engine->Flush().ok());
  ReadOptions memory_only;
  memory_only.memory_only = true;
  const auto cold = engine->Get("k", memory_only);
  REQUIRE_FALSE(cold);
  CHECK(cold.error().code() == StatusCode::kWouldBlock);
  CHECK(Get(*engine, "k") == "v");
  CHECK(Get(*engine, "k", memory_only) == "v");
}

TEST_CASE("memory only: what the system's cache has is read without waiting, kept, and checked like any block", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.block_cache_bytes = 1 << 20;
  auto engine = MustOpen(options);
  REQUIRE(Put(*engine, "k", "v").ok());
  REQUIRE(Put(*engine, "l", "w").ok());
  REQUIRE(engine->Compact().ok());
  REQUIRE(Get(*engine, "no such key") == std::nullopt);        // opens no table: outside of its range
  ReadOptions memory_only;
  memory_only.memory_only = true;
  ReadOptions uncached;
  uncached.fill_cache = false;
  REQUIRE(Get(*engine, "k", uncached) == "v");                 // opens the table
  REQUIRE(engine->Get("k", memory_only).error().code() == StatusCode::kWouldBlock);
  fs.CacheEverything(true);
  const std::uint64_t reads = fs.calls(Fault::kReadError);
  CHECK(Get(*engine, "k", memory_only) == "v");
  CHECK(fs.calls(Fault::kReadError) > reads);
  fs.CacheEverything(false);
  CHECK(Get(*engine, "k", memory_only) == "v");
}

TEST_CASE("warming reads no disk and changes no answer, wherever the keys are", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.block_cache_bytes = 1 << 20;
  auto engine = MustOpen(options);
  CHECK_FALSE(engine->WarmingPays());
  const auto key = [](int i) { return "key:" + std::to_string(i); };
  for (int i = 0; i < 300; i += 2) REQUIRE(Put(*engine, key(i), "old").ok());
  REQUIRE(engine->Compact().ok());
  for (int i = 0; i < 300; i += 6) REQUIRE(Put(*engine, key(i), "new").ok());
  REQUIRE(engine->Flush().ok());
  for (int i = 0; i < 300; i += 12) REQUIRE(Put(*engine, key(i), "newest").ok());
  CHECK(engine->WarmingPays());
  const bool cached = GENERATE(false, true);
  if (cached) Contents(*engine);
  for (int begin = -5; begin < 310; begin += 3) {
    std::vector<std::string> names;
    for (int i = begin; i < begin + static_cast<int>(Engine::kMostWarmed) + 2; ++i) names.push_back(i < 0 ? "" : key(i));
    std::vector<UpcomingKey> keys;
    for (std::size_t i = 0; i < names.size(); ++i) keys.push_back({names[i], i % 3 != 0});
    engine->Warm({});
    engine->Warm(keys);
    for (int i = std::max(begin, 0); i < begin + 8; ++i) {
      const char* const want = i % 12 == 0 ? "newest" : i % 6 == 0 ? "new" : "old";
      CHECK(Get(*engine, key(i)) == (i % 2 == 0 && i < 300 ? std::optional<std::string>(want) : std::nullopt));
    }
  }
  const std::uint64_t reads = fs.calls(Fault::kReadError);
  const std::string name = key(2);
  const std::array<UpcomingKey, 2> two{UpcomingKey{name, true}, UpcomingKey{"nothing", true}};
  engine->Warm(two);
  CHECK(fs.calls(Fault::kReadError) == reads);
}

TEST_CASE("what has expired goes with compaction, and never comes back", "[engine][expiry]") {
  FaultFileSystem fs;
  WallClock clock;
  auto engine = MustOpen(TinyOptions(&fs, &clock));
  const std::uint64_t soon = clock.WallMillis() + 1000;
  REQUIRE(Put(*engine, "k", "lasting").ok());
  REQUIRE(engine->Compact().ok());
  REQUIRE(Put(*engine, "k", "short-lived", soon).ok());
  REQUIRE(engine->Flush().ok());
  CHECK(engine->Get("k")->value().expire_at_ms() == soon);
  CHECK(Contents(*engine).size() == 1);
  clock.Advance(1000);
  CHECK(Contents(*engine).size() == 1);          // it lives through its deadline
  clock.Advance(1);
  CHECK(Contents(*engine).empty());
  REQUIRE(engine->Compact().ok());
  CHECK(Get(*engine, "k") == std::nullopt);      // the older version below was hidden, not uncovered
  CHECK(engine->Stats().levels.back().entries == 0);
}

TEST_CASE("a full compaction leaves live entries only, in the target level", "[engine]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  for (int i = 0; i < 300; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), "v").ok());
  for (int i = 0; i < 290; ++i) REQUIRE(Delete(*engine, "k" + std::to_string(i)).ok());
  const auto target = GENERATE(1u, 2u, 5u);
  REQUIRE(engine->Compact(std::nullopt, target).ok());
  const EngineStats stats = engine->Stats();
  REQUIRE(stats.levels.size() == target + 1);
  CHECK(stats.levels[target].entries == 10);
  CHECK(stats.levels[target].tombstones == 0);
  CHECK(Contents(*engine).size() == 10);
}

TEST_CASE("one-table mode keeps one table a level", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.max_sstable_bytes = 0;
  auto engine = MustOpen(options);
  for (int i = 0; i < 3000; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i * 7919 % 3000), std::to_string(i)).ok());
  REQUIRE(engine->Flush().ok());
  for (const LevelInfo& level : engine->Stats().levels)
    if (level.level > 0) CHECK(level.sstables <= 1);
  CHECK(Contents(*engine).size() == 3000);
}

TEST_CASE("manifests, figures and files agree, and every level is under its limit when at rest", "[engine]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  for (int i = 0; i < 2000; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i * 7919 % 2000), std::to_string(i)).ok());
  REQUIRE(engine->Flush().ok());
  EngineStats stats;
  const auto at_rest = [&stats] {
    return stats.compactions_running == 0 &&
           std::ranges::all_of(stats.levels, [](const LevelInfo& level) { return level.score < 1; });
  };
  for (stats = engine->Stats(); !at_rest(); stats = engine->Stats()) std::this_thread::yield();
  CHECK(stats.levels.size() > 2);
  std::size_t tables = 0;
  for (const LevelInfo& level : stats.levels) {
    CHECK(level.score < 1);
    tables += level.sstables;
    const auto text = engine->ManifestText(level.level);
    if (!text) continue;
    const auto manifest = DecodeManifest(*text, "manifest");
    REQUIRE(manifest);
    CHECK(manifest->sstables.size() == level.sstables);
    std::uint64_t entries = 0;
    for (const TableRecord& record : manifest->sstables) {
      entries += record.entries;
      CHECK(*fs.FileSize("db/" + record.file) == record.size_bytes);
    }
    CHECK(entries == level.entries);
  }
  engine->ReleaseThreadView();
  while (fs.ListDirectory("db/sst")->size() != tables) std::this_thread::yield();   // the janitor removes the rest
  CHECK(Contents(*engine).size() == 2000);
}

TEST_CASE("a key or value over its bound is refused before it reaches the log", "[engine]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  CHECK(Put(*engine, std::string(kMaxKeyBytes, 'k'), "v").ok());
  const Status refused = Put(*engine, std::string(kMaxKeyBytes + 1, 'k'), "v");
  CHECK(refused.code() == StatusCode::kInvalidArgument);
  CHECK(engine->last_sequence() == 1);
  REQUIRE(engine->Flush().ok());
  CHECK(Contents(*engine).size() == 1);
}

namespace {
struct DeadPrefix final : CompactionFilter {
  bool IsDead(std::string_view key) const override { return key.starts_with("dead"); }
  bool IsRangeDead(std::string_view smallest, std::string_view largest) const override { return IsDead(smallest) && IsDead(largest); }
};
}  // namespace

TEST_CASE("tables whose whole range is dead go unread", "[engine]") {
  FaultFileSystem fs;
  DeadPrefix filter;
  Options options = TinyOptions(&fs);
  {
    auto engine = MustOpen(options);
    for (int i = 0; i < 300; ++i) REQUIRE(Put(*engine, "dead" + std::to_string(i), "x").ok());
    REQUIRE(Put(*engine, "live", "x").ok());
    REQUIRE(engine->Compact().ok());
  }
  options.compaction_filter = &filter;
  auto engine = MustOpen(options);
  engine->ReclaimDeadRanges();
  while (engine->Stats().levels.back().sstables > 1) std::this_thread::yield();
  REQUIRE(engine->Compact().ok());
  CHECK(Contents(*engine) == std::map<std::string, std::string>{{"live", "x"}});
}

TEST_CASE("a full disk refuses writes and goes on by itself when there is room", "[engine][fault]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  auto engine = MustOpen(options);
  std::map<std::string, std::string> acknowledged;
  fs.SetCapacity(60'000);
  bool refused = false;
  for (int i = 0; i < 2000 && !refused; ++i) {
    const std::string key = "k" + std::to_string(i);
    if (Put(*engine, key, std::string(100, 'x')).ok() && engine->Commit()) {
      acknowledged[key] = std::string(100, 'x');
    } else {
      refused = true;
    }
  }
  REQUIRE(refused);
  for (const auto& [key, value] : acknowledged) REQUIRE(Get(*engine, key) == value);
  fs.SetCapacity(10'000'000);
  while (!engine->WriteHealth().ok()) std::this_thread::yield();
  while (!(Put(*engine, "more", "x").ok() && engine->Commit())) std::this_thread::yield();
  engine.reset();
  engine = MustOpen(options);
  for (const auto& [key, value] : acknowledged) REQUIRE(Get(*engine, key) == value);
  CHECK(Get(*engine, "more") == "x");
}

TEST_CASE("after a failed WAL sync nothing is acknowledged any more, and reads go on", "[engine][fault]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.wal_fsync = WalFsync::kAlways;
  auto engine = MustOpen(options);
  REQUIRE(Put(*engine, "a", "1").ok());
  REQUIRE(engine->Sync().ok());
  fs.FailSyncs("wal");
  IgnoreError(Put(*engine, "b", "2"), "may be refused already");
  CHECK_FALSE(engine->Sync().ok());
  fs.ClearFaults();
  CHECK_FALSE(Put(*engine, "c", "3").ok());
  CHECK_FALSE(engine->Commit());
  CHECK_FALSE(engine->WriteHealth().ok());
  CHECK(Get(*engine, "a") == "1");
}

TEST_CASE("a large compaction runs in pieces and gives what one would", "[engine]") {
  FaultFileSystem fs;
  WallClock clock;
  Options options = TinyOptions(&fs, &clock);
  options.base_level_entries = 100'000;      // nothing but L0 by itself
  options.max_l0_sstables = 1000;
  options.l0_slowdown_sstables = 2000;
  options.l0_stop_sstables = 3000;
  auto engine = MustOpen(options);
  std::map<std::string, std::string> model;
  for (int i = 0; i < 4000; ++i) {
    const std::string key = "k" + std::to_string(i * 7919 % 2500);
    if (i % 7 == 3) {
      REQUIRE(Delete(*engine, key).ok());
      model.erase(key);
    } else {
      REQUIRE(Put(*engine, key, std::to_string(i)).ok());
      model[key] = std::to_string(i);
    }
  }
  REQUIRE(engine->Compact().ok());
  CHECK(engine->Stats().subcompactions > 1);
  CHECK(engine->Stats().levels[1].tombstones == 0);
  CHECK(engine->Stats().levels[1].entries == model.size());
  CHECK(Contents(*engine) == model);
}

TEST_CASE("a hint for several keys that may not wait reads nothing itself and changes no answer", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.block_cache_bytes = 1 << 20;
  {
    auto engine = MustOpen(options);
    for (int i = 0; i < 1000; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), std::to_string(i)).ok());
    REQUIRE(engine->Compact().ok());
  }
  auto engine = MustOpen(options);
  REQUIRE(Put(*engine, "k1", "new").ok());
  const std::vector<std::string_view> keys{"k1", "k500", "nowhere", "k999", ""};
  ReadOptions without_waiting;
  without_waiting.memory_only = true;
  for (int round = 0; round < 3; ++round) {         // cold, with some blocks cached, with all
    const EngineStats before = engine->Stats();
    engine->WillRead(keys, without_waiting);
    CHECK(engine->Stats().block_cache_misses == before.block_cache_misses);
    CHECK(engine->Stats().open_sstables == before.open_sstables);
    CHECK(Get(*engine, "k1") == "new");
    CHECK(Get(*engine, "k500") == "500");
    CHECK(Get(*engine, "nowhere") == std::nullopt);
    CHECK(Get(*engine, "k999") == "999");
  }
}

TEST_CASE("a hint for several keys asks the disk for each stage of all of them before it waits for one", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.max_open_sstables = 100;                // wherever the compaction has cut: none is opened twice
  options.block_cache_bytes = 1 << 20;
  options.base_level_entries = 100'000;           // no merge by itself, whose reads would be seen here
  options.min_blob_bytes = 100;
  std::vector<std::string> names;
  {
    auto engine = MustOpen(options);
    for (int i = 0; i < 1000; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), i % 2 == 0 ? std::string(100, 'v') : "small").ok());
    REQUIRE(engine->Compact().ok());
  }
  for (const int i : {10, 11, 300, 301, 555, 556, 900, 901}) names.push_back("k" + std::to_string(i));
  const std::vector<std::string_view> keys(names.begin(), names.end());
  auto engine = MustOpen(options);
  static_cast<void>(fs.TakeReads());
  engine->WillRead(keys, {});
  std::set<std::pair<std::string, std::uint64_t>> asked;
  std::size_t blobs_asked = 0, unasked = 0;
  for (const FaultFileSystem::ReadSeen& seen : fs.TakeReads()) {
    const bool blob = seen.path.find("/blob/") != std::string::npos;
    if (seen.hint) {
      asked.emplace(seen.path, seen.offset);
      blobs_asked += blob ? 1 : 0;
    } else if (!asked.contains({seen.path, seen.offset})) {
      ++unasked;
    }
  }
  CHECK(blobs_asked == 4);                        // each large value, none of which has been read
  CHECK(unasked <= 3 * engine->Stats().open_sstables + 1);      // opening a table or a blob file: footer, top index, header
  // Now what the answers need has been asked for.
  for (const std::string& name : names) CHECK(Get(*engine, name).has_value());
  for (const FaultFileSystem::ReadSeen& seen : fs.TakeReads()) {
    INFO(seen.path << " at " << seen.offset);
    CHECK((seen.offset == 0 || asked.contains({seen.path, seen.offset})));      // 0: a blob file's header, when it is opened again
  }
}
