// What tables are written with and go with: filters, syncs that find little to do, and dead data that goes by itself.
#include "engine_fixture.h"

#include "engine/blob/blob_writer.h"
#include "engine/compaction/job_memory.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

/// No limit is ever reached.
Options RoomyOptions(FaultFileSystem* fs, Clock* clock = nullptr) {
  Options options = TinyOptions(fs, clock);
  options.compression = Compression::kNone;
  options.memtable_entries = 0;
  options.base_level_entries = 0;
  options.max_l0_sstables = 100;
  options.l0_slowdown_sstables = 200;
  options.l0_stop_sstables = 300;
  return options;
}

std::uint64_t TableCount(Engine& engine) {
  std::uint64_t tables = 0;
  for (const LevelInfo& level : engine.Stats().levels) tables += level.sstables;
  return tables;
}

}  // namespace

TEST_CASE("tombstones go within dead-max-age though nothing is written, and are in the figures until then", "[engine][dead]") {
  FaultFileSystem fs;
  WallClock clock;
  Options options = RoomyOptions(&fs, &clock);
  options.dead_max_age_ms = 400;                           // looked at each 100 ms
  auto engine = MustOpen(options);
  for (int i = 0; i < 60; ++i) REQUIRE(Put(*engine, "k" + std::to_string(100 + i), "x").ok());
  REQUIRE(engine->Compact(std::nullopt, 2).ok());
  CHECK(engine->Stats().dead_bytes_known == 0);
  for (int i = 0; i < 50; ++i) REQUIRE(Delete(*engine, "k" + std::to_string(100 + i)).ok());
  REQUIRE(engine->Compact(0, 1).ok());
  EngineStats stats = engine->Stats();
  REQUIRE(stats.levels.at(1).tombstones == 50);
  CHECK(stats.dead_bytes_known == stats.levels[1].size_bytes);
  CHECK(stats.oldest_dead_ms == 0);
  clock.Advance(100);
  CHECK(engine->Stats().oldest_dead_ms == 100);
  clock.Advance(100);
  while (engine->Stats().levels[1].sstables > 0) std::this_thread::yield();
  stats = engine->Stats();
  CHECK(stats.levels.at(2).entries == 10);
  CHECK(stats.dead_bytes_known == 0);
  CHECK(stats.oldest_dead_ms == 0);
}

TEST_CASE("tables that have expired whole go without a single read", "[engine][dead]") {
  FaultFileSystem fs;
  WallClock clock;
  auto engine = MustOpen(RoomyOptions(&fs, &clock));
  for (int i = 0; i < 60; ++i) REQUIRE(Put(*engine, "k" + std::to_string(100 + i), "x", clock.WallMillis() + 1000).ok());
  REQUIRE(engine->Compact(std::nullopt, 2).ok());
  REQUIRE(TableCount(*engine) > 0);
  fs.FailCall(1, Fault::kReadError, FaultSpan::kFromThenOn);
  clock.Advance(1001);
  engine->ReclaimDeadRanges();                             // wakes the scheduler
  while (TableCount(*engine) > 0) std::this_thread::yield();
  CHECK(engine->Stats().expired_entries == 60);
  CHECK(engine->Stats().compactions == 1);                 // the one that was asked for
}

TEST_CASE("optimize-for-hits leaves out the last level's filters, and no others", "[engine][filter]") {
  FaultFileSystem fs;
  Options options = RoomyOptions(&fs);
  options.optimize_for_hits = GENERATE(false, true);
  CAPTURE(options.optimize_for_hits);
  auto engine = MustOpen(options);
  for (int i = 0; i < 100; ++i) REQUIRE(Put(*engine, "k" + std::to_string(100 + i), "x").ok());
  REQUIRE(engine->Compact().ok());
  for (int i = 0; i < 100; ++i) REQUIRE(Get(*engine, "k" + std::to_string(100 + i)) == "x");
  CHECK((engine->Stats().filter_checks == 0) == options.optimize_for_hits);
  const std::uint64_t checks = engine->Stats().filter_checks;
  REQUIRE(Put(*engine, "k100", "y").ok());
  REQUIRE(Put(*engine, "k102", "y").ok());
  REQUIRE(engine->Flush().ok());
  REQUIRE(Get(*engine, "k101") == "x");                    // L0 is asked first
  CHECK(engine->Stats().filter_checks > checks);
  CHECK(engine->Stats().filter_negatives > 0);
  REQUIRE(engine->Compact(0, 1).ok());
}

TEST_CASE("tables and blob files are handed to the disk as they are written, so that their sync finds little to do", "[engine][writeback]") {
  FaultFileSystem fs;
  Options options = RoomyOptions(&fs);
  options.max_sstable_bytes = 16 << 20;
  options.min_blob_bytes = 10'000;
  auto engine = MustOpen(options);
  for (int i = 0; i < 3000; ++i) {
    REQUIRE(Put(*engine, "small" + std::to_string(i), std::string(1000, 'x')).ok());
    if (i % 10 == 0) REQUIRE(Put(*engine, "large" + std::to_string(i), std::string(20'000, 'x')).ok());
  }
  REQUIRE(Put(*engine, "huge", std::string(3 << 20, 'x')).ok());
  REQUIRE(engine->Flush().ok());
  REQUIRE(engine->Stats().levels[0].size_bytes > 4 * JobBuffers::kMostOfEach);
  REQUIRE(engine->Stats().blob_bytes > 8 * BlobWriter::kWritebackBytes);
  REQUIRE(engine->Compact().ok());
  CHECK(fs.MostWithoutWriteback("/sst/") > 0);
  CHECK(fs.MostWithoutWriteback("/sst/") < JobBuffers::kMostOfEach + 64'000);
  CHECK(fs.MostWithoutWriteback("/blob/") > 0);
  CHECK(fs.MostWithoutWriteback("/blob/") < 2 * BlobWriter::kWritebackBytes);
}
