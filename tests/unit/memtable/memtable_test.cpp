#include "engine/memtable/memtable.h"

#include <catch2/catch.hpp>

#include "memtable_test_util.h"
#include "random_walk.h"

namespace lsmkv {
namespace {

using test::AwkwardKey;
using test::Collect;
using test::CollectAll;
using test::ToVersion;
using test::Version;

constexpr SequenceNumber kEnd = UINT64_MAX;

// key -> its versions, oldest first.
struct Model {
  std::map<std::string, std::vector<Version>> versions;

  std::optional<Version> Get(const std::string& key, SequenceNumber snapshot) const {
    const auto found = versions.find(key);
    if (found == versions.end()) return std::nullopt;
    std::optional<Version> newest;
    for (const Version& v : found->second) {
      if (v.sequence <= snapshot) newest = v;
    }
    return newest;
  }
  std::vector<Version> Visible(SequenceNumber snapshot, const std::string& from = "") const {
    std::vector<Version> all;
    for (auto it = versions.lower_bound(from); it != versions.end(); ++it) {
      if (auto v = Get(it->first, snapshot)) all.push_back(*v);
    }
    return all;
  }
};

void Add(MemTable* table, Model* model, SequenceNumber sequence, Version v) {
  v.sequence = sequence;
  table->Add(sequence, v.View(), Hash(v.key));
  model->versions[v.key].push_back(std::move(v));
}

Version RandomVersion(std::mt19937& random) {
  Version v;
  v.key = AwkwardKey(random);
  v.kind = static_cast<EntryKind>(random() % 3);
  if (v.kind != EntryKind::kTombstone) v.value = std::string(random() % 50, static_cast<char>('a' + random() % 26));
  if (v.kind == EntryKind::kExpiringValue) v.expire_at_ms = 1 + random() % 1000;
  return v;
}

std::optional<Version> Get(const MemTable& table, const std::string& key, SequenceNumber snapshot) {
  EntryView entry;
  if (!table.Get(key, Hash(key), snapshot, &entry)) return std::nullopt;
  return ToVersion(entry);
}

TEST_CASE("a memtable reads like a map of versions, at every snapshot", "[memtable]") {
  const auto seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  MemTable table({.expected_entries = seed % 2 == 0 ? 0u : 500u});
  Model model;
  SequenceNumber sequence = 0;
  const auto random_snapshot = [&] { return random() % 4 == 0 ? kEnd : random() % (sequence + 2); };
  for (int step = 0; step < 800; ++step) {
    sequence += 1 + random() % 3;                       // gaps: not every number is in this memtable
    Add(&table, &model, sequence, RandomVersion(random));
    const std::string key = AwkwardKey(random);
    const SequenceNumber snapshot = random_snapshot();
    CAPTURE(step, snapshot);
    REQUIRE(Get(table, key, snapshot) == model.Get(key, snapshot));
    if (random() % 40 != 0) continue;
    const auto iterator = table.NewIterator(snapshot);
    REQUIRE(!iterator->Valid());
    REQUIRE(CollectAll(iterator.get()) == model.Visible(snapshot));
    iterator->Seek(key);
    REQUIRE(Collect(iterator.get()) == model.Visible(snapshot, key));
    std::map<std::string, Version> visible;
    for (const Version& v : model.Visible(snapshot)) visible.emplace(v.key, v);
    test::RandomWalk(*iterator, visible, random, 200, [&] { return AwkwardKey(random); },
                     [&](const auto& at) { return ToVersion(iterator->entry()) == at->second; });
  }
  table.Freeze();
  for (int i = 0; i < 20; ++i) {
    const SequenceNumber snapshot = random_snapshot();
    REQUIRE(CollectAll(table.NewIterator(snapshot).get()) == model.Visible(snapshot));
  }
  CHECK(table.entries() == 800);
  CHECK(table.keys() == model.versions.size());
  CHECK(table.largest_sequence() == sequence);
  const auto newest = model.Visible(kEnd);
  CHECK(table.live_hint() == static_cast<std::uint64_t>(std::ranges::count_if(
                                 newest, [](const Version& v) { return v.kind != EntryKind::kTombstone; })));
}

TEST_CASE("an empty memtable has nothing", "[memtable]") {
  MemTable table;
  CHECK(Get(table, "a", kEnd) == std::nullopt);
  CHECK(CollectAll(table.NewIterator(kEnd).get()).empty());
  CHECK(table.SampleKey(7) == std::nullopt);
  CHECK(table.entries() == 0);
  CHECK(table.bytes() == 0);
  CHECK(table.smallest_sequence() == 0);
  table.Freeze();
  CHECK(CollectAll(table.NewIterator(kEnd).get()).empty());
}

TEST_CASE("keys that share one hash are told apart", "[memtable]") {
  MemTable table;
  for (std::uint64_t i = 1; i <= 200; ++i) {
    const std::string key = "key" + std::to_string(i);
    table.Add(i, {key, key, 0, 0, EntryKind::kValue}, 0xabcdef);      // also makes that shard grow
  }
  for (std::uint64_t i = 1; i <= 200; ++i) {
    const std::string key = "key" + std::to_string(i);
    EntryView entry;
    REQUIRE(table.Get(key, 0xabcdef, kEnd, &entry));
    REQUIRE(entry.value == key);
    REQUIRE(!table.Get(key + "x", 0xabcdef, kEnd, &entry));
  }
}

TEST_CASE("a memtable that outgrows its hint many times finds every key", "[memtable]") {
  MemTable table({.expected_entries = 10});
  constexpr std::uint64_t kKeys = 50'000;
  for (std::uint64_t i = 1; i <= kKeys; ++i) {
    const std::string key = std::to_string(i * 7919);
    table.Add(i, {key, key, 0, 0, EntryKind::kValue}, Hash(key));
  }
  std::uint64_t found = 0;
  for (std::uint64_t i = 1; i <= kKeys; ++i) {
    const std::string key = std::to_string(i * 7919);
    EntryView entry;
    found += table.Get(key, Hash(key), kEnd, &entry) && entry.value == key && entry.sequence == i;
  }
  CHECK(found == kKeys);
  CHECK(table.keys() == kKeys);
}

TEST_CASE("an expiry is kept with an expiring value only", "[memtable]") {
  MemTable table;
  table.Add(1, {"a", "x", 0, 99, EntryKind::kValue}, Hash("a"));
  table.Add(2, {"b", "y", 0, 99, EntryKind::kExpiringValue}, Hash("b"));
  CHECK(Get(table, "a", kEnd)->expire_at_ms == 0);
  CHECK(Get(table, "b", kEnd)->expire_at_ms == 99);
}

TEST_CASE("big values keep their bytes, and bytes() counts them", "[memtable]") {
  MemTable table;
  const std::string big(5u << 20, 'B');
  table.Add(1, {"small", "s", 0, 0, EntryKind::kValue}, Hash("small"));
  const std::uint64_t before = table.bytes();
  table.Add(2, {"big", big, 0, 0, EntryKind::kValue}, Hash("big"));
  table.Add(3, {"after", "s", 0, 0, EntryKind::kValue}, Hash("after"));
  CHECK(Get(table, "big", kEnd)->value == big);
  CHECK(Get(table, "after", kEnd)->value == "s");
  CHECK(table.bytes() >= before + big.size());
  CHECK(table.bytes() < before + big.size() + 20'000);
}

TEST_CASE("a memtable with few keys is small whatever its hint, and its size does not change once frozen", "[memtable]") {
  MemTable table({.expected_entries = 10'000'000});
  for (SequenceNumber i = 1; i <= 10; ++i) table.Add(i, {std::to_string(i), "v", 0, 0, EntryKind::kValue}, i << 50);
  CHECK(table.bytes() < 100'000);
  table.Freeze();
  const std::uint64_t frozen = table.bytes();
  CHECK(CollectAll(table.NewIterator(kEnd).get()).size() == 10);
  CHECK(table.bytes() == frozen);
}

TEST_CASE("a warm memtable reads the same and counts its whole index", "[memtable]") {
  MemTable table({.expected_entries = 100'000, .warm_index = true});
  CHECK(table.bytes() >= 100'000 * 16);
  table.Add(1, {"a", "x", 0, 0, EntryKind::kValue}, Hash("a"));
  CHECK(Get(table, "a", kEnd)->value == "x");
  CHECK(Get(table, "b", kEnd) == std::nullopt);
}

TEST_CASE("one key written many times reads right at any snapshot", "[memtable]") {
  MemTable table;
  Model model;
  for (SequenceNumber i = 1; i <= 3000; ++i) {
    Add(&table, &model, i, {"counter", std::to_string(i), 0, 0, EntryKind::kValue});
    if (i % 500 == 0) REQUIRE(CollectAll(table.NewIterator(i / 2).get()) == model.Visible(i / 2));
  }
  CHECK(CollectAll(table.NewIterator(kEnd).get()) == model.Visible(kEnd));
  CHECK(CollectAll(table.NewIterator(1234).get()) == model.Visible(1234));
}

TEST_CASE("keys that are each other's prefixes come in order, however long", "[memtable]") {
  const auto byte = GENERATE('\0', 'a', '\xff');
  std::mt19937 random(1);
  std::vector<std::string> keys;
  for (std::size_t size = 0; size < 1500; ++size) keys.push_back(std::string(size, byte));
  const std::vector<std::string> want = keys;
  std::shuffle(keys.begin(), keys.end(), random);
  MemTable table;
  SequenceNumber sequence = 0;
  for (const std::string& key : keys) table.Add(++sequence, {key, "v", 0, 0, EntryKind::kValue}, Hash(key));
  std::vector<std::string> got;
  for (const Version& v : CollectAll(table.NewIterator(kEnd).get())) got.push_back(v.key);
  CHECK(got == want);
}

TEST_CASE("an iterator does not see what is added after its snapshot", "[memtable]") {
  MemTable table;
  Model model;
  Add(&table, &model, 1, {"a", "1", 0, 0, EntryKind::kValue});
  Add(&table, &model, 2, {"c", "2", 0, 0, EntryKind::kValue});
  const auto want = model.Visible(2);
  const auto before = table.NewIterator(2);
  Add(&table, &model, 3, {"a", "3", 0, 0, EntryKind::kTombstone});
  Add(&table, &model, 4, {"b", "4", 0, 0, EntryKind::kValue});
  const auto after = table.NewIterator(2);
  CHECK(CollectAll(before.get()) == want);
  CHECK(CollectAll(after.get()) == want);
  CHECK(CollectAll(table.NewIterator(4).get()) == model.Visible(4));
  CHECK(CollectAll(before.get()) == want);
}

TEST_CASE("a sampled key is one that was written, and in the range asked for", "[memtable]") {
  MemTable table;
  for (SequenceNumber i = 1; i <= 100; ++i) {
    const std::string key = (i % 2 == 0 ? "even" : "odd") + std::to_string(i);
    table.Add(i, {key, "v", 0, 0, EntryKind::kValue}, Hash(key));
  }
  std::map<std::string, int> seen;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    ++seen[*table.SampleKey(i)];
    REQUIRE(table.SampleKey("even", "evenz", i)->starts_with("even"));
    REQUIRE(table.SampleKey("odd", "", i)->starts_with("odd"));
    REQUIRE(table.SampleKey("x", "y", i) == std::nullopt);
  }
  CHECK(seen.size() == 100);
}

TEST_CASE("a sequence number that was given to nothing counts as seen", "[memtable]") {
  MemTable table;
  table.Skip(5);
  CHECK(table.entries() == 0);
  CHECK(table.largest_sequence() == 5);
  table.Add(6, {"k", "v", 0, 0, EntryKind::kValue}, Hash("k"));
  table.Skip(7);
  CHECK(table.smallest_sequence() == 6);
  CHECK(table.largest_sequence() == 7);
  EntryView found;
  CHECK(table.Get("k", Hash("k"), 7, &found));
}

TEST_CASE("sampling a range finds its keys however few they are", "[memtable]") {
  MemTable table;
  SequenceNumber sequence = 0;
  const auto add = [&](const std::string& key) {
    table.Add(++sequence, {key, "v", 0, 0, EntryKind::kValue}, Hash(key));
  };
  for (int i = 0; i < 20'000; ++i) {
    add("common" + std::to_string(i));
    if (i % 8000 == 0) add("rare" + std::to_string(i));
    if (i % 8000 == 0) CHECK(table.SampleKey("rare", "rarf", 1).has_value());       // leaves several runs behind
  }
  std::map<std::string, int> seen;
  for (std::uint64_t i = 0; i < 100; ++i) ++seen[*table.SampleKey("rare", "rarf", i)];
  CHECK(seen.size() == 3);
  CHECK(table.SampleKey("rare2", "rare7", 5) == std::nullopt);
  CHECK(table.SampleKey("s", "", 5) == std::nullopt);
  CHECK(table.SampleKey("rarf", "rare", 5) == std::nullopt);                        // an empty range the wrong way round
}

}  // namespace
}  // namespace lsmkv
