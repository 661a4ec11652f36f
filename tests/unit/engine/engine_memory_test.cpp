// What the engine takes, and that limits on it are kept while everything goes on.
#include <map>
#include <random>

#include "engine_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

Options ByBytes(FileSystem* fs, std::uint64_t max_memory_bytes) {
  Options options = TinyOptions(fs);
  options.memtable_entries = 0;
  options.memtable_bytes = 0;                 // by max_memory_bytes
  options.max_memory_bytes = max_memory_bytes;
  options.base_level_entries = 0;
  options.base_level_bytes = 200 << 10;
  options.max_sstable_bytes = 100 << 10;
  options.block_bytes = 4096;
  return options;
}

constexpr std::uint64_t kMaxMemory = 512 << 10;
constexpr std::uint64_t kOneMemtable = kMaxMemory / 4;
constexpr std::uint64_t kOneBatch = 4 << 10;

}  // namespace

TEST_CASE("memtables stay within their limit under any load, and writers get through", "[engine][memory]") {
  FaultFileSystem fs;
  auto engine = MustOpen(ByBytes(&fs, kMaxMemory));
  const std::string value(1000, 'v');
  std::uint64_t most = 0;
  for (int i = 0; i < 6000; ++i) {
    REQUIRE(Put(*engine, "k" + std::to_string(i * 7919 % 6000), value).ok());
    const EngineStats stats = engine->Stats();
    most = std::max(most, stats.memtable_bytes + stats.retired_memtable_bytes);
  }
  CHECK(most > kOneMemtable);
  CHECK(most < kMaxMemory + kOneMemtable + kOneBatch);   // the limit stops the next write, and one memtable is being filled then
  CHECK(Contents(*engine).size() == 6000);
}

TEST_CASE("memtables that a reader holds count, and do not stop the writers for good", "[engine][memory]") {
  FaultFileSystem fs;
  auto engine = MustOpen(ByBytes(&fs, kMaxMemory));
  const std::string value(1000, 'v');
  for (int i = 0; i < 100; ++i) REQUIRE(Put(*engine, "old" + std::to_string(i), value).ok());
  const auto reader = engine->NewIterator();
  for (int i = 0; i < 3000; ++i) REQUIRE(Put(*engine, "new" + std::to_string(i), value).ok());
  EngineStats stats = engine->Stats();
  CHECK(stats.retired_memtable_bytes > 100'000);
  CHECK(stats.memtable_bytes + stats.retired_memtable_bytes < kMaxMemory + kOneMemtable + kOneBatch);
  std::size_t seen = 0;
  for (reader->SeekToFirst(); reader->Valid(); reader->Next()) ++seen;
  CHECK(seen == 100);
}

TEST_CASE("a thread that only writes keeps no flushed memtable once it says that it is done reading", "[engine][memory]") {
  FaultFileSystem fs;
  auto engine = MustOpen(ByBytes(&fs, kMaxMemory));
  REQUIRE(Put(*engine, "a", std::string(1000, 'v')).ok());
  CHECK(Get(*engine, "a").has_value());        // this thread's view is of the first memtable now
  engine->ReleaseStaleThreadView();
  REQUIRE(engine->Flush().ok());
  CHECK(engine->Stats().retired_memtable_bytes > 0);
  engine->ReleaseStaleThreadView();
  while (engine->Stats().retired_memtable_bytes > 0) std::this_thread::yield();   // the scheduler frees it
}

TEST_CASE("limits change while the engine is open, and nothing is lost", "[engine][memory]") {
  const auto seed = GENERATE_COPY(range(0u, Seeds(4, 40)));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  FaultFileSystem fs;
  auto engine = MustOpen(ByBytes(&fs, kMaxMemory));
  std::map<std::string, std::string> model;
  for (int step = 0; step < 3000; ++step) {
    if (step % 100 == 0) {
      MemoryLimits limits;
      limits.max_memory_bytes = (256u << 10) << random() % 4;
      limits.memtable_bytes = random() % 2 == 0 ? 0 : limits.max_memory_bytes / (2 + random() % 6);
      limits.background_bytes = 1u << random() % 24;
      limits.block_cache_bytes = random() % 3 == 0 ? 0 : 1u << random() % 22;
      limits.max_open_sstables = static_cast<std::uint32_t>(random() % 8);
      engine->SetMemoryLimits(limits);
      REQUIRE(engine->Stats().block_cache_bytes <= limits.block_cache_bytes);
    }
    const std::string key = "k" + std::to_string(random() % 1000);
    if (random() % 4 == 0) {
      const auto expected = model.find(key);
      const auto got = Get(*engine, key);
      REQUIRE(got.has_value() == (expected != model.end()));
      if (got) REQUIRE(*got == expected->second);
    } else {
      model[key] = std::string(random() % 2000, static_cast<char>('a' + step % 26));
      REQUIRE(Put(*engine, key, model[key]).ok());
    }
  }
  CHECK(Contents(*engine) == model);
}

TEST_CASE("what the caches, open tables and table records take is told apart", "[engine][memory]") {
  FaultFileSystem fs;
  auto engine = MustOpen(ByBytes(&fs, kMaxMemory));
  EngineStats stats = engine->Stats();
  CHECK(stats.block_cache_bytes == 0);
  CHECK(stats.open_sstable_bytes == 0);
  CHECK(stats.table_record_bytes == 0);
  for (int i = 0; i < 2000; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), std::string(1000, 'v')).ok());
  REQUIRE(engine->Compact().ok());
  MemoryLimits limits{0, kMaxMemory, 1 << 20, 1 << 20, 1000};
  engine->SetMemoryLimits(limits);
  for (int i = 0; i < 2000; i += 10) CHECK(Get(*engine, "k" + std::to_string(i)).has_value());
  stats = engine->Stats();
  CHECK(stats.block_cache_index_bytes > 0);
  CHECK(stats.block_cache_filter_bytes > 0);
  CHECK(stats.block_cache_index_bytes + stats.block_cache_filter_bytes < stats.block_cache_bytes);
  CHECK(stats.open_sstable_bytes / stats.open_sstables > 200);
  CHECK(stats.open_sstable_bytes / stats.open_sstables < (8 << 10));     // what the budget reckons with
  CHECK(stats.table_record_bytes > 500);
  limits.block_cache_bytes = 0;
  engine->SetMemoryLimits(limits);
  stats = engine->Stats();
  CHECK(stats.block_cache_bytes == 0);
  CHECK(stats.block_cache_index_bytes == 0);
  CHECK(stats.block_cache_filter_bytes == 0);
}

