// Rows beside blocks: never older than what was written, and within the one budget. How the cache itself behaves: row_cache_test.
#include <thread>
#include <vector>

#include "engine_fixture.h"
#include "ingest_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

Options RowOptions(FaultFileSystem* fs) {
  Options options = TinyOptions(fs);
  options.block_cache_bytes = 256 << 10;
  options.row_cache_percent = 40;
  return options;
}

/// Reads `key` until a row answers.
void MakeRow(Engine& engine, std::string_view key) {
  const std::uint64_t before = engine.Stats().row_cache_hits;
  for (int tries = 0; tries < 100 && engine.Stats().row_cache_hits == before; ++tries) (void)Get(engine, key);
  REQUIRE(engine.Stats().row_cache_hits > before);
}

}  // namespace

TEST_CASE("a reader never sees less than what was acknowledged before it asked, with rows", "[engine][rows][threads]") {
  FaultFileSystem fs;
  auto engine = MustOpen(RowOptions(&fs));
  constexpr std::size_t kKeys = 60;
  std::vector<std::atomic<int>> acknowledged(kKeys);
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (unsigned reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&, reader] {
      std::mt19937_64 random(reader);
      while (!stop) {
        const std::size_t i = random() % kKeys;
        const int floor = acknowledged[i];
        const auto value = Get(*engine, "key:" + std::to_string(i));
        if (floor != 0 && (!value || std::stoi(*value) < floor)) ++failures;
      }
      engine->ReleaseThreadView();
    });
  }
  std::mt19937_64 random(7);
  for (int i = 1; i < 6000 || engine->Stats().row_cache_hits < 500; ++i) {
    const std::size_t key = random() % kKeys;
    if (!Put(*engine, "key:" + std::to_string(key), std::to_string(i)).ok()) ++failures;
    acknowledged[key] = i;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
}

TEST_CASE("a row goes when its key is written, deleted, flushed or ingested again", "[engine][rows]") {
  FaultFileSystem fs;
  auto engine = MustOpen(RowOptions(&fs));
  REQUIRE(Put(*engine, "key", "one").ok());
  REQUIRE(Put(*engine, "other", "value").ok());
  REQUIRE(engine->Flush().ok());
  MakeRow(*engine, "key");
  MakeRow(*engine, "other");
  REQUIRE(Put(*engine, "key", "two").ok());
  CHECK(Get(*engine, "key") == "two");
  REQUIRE(engine->Flush().ok());
  CHECK(Get(*engine, "key") == "two");
  MakeRow(*engine, "key");
  REQUIRE(engine->Compact().ok());
  CHECK(Get(*engine, "key") == "two");
  REQUIRE(Delete(*engine, "key").ok());
  REQUIRE(engine->Flush().ok());
  CHECK_FALSE(Get(*engine, "key"));
  REQUIRE(engine->Compact().ok());
  CHECK_FALSE(Get(*engine, "key"));
  CHECK(Get(*engine, "other") == "value");
  MakeRow(*engine, "other");
  WriteBundle(fs, "in", {{"key", {"ingested"}}, {"other", {"too"}}});
  REQUIRE(engine->Ingest({"in", nullptr}));
  CHECK(Get(*engine, "key") == "ingested");
  CHECK(Get(*engine, "other") == "too");
}

TEST_CASE("a row keeps its key's deadline", "[engine][rows]") {
  FaultFileSystem fs;
  WallClock clock;
  Options options = RowOptions(&fs);
  options.clock = &clock;
  auto engine = MustOpen(options);
  const std::uint64_t deadline = clock.WallMillis() + 1000;
  REQUIRE(Put(*engine, "key", "value", deadline).ok());
  REQUIRE(engine->Flush().ok());
  MakeRow(*engine, "key");
  const Result<std::optional<PinnedValue>> found = engine->Get("key");
  REQUIRE(found.has_value());
  CHECK((*found)->expire_at_ms() == deadline);
  engine->ReleaseThreadView();
}

TEST_CASE("a snapshot does not see rows of later versions", "[engine][rows]") {
  FaultFileSystem fs;
  auto engine = MustOpen(RowOptions(&fs));
  REQUIRE(Put(*engine, "key", "old").ok());
  REQUIRE(engine->Flush().ok());
  ReadOptions before;
  before.snapshot = engine->GetSnapshot();
  REQUIRE(Put(*engine, "key", "new").ok());
  REQUIRE(engine->Flush().ok());
  MakeRow(*engine, "key");
  CHECK(Get(*engine, "key", before) == "old");
  CHECK(Get(*engine, "key") == "new");
  before.snapshot.reset();
}

TEST_CASE("rows and blocks keep to one budget, which can be changed and given back", "[engine][rows]") {
  FaultFileSystem fs;
  Options options = RowOptions(&fs);
  auto engine = MustOpen(options);
  for (int i = 0; i < 4000; ++i) REQUIRE(Put(*engine, "key:" + std::to_string(i), std::string(100, 'v')).ok());
  REQUIRE(engine->Flush().ok());
  const auto read_all = [&] {
    for (int i = 0; i < 4000; ++i) REQUIRE(Get(*engine, "key:" + std::to_string(i)) == std::string(100, 'v'));
  };
  read_all();
  EngineStats stats = engine->Stats();
  CHECK(stats.row_cache_rows > 100);
  CHECK(stats.row_cache_bytes + stats.block_cache_bytes <= options.block_cache_bytes + options.block_cache_bytes / 64);
  CHECK(stats.row_cache_bytes <= options.block_cache_bytes / 100 * options.row_cache_percent);
  MemoryLimits limits{options.memtable_bytes, 0, options.background_bytes, 1 << 20, options.max_open_sstables, 0};
  engine->SetMemoryLimits(limits);
  const std::uint64_t rows_before = engine->Stats().row_cache_rows;
  read_all();
  CHECK(engine->Stats().row_cache_rows <= rows_before);
  CHECK(rows_before == 0);
  limits.row_cache_percent = 80;
  engine->SetMemoryLimits(limits);
  read_all();
  stats = engine->Stats();
  CHECK(stats.row_cache_rows > 3000);
  CHECK(stats.row_cache_bytes + stats.block_cache_bytes <= limits.block_cache_bytes + limits.block_cache_bytes / 64);
}
