#include <catch2/catch.hpp>

#include "engine/blob_pointer.h"
#include "engine/iterators/concatenating_iterator.h"
#include "engine/iterators/db_iterator.h"
#include "engine/iterators/merging_iterator.h"
#include "memtable_test_util.h"

namespace lsmkv {
namespace {

using test::AwkwardKey;
using test::Collect;
using test::CollectAll;
using test::VectorIterator;
using test::Version;

using Source = std::vector<Version>;

std::unique_ptr<MergingIterator> MergeOf(const std::vector<Source>& sources) {
  std::vector<std::unique_ptr<InternalIterator>> iterators;
  for (const Source& source : sources) iterators.push_back(std::make_unique<VectorIterator>(source));
  return std::make_unique<MergingIterator>(std::move(iterators));
}

std::vector<Version> NaiveMerge(const std::vector<Source>& sources, const std::string& from = "") {
  std::map<std::string, Version> newest;
  for (const Source& source : sources) {
    for (const Version& v : source) {
      if (v.key < from) continue;
      const auto [at, is_new] = newest.try_emplace(v.key, v);
      if (!is_new && v.sequence > at->second.sequence) at->second = v;
    }
  }
  std::vector<Version> merged;
  for (auto& [key, version] : newest) merged.push_back(version);
  return merged;
}

std::vector<Source> RandomSources(std::mt19937& random) {
  std::vector<Source> sources(random() % 31);
  SequenceNumber sequence = 0;
  const bool by_range = random() % 2 == 0;             // sources that come one after another, as well as mixed
  for (std::size_t i = 0; i < sources.size(); ++i) {
    std::map<std::string, Version> entries;
    for (std::size_t n = random() % 60; n > 0; --n) {
      std::string key = AwkwardKey(random);
      if (by_range) key.insert(0, 1, static_cast<char>(random() % 3 + i));
      const auto kind = random() % 5 == 0 ? EntryKind::kTombstone : EntryKind::kValue;
      entries[key] = {key, "source " + std::to_string(i), ++sequence, 0, kind};
    }
    for (auto& [key, version] : entries) sources[i].push_back(version);
  }
  std::shuffle(sources.begin(), sources.end(), random);
  return sources;
}

TEST_CASE("a merge gives each key once, in order, in its newest version", "[iterators]") {
  const auto seed = GENERATE(range(0u, 60u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::vector<Source> sources = RandomSources(random);
  const auto merged = MergeOf(sources);
  CHECK(!merged->Valid());
  const std::vector<Version> want = NaiveMerge(sources);
  REQUIRE(CollectAll(merged.get()) == want);
  std::size_t total = 0;
  for (const Source& source : sources) total += source.size();
  CHECK(merged->skipped() == total - want.size());
  for (int i = 0; i < 30; ++i) {
    const std::string target = AwkwardKey(random);
    merged->Seek(target);
    for (auto steps = random() % 5; steps > 0 && merged->Valid(); --steps) merged->Next();      // leave half way
    merged->Seek(target);
    REQUIRE(Collect(merged.get()) == NaiveMerge(sources, target));
  }
  CHECK(merged->status().ok());
}

TEST_CASE("a long merge, in which the common part of the keys comes and goes, stays in order", "[iterators]") {
  std::mt19937 random(5);
  std::vector<Source> sources(7);
  SequenceNumber sequence = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string key = i < 9000 ? "a:common:part:" : i < 9100 ? "b" : "b:another:common:part:";
    key += std::to_string(100'000 + i);
    for (Source& source : sources) {
      if (random() % 3 == 0) source.push_back({key, "v", ++sequence, 0, EntryKind::kValue});
    }
  }
  for (Source& source : sources) {
    std::ranges::sort(source, {}, &Version::key);
  }
  CHECK(CollectAll(MergeOf(sources).get()) == NaiveMerge(sources));
}

TEST_CASE("of equal sequence numbers the first source wins, and the key still comes once", "[iterators]") {
  const auto merged = MergeOf({{{"k", "first", 5, 0, EntryKind::kValue}}, {{"k", "second", 5, 0, EntryKind::kValue}}});
  CHECK(CollectAll(merged.get()) == Source{{"k", "first", 5, 0, EntryKind::kValue}});
  CHECK(merged->skipped() == 1);
}

TEST_CASE("merging nothing, and merging empty sources, gives nothing", "[iterators]") {
  for (const auto& sources : {std::vector<Source>{}, std::vector<Source>{{}}, std::vector<Source>{{}, {}, {}}}) {
    const auto merged = MergeOf(sources);
    CHECK(CollectAll(merged.get()).empty());
    merged->Seek("x");
    CHECK(!merged->Valid());
    CHECK(merged->status().ok());
  }
}

TEST_CASE("a source that fails ends the merge, and the merge says why", "[iterators]") {
  const auto fail_at = GENERATE(range<std::size_t>(0, 5));
  CAPTURE(fail_at);
  const Source damaged = {{"b", "", 1}, {"d", "", 2}, {"f", "", 3}, {"h", "", 4}, {"j", "", 5}};
  const Source sound = {{"a", "", 6}, {"c", "", 7}, {"e", "", 8}, {"g", "", 9}, {"i", "", 10}, {"k", "", 11}};
  std::vector<std::unique_ptr<InternalIterator>> iterators;
  iterators.push_back(std::make_unique<VectorIterator>(sound));
  iterators.push_back(std::make_unique<VectorIterator>(damaged, fail_at));
  MergingIterator merged(std::move(iterators));
  const std::vector<Version> got = CollectAll(&merged);
  CHECK(got.size() == fail_at * 2);                   // nothing from behind the damage, from any source
  CHECK(!merged.Valid());
  CHECK(merged.status().code() == StatusCode::kCorruption);
  merged.Seek("k");                                   // past the damage: the error does not stick
  CHECK(merged.status().ok());
  CHECK(merged.Valid());
}

struct Level {
  std::vector<Source> tables;
  std::vector<std::size_t> opened;
  std::size_t refuse = SIZE_MAX;
  std::size_t damaged = SIZE_MAX;

  std::unique_ptr<ConcatenatingIterator> NewIterator() {
    auto ranges = std::make_shared<ConcatenatingIterator::TableRanges>();
    for (const Source& table : tables) ranges->push_back({table.front().key, table.back().key});
    return std::make_unique<ConcatenatingIterator>(
        std::move(ranges), [this](std::size_t index) -> Result<std::unique_ptr<InternalIterator>> {
          opened.push_back(index);
          if (index == refuse) return Status::IoError("cannot open");
          return std::make_unique<VectorIterator>(tables[index], index == damaged ? 1 : SIZE_MAX);
        });
  }
};

Level SmallLevel() {
  Level level;
  level.tables = {{{"a", "", 1}, {"c", "", 2}}, {{"e", "", 3}}, {{"g", "", 4}, {"i", "", 5}, {"k", "", 6}}};
  return level;
}

std::string KeysOf(const std::vector<Version>& versions) {
  std::string keys;
  for (const Version& v : versions) keys += v.key;
  return keys;
}

TEST_CASE("the tables of a level read as one, opened as they are reached", "[iterators]") {
  Level level = SmallLevel();
  const auto iterator = level.NewIterator();
  CHECK(!iterator->Valid());
  CHECK(level.opened.empty());
  struct Case {
    const char* target;
    const char* want;
    std::vector<std::size_t> opened;
  };
  const Case cases[] = {{"", "acegik", {0, 1, 2}}, {"c", "cegik", {0, 1, 2}}, {"d", "egik", {1, 2}},
                        {"h", "ik", {2}},          {"k", "k", {2}},           {"l", "", {}}};
  for (const Case& c : cases) {
    CAPTURE(c.target);
    const auto fresh = level.NewIterator();
    level.opened.clear();
    fresh->Seek(c.target);
    CHECK(KeysOf(Collect(fresh.get())) == c.want);
    CHECK(level.opened == c.opened);
    iterator->Seek(c.target);
    CHECK(KeysOf(Collect(iterator.get())) == c.want);
    CHECK(iterator->status().ok());
  }
  CHECK(KeysOf(CollectAll(iterator.get())) == "acegik");
}

TEST_CASE("seeks within one table open it once", "[iterators]") {
  Level level = SmallLevel();
  const auto iterator = level.NewIterator();
  for (const char* target : {"g", "k", "h", "j"}) {
    iterator->Seek(target);
    REQUIRE(iterator->Valid());
  }
  CHECK(level.opened == std::vector<std::size_t>{2});
}

TEST_CASE("a level without tables is empty", "[iterators]") {
  Level level;
  const auto iterator = level.NewIterator();
  CHECK(CollectAll(iterator.get()).empty());
  iterator->Seek("x");
  CHECK(!iterator->Valid());
  CHECK(iterator->status().ok());
}

TEST_CASE("a table that cannot be opened or read ends the level's iteration", "[iterators]") {
  Level level = SmallLevel();
  SECTION("opening fails") {
    level.refuse = 1;
    const auto iterator = level.NewIterator();
    CHECK(KeysOf(CollectAll(iterator.get())) == "ac");
    CHECK(iterator->status().code() == StatusCode::kIoError);
    iterator->Seek("e");
    CHECK(!iterator->Valid());
    CHECK(iterator->status().code() == StatusCode::kIoError);
    iterator->Seek("f");
    CHECK(KeysOf(Collect(iterator.get())) == "gik");
    CHECK(iterator->status().ok());
  }
  SECTION("reading fails") {
    level.damaged = 2;
    const auto iterator = level.NewIterator();
    CHECK(KeysOf(CollectAll(iterator.get())) == "aceg");
    CHECK(iterator->status().code() == StatusCode::kCorruption);
    level.damaged = SIZE_MAX;
    iterator->Seek("h");
    CHECK(KeysOf(Collect(iterator.get())) == "ik");
    CHECK(iterator->status().ok());
  }
}

Source MixedSource() {
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
  const Case cases[] = {{99, "", "", "acde", 6}, {100, "", "", "ade", 6}, {101, "", "", "ae", 6},  {0, "", "", "acde", 6},
                        {99, "d", "", "ac", 3},  {99, "a", "", "", 0},    {101, "", "b", "e", 5}, {99, "", "f", "", 1},
                        {99, "zz", "zz", "", 0}};
  for (const Case& c : cases) {
    CAPTURE(c.now_ms, c.bound, c.from);
    DbIterator iterator(std::make_unique<VectorIterator>(MixedSource()), {}, {c.now_ms, c.bound});
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

Source SourceOfBlobs() {
  Source source;
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
  options.now_ms = 100;
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