TEST_CASE("jobs give back what they were given", "[engine][memory]") {
  FaultFileSystem fs;
  auto engine = MustOpen(ByBytes(&fs, kMaxMemory));
  for (int i = 0; i < 2000; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), std::string(1000, 'v')).ok());
  REQUIRE(engine->Flush().ok());
  while (engine->Stats().compactions_running > 0) std::this_thread::yield();
  while (engine->Stats().background_bytes > 0) std::this_thread::yield();
}

TEST_CASE("expired entries are counted when they are removed, once", "[engine]") {
  FaultFileSystem fs;
  WallClock clock;
  auto engine = MustOpen(TinyOptions(&fs, &clock));
  const std::uint64_t soon = clock.WallMillis() + 1000;
  for (int i = 0; i < 100; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), "v", i < 30 ? soon : 0).ok());
  REQUIRE(engine->Compact().ok());
  CHECK(engine->Stats().expired_entries == 0);
  clock.Advance(1000);
  REQUIRE(engine->Compact().ok());
  CHECK(engine->Stats().expired_entries == 0);       // its deadline is a key's last millisecond
  CHECK(Contents(*engine).size() == 100);
  clock.Advance(1);
  CHECK(Contents(*engine).size() == 70);
  REQUIRE(engine->Compact().ok());
  REQUIRE(engine->Compact().ok());
  CHECK(engine->Stats().expired_entries == 30);
}

TEST_CASE("write amplification does not begin anew with each start", "[engine]") {
  FaultFileSystem fs;
  double before = 0;
  {
    auto engine = MustOpen(TinyOptions(&fs));
    for (int i = 0; i < 1000; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i % 300), "v").ok());
    REQUIRE(engine->Compact().ok());
    before = engine->Stats().write_amplification;
    CHECK(before > 1);
  }
  auto engine = MustOpen(TinyOptions(&fs));
  CHECK(engine->Stats().write_amplification_since_ms > 0);
  REQUIRE(engine->Compact().ok());                      // merges what was flushed before the start, and flushes nothing
  CHECK(engine->Stats().write_amplification >= 1);
  CHECK(engine->Stats().write_amplification < before + 2);
}

TEST_CASE("only a value that is most of its block, or a blob value, may be kept for long", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.block_bytes = 8192;
  options.min_blob_bytes = 50'000;
  options.compression = Compression::kNone;
  const auto engine = MustOpen(options);
  for (int i = 0; i < 8; ++i) REQUIRE(Put(*engine, "a" + std::to_string(i), std::string(1000, 's')).ok());
  REQUIRE(Put(*engine, "large", std::string(30'000, 'l')).ok());
  REQUIRE(Put(*engine, "zblob", std::string(50'000, 'b')).ok());
  const auto keeps = [&engine](std::string_view key) {
    Result<std::optional<PinnedValue>> value = engine->Get(key, {});
    REQUIRE((value && value->has_value()));
    return (*value)->block() != nullptr;
  };
  CHECK_FALSE(keeps("large"));        // it lies in a memtable
  REQUIRE(engine->Flush().ok());
  CHECK_FALSE(keeps("a3"));
  CHECK(keeps("large"));
  CHECK(keeps("zblob"));
}
