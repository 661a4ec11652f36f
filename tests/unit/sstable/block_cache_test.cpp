#include "engine/sstable/block_cache.h"

#include <thread>

#include "engine/sstable/data_block.h"
#include "engine/sstable/filter_block.h"
#include "sstable_test_util.h"

using namespace lsmkv;
using namespace lsmkv::sstable_test;

namespace {

/// A data block of one entry; `bytes` long in all, its value naming its offset.
BlockRef DataOf(std::uint64_t offset, std::size_t bytes = 100) {
  DataBlockBuilder builder;
  builder.Add({std::to_string(offset), std::string(bytes, 'v'), 1, 0, EntryKind::kValue}, offset);
  BlockContents contents;
  contents.bytes = builder.Finish();
  contents.Own();
  return *DataBlock::Parse(std::move(contents), 0);
}

BlockRef FilterOf(std::uint64_t hash) {
  const std::string bytes = BuildFilter({&hash, 1}, 10);
  BlockContents contents;
  contents.bytes = bytes;
  contents.Own();
  return *FilterBlock::Parse(std::move(contents), 0);
}

bool IsDataOf(const BlockRef& block, std::uint64_t offset) {
  EntryView entry;
  const auto found = static_cast<const DataBlock&>(*block).Get(std::to_string(offset), offset, &entry);
  return found && *found;
}

}  // namespace

TEST_CASE("the cache returns what was put in and forgets a deleted table", "[block_cache]") {
  BlockCache cache(16u << 20);
  for (std::uint64_t table = 1; table <= 3; ++table) {
    for (std::uint64_t i = 0; i < 3000; ++i) cache.Insert({table, i * 4096}, DataOf(i));
  }
  CHECK(cache.stats().blocks == 9000);
  CHECK(cache.Lookup({2, 4096}) != nullptr);
  CHECK(cache.Lookup({2, 4097}) == nullptr);
  CHECK(cache.Lookup({4, 4096}) == nullptr);
  cache.EraseTable(2);
  CHECK(cache.stats().blocks == 6000);
  CHECK(cache.Lookup({2, 4096}) == nullptr);
  CHECK(cache.Lookup({1, 4096}) != nullptr);
  CHECK(cache.Lookup({3, 2999 * 4096}) != nullptr);
  CHECK(cache.stats().hits == 3);
  CHECK(cache.stats().misses == 3);
  cache.EraseTable(1);
  cache.EraseTable(3);
  CHECK(cache.stats().bytes == 0);
}

TEST_CASE("the budget holds after every insert, and may change at any time", "[block_cache]") {
  const auto seed = GENERATE(range(0u, 5u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  BlockCache cache(0);
  for (int i = 0; i < 20'000; ++i) {
    if (i % 1000 == 0) {
      cache.SetCapacity(random() % 3 == 0 ? random() % 1000 : random() % (1u << 20));
      REQUIRE(cache.stats().bytes <= cache.capacity_bytes());
    }
    cache.Insert({1, random() % 5000}, DataOf(1, random() % 2000));
    REQUIRE(cache.stats().bytes <= cache.capacity_bytes());
    (void)cache.Lookup({1, random() % 5000});
  }
}

TEST_CASE("a block larger than its share is not kept", "[block_cache]") {
  BlockCache cache(80'000);
  cache.Insert({1, 0}, DataOf(0, 8'000));
  cache.Insert({1, 1}, DataOf(1, 11'000));
  CHECK(cache.Lookup({1, 0}) != nullptr);
  CHECK(cache.Lookup({1, 1}) == nullptr);
}

TEST_CASE("a scan does not drive out what is used", "[block_cache]") {
  BlockCache cache(1u << 20);
  constexpr std::uint64_t kHot = 200;
  const auto touch_hot = [&] {
    std::uint64_t kept = 0;
    for (std::uint64_t i = 0; i < kHot; ++i) kept += cache.Lookup({1, i}) != nullptr ? 1 : 0;
    return kept;
  };
  for (std::uint64_t i = 0; i < kHot; ++i) cache.Insert({1, i}, i % 2 == 0 ? DataOf(i, 1000) : FilterOf(i));
  for (int i = 0; i < 3; ++i) touch_hot();
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    cache.Insert({2, i}, DataOf(i, 1000));
    if (i % 500 == 0) touch_hot();
  }
  CHECK(touch_hot() >= kHot * 98 / 100);  // which shard gives way is chance
}

TEST_CASE("many readers that miss one block read it once, and share its error", "[block_cache]") {
  const bool fails = GENERATE(false, true);
  BlockCache cache(1u << 20);
  constexpr int kThreads = 8;
  std::atomic<int> loads{0};
  std::atomic<int> arrived{0};
  std::atomic<int> right{0};
  const auto load = [&]() -> Result<BlockRef> {
    loads.fetch_add(1);
    while (arrived.load() < kThreads) std::this_thread::yield();
    if (fails) return Status::IoError("no disk");
    return DataOf(5);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      const bool missed = cache.Lookup({1, 5}) == nullptr;
      arrived.fetch_add(1);
      const Result<BlockRef> block = cache.LoadOnce({1, 5}, load);
      if (missed && (fails ? !block && block.error().code() == StatusCode::kIoError : block && IsDataOf(*block, 5)))
        right.fetch_add(1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == kThreads);
  // A thread may come only after a failed load has ended, and then tries anew; a load that worked is never repeated.
  if (fails) {
    CHECK(loads >= 1);
  } else {
    CHECK(loads == 1);
  }
  CHECK((cache.Lookup({1, 5}) == nullptr) == fails);
}

TEST_CASE("a lookup while a load is under way does not wait", "[block_cache]") {
  BlockCache cache(1u << 20);
  const Result<BlockRef> block = cache.LoadOnce({1, 5}, [&]() -> Result<BlockRef> {
    // Another thread asks from memory while this load is under way.
    std::thread([&] { CHECK(cache.Lookup({1, 5}) == nullptr); }).join();
    return DataOf(5);
  });
  REQUIRE(block);
  CHECK(cache.Lookup({1, 5}) == *block);
}

TEST_CASE("threads that look up, load, erase and resize at once see only right blocks", "[block_cache]") {
  const auto seed = GENERATE(range(0u, 2u));
  CAPTURE(seed);
  BlockCache cache(64u << 10);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed * 10 + t);
      for (int i = 0; i < 5000; ++i) {
        const std::uint64_t offset = random() % 500;
        const BlockKey key{random() % 3, offset};
        BlockRef block = cache.Lookup(key);
        if (block == nullptr) {
          const Result<BlockRef> loaded = cache.LoadOnce(key, [&]() -> Result<BlockRef> { return DataOf(offset, offset); });
          if (loaded) block = *loaded;
        }
        if (block == nullptr || !IsDataOf(block, offset)) wrong.fetch_add(1);
        if (random() % 500 == 0) cache.EraseTable(random() % 3);
        if (random() % 500 == 0) cache.SetCapacity(random() % (128u << 10));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  cache.SetCapacity(10'000);
  CHECK(cache.stats().bytes <= 10'000);
}
