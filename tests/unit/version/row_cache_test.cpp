#include "engine/version/row_cache.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/hash.h"

using namespace lsmkv;

namespace {

struct Expected {
  std::string value;
  std::uint64_t expire_at_ms = 0;
};

std::string ValueOf(std::mt19937_64& random) { return std::string(random() % 300, static_cast<char>('a' + random() % 26)); }

void Insert(RowCache& cache, std::string_view key, std::string_view value, std::uint64_t expire_at_ms = 0) {
  cache.Insert(cache.Ticket(), key, Hash(key), value, expire_at_ms);
}

}  // namespace

TEST_CASE("what is found is what was inserted last and not forgotten since", "[row_cache]") {
  const auto seed = GENERATE(range(0u, 8u));
  std::mt19937_64 random(seed);
  constexpr std::uint64_t kCapacity = 96 << 10;
  RowCache cache(kCapacity);
  std::unordered_map<std::string, Expected> model;      // what would be true; the cache may know less
  std::uint64_t found = 0;
  SequenceNumber flushed = 0;
  for (int step = 0; step < 20'000; ++step) {
    const std::string key = "key:" + std::to_string(random() % 400) + std::string(random() % 3 == 0 ? 40 : 0, '\0');
    switch (random() % 10) {
      case 0:
        model[key] = {ValueOf(random), random() % 2 == 0 ? 0 : random() + 1};
        if (const std::uint64_t ticket = cache.BeginFlush(++flushed); random() % 2 == 0) {
          cache.Forget(Hash(key));
        } else {
          cache.Renew(ticket, key, Hash(key), model[key].value, model[key].expire_at_ms);
        }
        break;
      case 1:
        if (random() % 1000 != 0) break;
        {
          const RowCache::Closed closed(cache);
          CHECK(cache.stats().rows == 0);
          Insert(cache, key, "never");
          CHECK(cache.Find(key, Hash(key)) == nullptr);
        }
        for (auto& [name, expected] : model) expected.value = ValueOf(random);
        break;
      case 2:
        if (random() % 500 == 0) cache.SetCapacity(kCapacity >> random() % 4);
        break;
      default:
        const auto expected = model.find(key);
        const RowRef row = cache.Find(key, Hash(key));
        if (row != nullptr) {
          ++found;
          REQUIRE(expected != model.end());
          REQUIRE(row->key() == key);
          REQUIRE(row->value() == expected->second.value);
          REQUIRE(row->expire_at_ms() == expected->second.expire_at_ms);
        } else if (expected != model.end()) {
          Insert(cache, key, expected->second.value, expected->second.expire_at_ms);
        }
    }
    REQUIRE(cache.bytes() <= kCapacity);
    if (step % 1000 == 0) REQUIRE(cache.bytes() == cache.stats().bytes);
  }
  CHECK(found > 500);
}

TEST_CASE("a row that was looked up before a memtable began to be flushed is refused", "[row_cache]") {
  RowCache cache(1 << 20);
  Insert(cache, "other", "value");
  const std::uint64_t before = cache.Ticket();
  cache.BeginFlush(1);
  cache.Forget(Hash("key"));
  cache.Insert(before, "key", Hash("key"), "old", 0);
  CHECK(cache.Find("key", Hash("key")) == nullptr);
  Insert(cache, "key", "new");
  CHECK(cache.Find("key", Hash("key"))->value() == "new");
  CHECK(cache.Find("other", Hash("other"))->value() == "value");
  {
    const std::uint64_t open = cache.Ticket();
    const RowCache::Closed closed(cache);
    cache.Insert(open, "key", Hash("key"), "old", 0);
  }
  CHECK(cache.Find("key", Hash("key")) == nullptr);
}

TEST_CASE("rows that are found stay, a scan of others does not drive them out", "[row_cache]") {
  RowCache cache(512 << 10);
  const std::string value(200, 'v');
  const auto hot = [](int i) { return "hot:" + std::to_string(i); };
  for (int i = 0; i < 500; ++i) Insert(cache, hot(i), value);
  for (int i = 0; i < 100'000; ++i) {
    const std::string cold = "cold:" + std::to_string(i);
    Insert(cache, cold, value);
    const std::string warm = hot(i % 500);
    if (cache.Find(warm, Hash(warm)) == nullptr) Insert(cache, warm, value);
  }
  int still = 0;
  for (int i = 0; i < 500; ++i) still += cache.Find(hot(i), Hash(hot(i))) != nullptr ? 1 : 0;
  CHECK(still > 450);
}

