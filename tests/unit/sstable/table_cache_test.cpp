#include "engine/sstable/table_cache.h"

#include <thread>

#include "sstable_test_util.h"

using namespace lsmkv;
using namespace lsmkv::sstable_test;

namespace {

/// `count` tables; table n holds NumberedKey(n) and nothing else.
struct TestTables {
  explicit TestTables(std::size_t count, std::size_t max_open, std::uint64_t cache_bytes = 1u << 20)
      : block_cache(cache_bytes), cache(fs, block_cache, max_open) {
    for (std::size_t n = 0; n < count; ++n) {
      const std::string path = std::to_string(n) + ".sst";
      WriteTable(fs, path, {{NumberedKey(n), {"value " + std::to_string(n), n, 0, EntryKind::kValue}}}, {});
      handles.push_back(std::make_unique<TableHandle>(cache, n, path, *fs.FileSize(path)));
    }
  }
  bool IsOpen(std::size_t n) { return handles[n]->Pin(true).has_value(); }
  bool Read(std::size_t n) {
    const auto pin = handles[n]->Pin(false);
    if (!pin) return false;
    TableGetResult result;
    const std::string key = NumberedKey(n);
    return (*pin)->Get(key, Hash(key), {}, &result).ok() && result.found &&
           result.entry.value == "value " + std::to_string(n);
  }

  FaultFileSystem fs;
  BlockCache block_cache;
  TableCache cache;
  std::vector<std::unique_ptr<TableHandle>> handles;
};

}  // namespace

TEST_CASE("a table is opened by its first read and not before", "[table_cache]") {
  TestTables tables(1, 10);
  CHECK(tables.cache.open_count() == 0);
  CHECK(tables.handles[0]->Pin(true).error().code() == StatusCode::kWouldBlock);
  CHECK(tables.cache.open_count() == 0);
  CHECK(tables.Read(0));
  CHECK(tables.cache.open_count() == 1);
  CHECK(tables.IsOpen(0));
  tables.handles.clear();
  CHECK(tables.cache.open_count() == 0);
}

TEST_CASE("what was not used lately is closed first, and a pinned table never", "[table_cache]") {
  TestTables tables(6, 3);
  const auto pin = tables.handles[0]->Pin(false);
  REQUIRE(pin);
  for (std::size_t n = 0; n < 6; ++n) {
    CHECK(tables.Read(n));
    CHECK(tables.cache.open_count() <= 3);
    CHECK(tables.IsOpen(n));
  }
  CHECK(tables.IsOpen(0));
  for (std::size_t n = 0; n < 6; ++n) CHECK(tables.Read(n));
}

TEST_CASE("a table in steady use stays open while others come and go", "[table_cache]") {
  TestTables tables(50, 4);
  REQUIRE(tables.Read(0));
  for (std::size_t n = 1; n < 50; ++n) {
    REQUIRE(tables.Read(n));
    CHECK(tables.IsOpen(0));  // and is thereby used again
  }
}

TEST_CASE("more pins than open tables are allowed are served all the same", "[table_cache]") {
  TestTables tables(5, 2);
  std::vector<TablePin> pins;
  for (const auto& handle : tables.handles) {
    auto pin = handle->Pin(false);
    REQUIRE(pin);
    pins.push_back(std::move(*pin));
  }
  CHECK(tables.cache.open_count() == 5);
  pins.clear();
  CHECK(tables.Read(0));
  CHECK(tables.Read(1));
  TestTables more(1, 1);
  pins.push_back(*more.handles[0]->Pin(false));
  pins.clear();
}

TEST_CASE("an iterator keeps its table open", "[table_cache]") {
  TestTables tables(3, 1);
  auto iterator = tables.handles[0]->NewIterator({});
  REQUIRE(iterator);
  CHECK(tables.Read(1));
  CHECK(tables.Read(2));
  (*iterator)->SeekToFirst();
  REQUIRE((*iterator)->Valid());
  CHECK((*iterator)->entry().key == NumberedKey(0));
  iterator->reset();
  CHECK(tables.Read(1));
  CHECK(tables.Read(2));
  CHECK(tables.cache.open_count() == 1);
}

TEST_CASE("a missing table and one of a wrong size are damage that names the file", "[table_cache]") {
  TestTables tables(2, 10);
  REQUIRE(tables.fs.RemoveFile("0.sst").ok());
  REQUIRE(tables.fs.Mutate("1.sst", [](std::string& bytes) { bytes += "x"; }).ok());
  for (std::size_t n = 0; n < 2; ++n) {
    const auto pin = tables.handles[n]->Pin(false);
    REQUIRE_FALSE(pin);
    CHECK(pin.error().code() == StatusCode::kCorruption);
    CHECK(pin.error().message().starts_with(std::to_string(n) + ".sst: "));
  }
  CHECK(tables.cache.open_count() == 0);
}

TEST_CASE("a failed opening is not remembered", "[table_cache]") {
  TestTables tables(1, 10);
  tables.fs.FailCall(1, Fault::kReadError);
  CHECK(tables.handles[0]->Pin(false).error().code() == StatusCode::kIoError);
  CHECK(tables.Read(0));
}

TEST_CASE("threads that need one table open it once", "[table_cache]") {
  TestTables tables(1, 10);
  const std::uint64_t reads = tables.fs.calls(Fault::kReadError);
  std::vector<std::thread> threads;
  std::atomic<int> arrived{0};
  std::atomic<int> pinned{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      arrived.fetch_add(1);
      while (arrived.load() < 8) std::this_thread::yield();
      if (tables.handles[0]->Pin(false)) pinned.fetch_add(1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(pinned == 8);
  CHECK(tables.fs.calls(Fault::kReadError) == reads + 3);  // open, footer, top index
}

TEST_CASE("tables that open and close under many readers are always right", "[table_cache]") {
  TestTables tables(8, 2, 2000);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      for (int i = 0; i < 3000; ++i) {
        const std::size_t n = random() % 8;
        if (random() % 4 == 0) {
          (void)tables.IsOpen(n);
        } else if (!tables.Read(n)) {
          wrong.fetch_add(1);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(tables.Read(0));
  CHECK(tables.cache.open_count() <= 4);
}
