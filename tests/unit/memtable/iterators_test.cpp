#include <catch2/catch.hpp>

#include "engine/iterators/concatenating_iterator.h"
#include "engine/iterators/merging_iterator.h"
#include "memtable_test_util.h"
#include "random_walk.h"

namespace lsmkv {
namespace {

using test::AwkwardKey;
using test::Collect;
using test::CollectAll;
using test::ToVersion;
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

std::map<std::string, Version> MapOf(const std::vector<Version>& versions) {
  std::map<std::string, Version> map;
  for (const Version& v : versions) map.emplace(v.key, v);
  return map;
}

void Walk(InternalIterator& iterator, const std::vector<Version>& want, std::mt19937& random, int steps) {
  test::RandomWalk(iterator, MapOf(want), random, steps, [&] { return AwkwardKey(random); },
                   [&](const auto& at) { return ToVersion(iterator.entry()) == at->second; });
}

TEST_CASE("a merge can be walked back and forth like a map", "[iterators]") {
  const auto seed = GENERATE(range(0u, 60u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::vector<Source> sources = RandomSources(random);
  Walk(*MergeOf(sources), NaiveMerge(sources), random, 1500);
}

TEST_CASE("a long merge backward, in which the common part of the keys comes and goes, stays in order", "[iterators]") {
  std::mt19937 random(6);
  std::vector<Source> sources(5);
  SequenceNumber sequence = 0;
  for (int i = 0; i < 12'000; ++i) {
    const std::string key = (i < 9000 ? "a:common:part:" : i < 9100 ? "b" : "b:another:common:part:") + std::to_string(100'000 + i);
    for (Source& source : sources)
      if (random() % 3 == 0) source.push_back({key, "v", ++sequence, 0, EntryKind::kValue});
  }
  std::vector<Version> want = NaiveMerge(sources);
  std::ranges::reverse(want);
  const auto merged = MergeOf(sources);
  std::vector<Version> got;
  for (merged->SeekToLast(); merged->Valid(); merged->Prev()) got.push_back(ToVersion(merged->entry()));
  CHECK(got == want);
}

TEST_CASE("a source that fails backward, or at the turn, ends the merge", "[iterators]") {
  const Source damaged = {{"b", "", 1}, {"d", "", 2}, {"f", "", 3}};
  const Source sound = {{"a", "", 6}, {"c", "", 7}, {"e", "", 8}, {"g", "", 9}};
  std::vector<std::unique_ptr<InternalIterator>> iterators;
  iterators.push_back(std::make_unique<VectorIterator>(sound));
  iterators.push_back(std::make_unique<VectorIterator>(damaged, 1));
  MergingIterator merged(std::move(iterators));
  std::string keys;
  for (merged.SeekToLast(); merged.Valid(); merged.Prev()) keys += merged.entry().key;
  CHECK(keys == "gf");                                  // "e" would come next, but what is behind it is not known
  CHECK(merged.status().code() == StatusCode::kCorruption);
  merged.Seek("e");
  REQUIRE(merged.Valid());
  CHECK(merged.status().ok());
  merged.Prev();
  CHECK(!merged.Valid());
  CHECK(merged.status().code() == StatusCode::kCorruption);
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

TEST_CASE("the tables of a level can be walked back and forth like a map", "[iterators]") {
  const auto seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::map<std::string, Version> all;
  for (std::size_t n = random() % 80; n > 0; --n) {
    const std::string key = AwkwardKey(random);
    all[key] = {key, "v", n, 0, EntryKind::kValue};
  }
  Level level;
  std::vector<Version> want;
  for (const auto& [key, version] : all) {
    if (level.tables.empty() || random() % 4 == 0) level.tables.emplace_back();
    level.tables.back().push_back(version);
    want.push_back(version);
  }
  Walk(*level.NewIterator(), want, random, 1500);
}

TEST_CASE("backward, too, tables of a level are opened as they are reached", "[iterators]") {
  Level level = SmallLevel();
  const auto iterator = level.NewIterator();
  struct Case {
    const char* target;
    const char* want;
    std::vector<std::size_t> opened;
  };
  const Case cases[] = {{"z", "kigeca", {2, 1, 0}}, {"h", "geca", {2, 1, 0}}, {"f", "eca", {1, 0}}, {"d", "ca", {0}}, {"A", "", {}}};
  for (const Case& c : cases) {
    CAPTURE(c.target);
    const auto fresh = level.NewIterator();
    level.opened.clear();
    std::string keys;
    for (fresh->SeekForPrev(c.target); fresh->Valid(); fresh->Prev()) keys += fresh->entry().key;
    CHECK(keys == c.want);
    CHECK(level.opened == c.opened);
    CHECK(fresh->status().ok());
  }
  level.refuse = 1;
  std::string keys;
  for (iterator->SeekToLast(); iterator->Valid(); iterator->Prev()) keys += iterator->entry().key;
  CHECK(keys == "kig");
  CHECK(iterator->status().code() == StatusCode::kIoError);
  iterator->SeekForPrev("b");
  CHECK(iterator->Valid());
  CHECK(iterator->status().ok());
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

}  // namespace
}  // namespace lsmkv
