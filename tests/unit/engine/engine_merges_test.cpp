// Which merges run, and which side by side: through the engine, with a gate that holds the workers where a test wants them.
#include "engine_fixture.h"

#include <nlohmann/json.hpp>

#include "gate.h"
#include "manual_clock.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

/// Nothing is compacted unless asked for.
Options QuietOptions(FaultFileSystem* fs) {
  Options options = TinyOptions(fs);
  options.compression = Compression::kNone;
  options.base_level_entries = 1'000'000;
  options.max_l0_sstables = 1000;
  options.l0_slowdown_sstables = 2000;
  options.l0_stop_sstables = 3000;
  options.memtable_entries = 5000;
  return options;
}

std::string DeepKey(int i) { return "deep" + std::to_string(10'000 + i); }

std::vector<nlohmann::json> Events(const Engine& engine, const std::string& kind) {
  std::vector<nlohmann::json> events;
  for (const std::string& line : engine.History(1000)) {
    nlohmann::json event = nlohmann::json::parse(line);
    if (event["kind"] == kind) events.push_back(std::move(event));
  }
  return events;
}

}  // namespace

TEST_CASE("two merges run at once, and a job of L0's beside them though their pieces hold every worker", "[engine][merges]") {
  FaultFileSystem fs;
  {
    auto engine = MustOpen(QuietOptions(&fs));
    for (int i = 0; i < 1600; ++i) REQUIRE(Put(*engine, DeepKey(i), std::string(50, 'x')).ok());
    REQUIRE(engine->Compact(std::nullopt, 2).ok());
    for (int i = 0; i < 1600; i += 3) REQUIRE(Put(*engine, DeepKey(i), "y").ok());
    REQUIRE(engine->Flush().ok());
    REQUIRE(engine->Compact(0, 1).ok());
    REQUIRE(engine->Stats().levels[1].sstables >= 4);      // each over enough of L2's for several pieces, and some that do not meet
  }
  Gate gate("deep");
  Options options = QuietOptions(&fs);
  options.compaction_filter = &gate;
  options.compaction_workers = 2;
  options.level_ratio = 100;
  options.base_level_entries = 1;                          // of L1's 100 there are 500
  options.max_l0_sstables = 2;
  options.l0_slowdown_sstables = 4;
  auto engine = MustOpen(options);
  gate.WaitUntilHeld(2);
  while (engine->Stats().compactions_running < 2) std::this_thread::yield();
  for (int i = 0; i < 4; ++i) {
    REQUIRE(Put(*engine, "a", "1").ok());
    REQUIRE(Put(*engine, "z", std::to_string(i)).ok());
    REQUIRE(engine->Flush().ok());
  }
  while (engine->Stats().levels[0].sstables > 1) std::this_thread::yield();
  CHECK(engine->Stats().compactions_running >= 2);
  while (Events(*engine, "merge").back()["out"]["level"] != 0) std::this_thread::yield();   // into itself, as L1 is held
  gate.Open();
  while (engine->Stats().levels[1].entries > 100) std::this_thread::yield();
  CHECK(engine->Stats().subcompactions > 0);
  CHECK(Get(*engine, "z") == "3");
  CHECK(Get(*engine, DeepKey(9)) == "y");
  CHECK(Get(*engine, DeepKey(10)) == std::string(50, 'x'));
}

TEST_CASE("tables of L0 become one while L0's merge into L1 goes on, by a thread of its own", "[engine][merges]") {
  FaultFileSystem fs;
  {
    auto engine = MustOpen(QuietOptions(&fs));
    for (int i = 0; i < 1600; ++i) REQUIRE(Put(*engine, DeepKey(i), std::string(50, 'x')).ok());
    REQUIRE(engine->Compact(std::nullopt, 1).ok());
    for (int i = 0; i < 1600; i += 2) REQUIRE(Put(*engine, DeepKey(i), std::string(50, 'y')).ok());
    REQUIRE(engine->Flush().ok());
  }
  Gate gate("deep");
  Options options = QuietOptions(&fs);
  options.compaction_filter = &gate;
  options.compaction_workers = 2;
  options.max_l0_sstables = 2;
  options.l0_slowdown_sstables = 4;
  auto engine = MustOpen(options);
  gate.WaitUntilHeld(2);                                   // the merge's own thread, and the worker that helps
  for (int i = 0; i < 4; ++i) {
    REQUIRE(Put(*engine, "a", "1").ok());
    REQUIRE(Put(*engine, "z", std::to_string(i)).ok());
    REQUIRE(engine->Flush().ok());
  }
  while (engine->Stats().levels[0].sstables > 2) std::this_thread::yield();      // what goes down, and what has become one
  while (engine->Stats().compactions_running > 1) std::this_thread::yield();
  const int gathering = *gate.NiceOf('z').rbegin();      // flushes have met it too, and stand back less
  CHECK(gathering > *gate.NiceOf('d').begin());          // not before the merge whose end leaves less to be gathered,
  CHECK(gathering < *gate.NiceOf('d').rbegin());         // but before the workers that help it
  gate.Open();
  while (engine->Stats().compactions_running > 0) std::this_thread::yield();
  CHECK(Get(*engine, "z") == "3");
  CHECK(Get(*engine, DeepKey(8)) == std::string(50, 'y'));
  CHECK(Get(*engine, DeepKey(9)) == std::string(50, 'x'));
}

namespace {

/// So that a merge of any table of `level` meets damage: one bit of the first block of each is turned over.
void DamageTablesOf(FaultFileSystem& fs, Engine& engine, std::uint32_t level) {
  const nlohmann::json manifest = nlohmann::json::parse(*engine.ManifestText(level));
  REQUIRE(!manifest["sstables"].empty());
  for (const nlohmann::json& table : manifest["sstables"]) REQUIRE(fs.FlipBit("db/" + table["file"].get<std::string>(), 8 * 20).ok());
}

}  // namespace

TEST_CASE("writers that L0 stops go on when a merge ends, though another has met a damaged table", "[engine][merges][fault]") {
  FaultFileSystem fs;
  Gate gate("held", true);
  Options options = QuietOptions(&fs);
  options.compaction_filter = &gate;
  options.max_l0_sstables = 4;
  options.l0_slowdown_sstables = 6;
  options.l0_stop_sstables = 8;
  options.compaction_workers = 1;                          // who is held by L1's key
  auto engine = MustOpen(options);
  const auto flush_one = [&](const std::string& value) {
    REQUIRE(Put(*engine, "a", value).ok());
    REQUIRE(Put(*engine, "z", value).ok());
    REQUIRE(engine->Flush().ok());
  };
  flush_one("deep");
  REQUIRE(engine->Compact(std::nullopt, 2).ok());
  DamageTablesOf(fs, *engine, 2);
  REQUIRE(Put(*engine, "held", "upper").ok());
  flush_one("upper");
  REQUIRE(engine->Compact(0, 1).ok());
  REQUIRE(engine->Compact(1, 2).code() == StatusCode::kCorruption);
  gate.Close();
  // More than can wait beside those that the held merge takes down.
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) {
      CHECK(Put(*engine, "a", std::to_string(i)).message() == "");
      CHECK(Put(*engine, "z", std::to_string(i)).message() == "");
      CHECK(engine->Flush().message() == "");
    }
  });
  const auto held_back = [&] { return engine->Stats().writes_stopped && engine->Stats().writers_waiting != 0; };
  while (!held_back() && engine->WriteHealth().ok()) std::this_thread::yield();
  CHECK(engine->WriteHealth().message() == "");
  CHECK(engine->Stats().levels[0].sstables > options.l0_stop_sstables);      // those that the held merge takes down do not count
  gate.Open();
  writer.join();
  while (engine->Stats().writes_stopped) std::this_thread::yield();
  const EngineStats stats = engine->Stats();
  CHECK(stats.writers_waiting == 0);
  CHECK(stats.stalls >= 1);                                // the others were slowed
  CHECK(stats.longest_stall_micros > 0);
  CHECK(stats.stall_micros >= stats.longest_stall_micros);
  CHECK(Get(*engine, "a") == "19");
}