TEST_CASE("while rows are hardly ever found few are made, and again more when they are", "[row_cache]") {
  RowCache cache(256 << 10);
  std::uint64_t next = 0;
  // Reads keys, a `hot` one of a few every so often and else one that never comes again; returns which part of the latter was kept.
  const auto part_kept = [&](int reads, int hot_every) {
    double cold = 0, kept = 0;
    for (int i = 0; i < reads; ++i) {
      const bool hot = hot_every != 0 && i % hot_every == 0;
      const std::string key = hot ? "hot:" + std::to_string(i / hot_every % 300) : "cold:" + std::to_string(next++);
      if (cache.Find(key, Hash(key)) == nullptr) Insert(cache, key, std::string(100, 'v'));
      if (hot) continue;
      cold += 1;
      kept += cache.PrefetchRow(Hash(key)) ? 1 : 0;
    }
    return kept / cold;
  };
  constexpr int kFewReads = 50'000;           // too few for a judgement, enough to fill it and to measure
  constexpr int kManyReads = 600'000;         // several judgements of every shard
  static_cast<void>(part_kept(kFewReads, 0));
  CHECK(part_kept(kFewReads, 0) > 0.08);
  static_cast<void>(part_kept(kManyReads, 0));
  CHECK(part_kept(kFewReads, 0) < 0.02);
  static_cast<void>(part_kept(kManyReads, 3));
  CHECK(part_kept(kFewReads, 3) > 0.08);
}

TEST_CASE("what is too large, and a cache of nothing, keeps nothing", "[row_cache]") {
  RowCache cache(1 << 20);
  Insert(cache, "key", std::string(RowCache::kMaxRowBytes, 'x'));
  CHECK(cache.Find("key", Hash("key")) == nullptr);
  CHECK(cache.bytes() == 0);
  cache.SetCapacity(0);
  Insert(cache, "key", "value");
  CHECK(cache.Find("key", Hash("key")) == nullptr);
  Insert(cache, "", "");
  cache.SetCapacity(1 << 20);
  Insert(cache, "", "");
  REQUIRE(cache.Find("", Hash("")) != nullptr);
  CHECK(cache.Find("", Hash(""))->value().empty());
}

