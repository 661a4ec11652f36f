#include "engine/iterators/db_iterator.h"

#include <catch2/catch.hpp>

#include "engine/blob_pointer.h"
#include "memtable_test_util.h"
#include "random_walk.h"

namespace lsmkv {
namespace {

using test::AwkwardKey;
using test::VectorIterator;
using test::Version;

std::vector<Version> MixedSource() {
  return {{"a", "1", 1, 0, EntryKind::kValue},
          {"b", "", 2, 0, EntryKind::kTombstone},
          {"c", "3", 3, 100, EntryKind::kExpiringValue},
          {"d", "4", 4, 101, EntryKind::kExpiringValue},
          {"e", "5", 5, 50, EntryKind::kValue},              // no deadline: the field says nothing for a plain value
          {"f", "", 6, 0, EntryKind::kTombstone}};
}

std::string UserKeys(Iterator* iterator) {
  std::string keys;
  for (; iterator->Valid(); iterator->Next()) keys += iterator->key();
  return keys;
}

TEST_CASE("a user's iterator leaves out the dead and ends at its bound", "[iterators]") {
  struct Case {
    std::uint64_t now_ms;
    const char* bound;
    const char* from;
    const char* want;
    std::uint64_t examined;
  };
  const Case cases[] = {{100, "", "", "acde", 6}, {101, "", "", "ade", 6}, {102, "", "", "ae", 6},  {0, "", "", "acde", 6},
                        {99, "d", "", "ac", 3},  {99, "a", "", "", 0},    {102, "", "b", "e", 5}, {99, "", "f", "", 1},
                        {99, "zz", "zz", "", 0}};
  for (const Case& c : cases) {
    CAPTURE(c.now_ms, c.bound, c.from);
    DbIterator iterator(std::make_unique<VectorIterator>(MixedSource()), {}, {c.now_ms, {"", c.bound}});
    CHECK(!iterator.Valid());
    if (*c.from == 0) {
      iterator.SeekToFirst();
    } else {
      iterator.Seek(c.from);
    }
    CHECK(UserKeys(&iterator) == c.want);
    CHECK(iterator.examined() == c.examined);
    CHECK(iterator.status().ok());
  }
}

TEST_CASE("a user's iterator shows the live keys of its range, either way", "[iterators]") {
  const auto seed = GENERATE(range(0u, 40u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto some_bound = [&] { return random() % 3 == 0 ? std::string() : AwkwardKey(random); };
  const std::string lower = some_bound();
  const std::string upper = some_bound();
  std::string prefix = some_bound().substr(0, random() % 12);
  if (random() % 2 == 0) prefix.clear();
  ReadOptions options;
  options.lower_bound = lower;
  options.upper_bound = upper;
  options.prefix = prefix;
  std::map<std::string, Version> all;
  std::map<std::string, Version> live;
  for (std::size_t n = random() % 80; n > 0; --n) {
    const std::string key = AwkwardKey(random);
    all[key] = {key, "v", n, 90 + random() % 20, static_cast<EntryKind>(random() % 3)};
  }
  std::vector<Version> versions;
  for (const auto& [key, v] : all) {
    versions.push_back(v);
    const bool dead = v.kind == EntryKind::kTombstone || (v.kind == EntryKind::kExpiringValue && HasExpired(v.expire_at_ms, 100));
    if (!dead && key >= lower && (upper.empty() || key < upper) && key.starts_with(prefix)) live[key] = v;
  }
  DbIterator iterator(std::make_unique<VectorIterator>(versions), {}, {100, KeyRange::Of(options)});
  test::RandomWalk(iterator, live, random, 600, [&] { return AwkwardKey(random); },
                   [&](const auto& at) { return iterator.key() == at->first && iterator.value() == at->second.value; });
}

TEST_CASE("a run of dead entries is walked in pieces of bounded work, either way, and nothing is missed", "[iterators]") {
  const auto seed = GENERATE(range(0u, 40u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::vector<Version> versions;
  std::vector<std::string> live;
  for (int i = 100; i < 400; ++i) {
    const bool dead = random() % 40 != 0;
    versions.push_back({std::to_string(i), "v", 1, 0, dead ? EntryKind::kTombstone : EntryKind::kValue});
    if (!dead) live.push_back(versions.back().key);
  }
  const std::uint64_t max_skipped = 2 + random() % 30;
  const bool backward = random() % 2 == 0;
  const bool by_position = random() % 2 == 0;
  if (backward) std::ranges::reverse(live);
  const auto make = [&] {
    return std::make_unique<DbIterator>(std::make_unique<VectorIterator>(versions), std::vector<std::shared_ptr<const void>>{},
                                        DbIteratorOptions{0, {}, max_skipped});
  };
  auto iterator = make();
  std::vector<std::string> got;
  std::uint64_t examined = 0;
  const auto check_work = [&] {
    CHECK(iterator->examined() - examined <= max_skipped + 1);
    examined = iterator->examined();
  };
  backward ? iterator->SeekToLast() : iterator->SeekToFirst();
  for (check_work(); iterator->Valid() || iterator->paused(); check_work()) {
    REQUIRE(iterator->Valid() != iterator->paused());
    if (iterator->Valid()) got.push_back(std::string(iterator->key()));
    if (iterator->paused() && by_position) {
      const std::string position(iterator->position());
      iterator = make();                                // as a SCAN does, from one call to the next
      examined = 0;
      backward ? iterator->SeekForPrev(position) : iterator->Seek(position + '\0');
    } else {
      backward ? iterator->Prev() : iterator->Next();
    }
  }
  CHECK(iterator->status().ok());
  CHECK(got == live);
}

TEST_CASE("a walk that has paused may turn round", "[iterators]") {
  const std::vector<Version> versions = {{"a", "", 1}, {"b", "", 2, 0, EntryKind::kTombstone}, {"c", "", 3, 0, EntryKind::kTombstone}, {"d", "", 4}};
  DbIterator iterator(std::make_unique<VectorIterator>(versions), {}, {0, {}, 2});
  iterator.Seek("b");
  REQUIRE(iterator.paused());
  CHECK(iterator.position() == "c");
  iterator.Prev();
  REQUIRE(iterator.Valid());
  CHECK(iterator.key() == "a");
  iterator.Next();
  REQUIRE(iterator.paused());
  iterator.Next();
  REQUIRE(iterator.Valid());
  CHECK(iterator.key() == "d");
  iterator.Next();
  CHECK(!iterator.Valid());
  CHECK(!iterator.paused());
}

TEST_CASE("a user's iterator gives value and deadline, and keeps its pins", "[iterators]") {
  auto pin = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = pin;
  {
    DbIterator iterator(std::make_unique<VectorIterator>(MixedSource()), {std::move(pin)}, {});
    iterator.Seek("c");
    CHECK(iterator.value() == "3");
    CHECK(iterator.expire_at_ms() == 100);
    iterator.Seek("e");
    CHECK(iterator.expire_at_ms() == 0);
    CHECK(!watch.expired());
  }
  CHECK(watch.expired());
}

std::vector<Version> SourceOfBlobs() {
  std::vector<Version> source;
  for (const std::uint64_t number : {1u, 2u, 3u}) {
    std::string pointer;
    PutBlobPointer(&pointer, {number, 32, 10, 20, "headhead"});
    source.push_back({"k" + std::to_string(number), pointer, number, number == 2 ? 100u : 0u, EntryKind::kBlob});
  }
  return source;
}

TEST_CASE("a user's iterator reads a blob when its value is asked for, once", "[iterators]") {
  int reads = 0;
  DbIteratorOptions options;
  options.now_ms = 99;
  options.read_blob = [&reads](const EntryView& entry) -> Result<PinnedValue> {
    ++reads;
    auto value = std::make_shared<std::string>("value of " + std::string(entry.key));
    return PinnedValue(*value, entry.expire_at_ms, value);
  };
  DbIterator iterator(std::make_unique<VectorIterator>(SourceOfBlobs()), {}, options);
  iterator.SeekToFirst();
  CHECK(iterator.value_head() == "headhead");
  iterator.Next();
  CHECK(reads == 0);
  CHECK(iterator.expire_at_ms() == 100);
  CHECK(iterator.value() == "value of k2");
  CHECK(iterator.value() == "value of k2");
  CHECK(reads == 1);
  iterator.Next();
  CHECK(iterator.value() == "value of k3");
  iterator.Next();
  CHECK(!iterator.Valid());
  options.now_ms = 101;
  DbIterator later(std::make_unique<VectorIterator>(SourceOfBlobs()), {}, options);
  later.SeekToFirst();
  CHECK(UserKeys(&later) == "k1k3");
}

TEST_CASE("a blob that cannot be read ends the iteration, and the iterator says why", "[iterators]") {
  DbIteratorOptions options;
  options.read_blob = [](const EntryView& entry) -> Result<PinnedValue> {
    if (entry.key == "k2") return Status::Corruption("blob 2");
    return PinnedValue("ok", 0, nullptr);
  };
  DbIterator iterator(std::make_unique<VectorIterator>(SourceOfBlobs()), {}, options);
  std::string seen;
  for (iterator.SeekToFirst(); iterator.Valid(); iterator.Next()) seen += iterator.value();
  CHECK(seen == "ok");
  CHECK(iterator.status().code() == StatusCode::kCorruption);
  iterator.Seek("k3");
  CHECK(iterator.value() == "ok");
  CHECK(iterator.status().ok());
}

TEST_CASE("a user's iterator passes on why it ended", "[iterators]") {
  DbIterator iterator(std::make_unique<VectorIterator>(MixedSource(), 4), {}, {});
  iterator.SeekToFirst();
  CHECK(UserKeys(&iterator) == "acd");
  CHECK(iterator.status().code() == StatusCode::kCorruption);
}

}  // namespace
}  // namespace lsmkv