TEST_CASE("writers that L0 stops are told which table is damaged when nothing else is left to merge", "[engine][merges][fault]") {
  FaultFileSystem fs;
  Options options = QuietOptions(&fs);
  options.max_l0_sstables = 2;
  options.soft_limit_ratio = 1;
  options.l0_slowdown_sstables = 3;
  options.l0_stop_sstables = 4;
  auto engine = MustOpen(options);
  const auto flush_one = [&] {
    REQUIRE(Put(*engine, "a", "x").ok());
    REQUIRE(Put(*engine, "z", "x").ok());
    REQUIRE(engine->Flush().ok());
  };
  flush_one();
  DamageTablesOf(fs, *engine, 0);
  const std::string named = nlohmann::json::parse(*engine->ManifestText(0))["sstables"][0]["file"];
  for (int i = 0; i < 3; ++i) flush_one();
  Status refused;
  while ((refused = Put(*engine, "b", "x")).ok()) std::this_thread::yield();
  CHECK(refused.code() == StatusCode::kCorruption);
  CHECK(refused.message().find(named) != std::string::npos);
}

TEST_CASE("merges are slowed while the syncs that writers wait for take long, and only then", "[engine][merges][rate]") {
  FaultFileSystem fs;
  ManualClock clock;
  std::atomic<bool> slow{false};
  fs.LieAboutSyncs([&](const std::string& path) {
    if (slow && path.find("/wal_") != std::string::npos) clock.Advance(std::chrono::milliseconds(20));
    return false;
  });
  Gate gate("held");
  Options options = QuietOptions(&fs);
  options.clock = &clock;
  options.compaction_filter = &gate;
  options.wal_fsync = WalFsync::kAlways;
  auto engine = MustOpen(options);
  gate.Open();
  REQUIRE(Put(*engine, "held", "x").ok());
  REQUIRE(engine->Flush().ok());
  gate.Close();
  const auto write_and_wait = [&] {
    REQUIRE(Put(*engine, "a", "x").ok());
    const Result<SequenceNumber> commit = engine->Commit();
    REQUIRE(commit);
    while (engine->durable_sequence() < *commit) std::this_thread::yield();
  };
  std::thread compaction([&] { CHECK(engine->Compact().ok()); });
  gate.WaitUntilHeld(1);
  for (int i = 0; i < 5; ++i) {
    write_and_wait();
    clock.Advance(std::chrono::milliseconds(200));         // nobody waits meanwhile
    REQUIRE(engine->Flush().ok());                         // wakes the scheduler, which looks at the rate
  }
  CHECK(engine->Stats().compaction_rate_bytes == 0);
  slow = true;
  while (engine->Stats().compaction_rate_bytes == 0) write_and_wait();
  gate.Open();
  compaction.join();
}