TEST_CASE("a few rows take little of a large cache, and none is lost as it grows", "[row_cache]") {
  RowCache cache(256 << 20);
  const auto key = [](int i) { return "key:" + std::to_string(i); };
  for (int i = 0; i < 100; ++i) Insert(cache, key(i), "value");
  CHECK(cache.bytes() < 100 << 10);
  for (int i = 100; i < 100'000; ++i) Insert(cache, key(i), std::to_string(i));
  int found = 0;
  for (int i = 100; i < 100'000; ++i) {
    const RowRef row = cache.Find(key(i), Hash(key(i)));
    if (row == nullptr) continue;
    REQUIRE(row->value() == std::to_string(i));
    ++found;
  }
  CHECK(found > 95'000);                  // but for those whose bucket was full
  CHECK(cache.bytes() == cache.stats().bytes);
}

TEST_CASE("a row outlives its place, and the cache", "[row_cache]") {
  RowRef row;
  {
    RowCache cache(1 << 20);
    Insert(cache, "key", "value", 77);
    row = cache.Find("key", Hash("key"));
    cache.BeginFlush(1);
    cache.Forget(Hash("key"));
    CHECK(cache.bytes() == cache.stats().bytes);
  }
  CHECK(row->value() == "value");
  CHECK(row->expire_at_ms() == 77);
}

TEST_CASE("of two memtables the younger one's value stays, whoever comes first", "[row_cache]") {
  RowCache cache(1 << 20);
  const bool older_begins_first = GENERATE(true, false);
  const bool older_renews_first = GENERATE(true, false);
  const bool row_was_there = GENERATE(true, false);
  if (row_was_there) Insert(cache, "key", "zero");
  std::uint64_t older = older_begins_first ? cache.BeginFlush(10) : 0;
  const std::uint64_t younger = cache.BeginFlush(20);
  if (!older_begins_first) older = cache.BeginFlush(10);
  const auto renew_older = [&] { cache.Renew(older, "key", Hash("key"), "old", 0); };
  if (older_renews_first) renew_older();
  cache.Renew(younger, "key", Hash("key"), "new", 0);
  if (!older_renews_first) renew_older();
  const RowRef row = cache.Find("key", Hash("key"));
  CHECK((row == nullptr || row->value() == "new"));
}

TEST_CASE("a flush brings its keys in while there is room, and evicts nothing for them", "[row_cache]") {
  RowCache cache(128 << 10);
  const std::string value(100, 'v');
  Insert(cache, "hot", value);
  const std::uint64_t ticket = cache.BeginFlush(1);
  for (int i = 0; i < 5000; ++i) {
    const std::string key = "key:" + std::to_string(i);
    cache.Renew(ticket, key, Hash(key), value, 0);
  }
  CHECK(cache.stats().rows > 300);
  CHECK(cache.bytes() <= 128 << 10);
  CHECK(cache.Find("hot", Hash("hot")) != nullptr);
  cache.Renew(ticket, "hot", Hash("hot"), std::string(100, 'w'), 0);      // in its place
  CHECK(cache.Find("hot", Hash("hot"))->value() == std::string(100, 'w'));
}

TEST_CASE("a reader's row does not change under it when the key is renewed", "[row_cache]") {
  RowCache cache(1 << 20);
  Insert(cache, "key", "one");
  const RowRef held = cache.Find("key", Hash("key"));
  cache.Renew(cache.BeginFlush(1), "key", Hash("key"), "two", 0);
  CHECK(held->value() == "one");
  CHECK(cache.Find("key", Hash("key"))->value() == "two");
}

// The protocol of row_cache.h with plain numbers: a key is in "the memtable" first, then in "the table".
TEST_CASE("no reader finds an older value than one it has seen, whatever is flushed meanwhile", "[row_cache][threads]") {
  constexpr std::size_t kKeys = 16;
  RowCache cache(64 << 10);
  struct Place {
    std::atomic<std::uint64_t> memtable{0};      // 0: not there
    std::atomic<std::uint64_t> table{0};
  };
  std::vector<Place> tree(kKeys);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kKeys; ++i) keys.push_back("key:" + std::to_string(i));
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::atomic<std::uint64_t> hits{0};
  const auto read = [&](std::size_t i) -> std::uint64_t {
    const std::uint64_t ticket = cache.Ticket();
    if (const std::uint64_t newest = tree[i].memtable.load()) return newest;
    if (const RowRef row = cache.Find(keys[i], Hash(keys[i]))) {
      ++hits;
      return std::stoull(std::string(row->value()));
    }
    const std::uint64_t value = tree[i].table.load();
    cache.Insert(ticket, keys[i], Hash(keys[i]), std::to_string(value), 0);
    return value;
  };
  std::vector<std::thread> readers;
  for (unsigned reader = 0; reader < 3; ++reader) {
    readers.emplace_back([&, reader] {
      std::mt19937_64 random(reader);
      std::vector<std::uint64_t> seen(kKeys);
      while (!stop) {
        const std::size_t i = random() % kKeys;
        const std::uint64_t value = read(i);
        if (value < seen[i]) ++failures;
        seen[i] = value;
      }
    });
  }
  for (std::uint64_t value = 1; value < 20'000 || hits < 1000; ++value) {
    const std::size_t i = value * 7 % kKeys;
    tree[i].memtable = value;
    const std::uint64_t ticket = cache.BeginFlush(value);
    if (value % 3 == 0) {
      cache.Forget(Hash(keys[i]));
    } else {
      cache.Renew(ticket, keys[i], Hash(keys[i]), std::to_string(value), 0);
    }
    tree[i].table = value;
    tree[i].memtable = 0;
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(failures == 0);
}