TEST_CASE("the count of L0's tables slows writers, and a compaction frees them", "[engine][merges][admission]") {
  FaultFileSystem fs;
  Options options = QuietOptions(&fs);
  options.l0_slowdown_sstables = 3;
  auto engine = MustOpen(options);
  for (int i = 0; i < 4; ++i) {
    CHECK_FALSE(engine->Stats().writes_slowed);
    REQUIRE(Put(*engine, "a", "x").ok());
    REQUIRE(engine->Flush().ok());
  }
  while (!engine->Stats().writes_slowed) std::this_thread::yield();
  REQUIRE(engine->Compact().ok());
  while (engine->Stats().writes_slowed) std::this_thread::yield();
}

TEST_CASE("a tombstone stays exactly while older data may lie below, and what has expired becomes one", "[engine][merges][expiry]") {
  FaultFileSystem fs;
  WallClock clock;
  Options options = QuietOptions(&fs);
  options.clock = &clock;
  const bool expires = GENERATE(false, true);
  CAPTURE(expires);
  auto engine = MustOpen(options);
  for (const char* key : {"b", "d"}) REQUIRE(Put(*engine, key, "older").ok());
  REQUIRE(engine->Compact(std::nullopt, 3).ok());
  for (const char* key : {"a", "b", "e"}) {                // only "b" lies within what is below
    REQUIRE((expires ? Put(*engine, key, "soon gone", clock.WallMillis() + 1000) : Delete(*engine, key)).ok());
  }
  REQUIRE(Put(*engine, "f", "lives").ok());
  clock.Advance(1001);
  REQUIRE(engine->Flush().ok());
  for (std::uint32_t level = 0; level < 2; ++level) {
    REQUIRE(engine->Compact(level, level + 1).ok());
    const LevelInfo info = engine->Stats().levels.at(level + 1);
    CHECK(info.entries == 2);
    CHECK(info.tombstones == 1);
    CHECK(Get(*engine, "b") == std::nullopt);
  }
  REQUIRE(engine->Compact(2, 3).ok());
  CHECK(engine->Stats().levels.at(3).entries == 2);        // "d" and "f"
  CHECK(engine->Stats().levels.at(3).tombstones == 0);
  CHECK(Get(*engine, "b") == std::nullopt);
  CHECK(engine->Stats().expired_entries == (expires ? 3 : 0));
}
