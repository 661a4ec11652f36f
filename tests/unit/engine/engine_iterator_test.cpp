// Iterators over a whole engine, walked back and forth: like std::map, whatever lies in memtables, L0 and levels.
#include <functional>
#include <set>

#include "engine_fixture.h"
#include "random_walk.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

struct ModelEntry {
  std::string value;
  std::uint64_t expire_at_ms = 0;
};
using Model = std::map<std::string, ModelEntry>;

std::string SomeKey(std::mt19937& random) {
  static const char* const kStems[] = {"key:", "key:", "k", "\xff\xff", "zz:"};
  return kStems[random() % std::size(kStems)] + std::to_string(random() % 120);
}
std::string SomePlace(std::mt19937& random) {
  std::string place = SomeKey(random);
  if (random() % 4 == 0) place.resize(random() % place.size());
  if (random() % 4 == 0) place += "\xff";
  return place;
}

/// Goes on whenever the iterator pauses; each move's work is within the bound.
class PatientIterator {
 public:
  PatientIterator(std::unique_ptr<Iterator> iterator, std::uint64_t max_skipped)
      : iterator_(std::move(iterator)), max_skipped_(max_skipped) {}
  bool Valid() const { return iterator_->Valid(); }
  Status status() const { return iterator_->status(); }
  void SeekToFirst() { Forward([&] { iterator_->SeekToFirst(); }); }
  void SeekToLast() { Backward([&] { iterator_->SeekToLast(); }); }
  void Seek(std::string_view target) { Forward([&] { iterator_->Seek(target); }); }
  void SeekForPrev(std::string_view target) { Backward([&] { iterator_->SeekForPrev(target); }); }
  void Next() { Forward([&] { iterator_->Next(); }); }
  void Prev() { Backward([&] { iterator_->Prev(); }); }
  const Iterator* operator->() const { return iterator_.get(); }

 private:
  template <typename Move>
  void Bounded(const Move& move) {
    const std::uint64_t before = iterator_->examined();
    move();
    if (max_skipped_ != 0) REQUIRE(iterator_->examined() - before <= max_skipped_);
  }
  template <typename Move>
  void Forward(const Move& move) {
    for (Bounded(move); iterator_->paused();) Bounded([&] { iterator_->Next(); });
  }
  template <typename Move>
  void Backward(const Move& move) {
    for (Bounded(move); iterator_->paused();) Bounded([&] { iterator_->Prev(); });
  }

  std::unique_ptr<Iterator> iterator_;
  std::uint64_t max_skipped_;
};

/// An iterator with random options, and what it must show.
struct Walker {
  PatientIterator iterator;
  Model model;

  void Walk(std::mt19937& random, int steps) {
    test::RandomWalk(iterator, model, random, steps, [&] { return SomePlace(random); }, [&](const auto& at) {
      const ModelEntry& want = at->second;
      return iterator->key() == at->first && iterator->value() == want.value && iterator->expire_at_ms() == want.expire_at_ms;
    });
  }
};

Walker NewWalker(Engine& engine, const Model& model, ReadOptions options, std::mt19937& random) {
  const auto sometimes = [&] { return random() % 3 == 0 ? SomePlace(random) : std::string(); };
  const std::string lower = sometimes();
  const std::string upper = sometimes();
  const std::string prefix = sometimes().substr(0, 5);
  options.lower_bound = lower;
  options.upper_bound = upper;
  options.prefix = prefix;
  options.fill_cache = random() % 2 == 0;
  options.max_skipped = random() % 3 == 0 ? 1 + random() % 10 : 0;
  Walker walker{PatientIterator(engine.NewIterator(options), options.max_skipped), {}};
  for (const auto& [key, entry] : model) {
    const bool live = !HasExpired(entry.expire_at_ms, options.now_ms);
    if (live && key >= lower && (upper.empty() || key < upper) && key.starts_with(prefix)) walker.model.emplace(key, entry);
  }
  return walker;
}

struct HeldSnapshot {
  std::shared_ptr<const Snapshot> snapshot;
  Model model;
  std::uint64_t taken_ms;
};

}  // namespace

TEST_CASE("iterators walk back and forth like std::map's, whatever the upkeep", "[engine][model]") {
  const auto seed = GENERATE(range(0u, Seeds(16, 400)));
  CAPTURE(seed);
  std::mt19937 random(seed);
  FaultFileSystem fs;
  WallClock clock;
  Options options = TinyOptions(&fs, &clock);
  options.memtable_entries = 5 + random() % 60;
  options.block_bytes = std::vector<std::uint64_t>{64, 256, 4096}[random() % 3];
  options.max_sstable_bytes = random() % 3 == 0 ? 0 : 500 + random() % 3000;
  options.compression = static_cast<Compression>(random() % 3);
  options.min_blob_bytes = random() % 3 == 0 ? 0 : 1 + random() % 60;
  auto engine = MustOpen(options);
  Model model;
  std::optional<HeldSnapshot> held;
  std::optional<Walker> long_lived;
  for (int step = 0; step < 700; ++step) {
    CAPTURE(step);
    const std::string key = SomeKey(random);
    switch (random() % 32) {
      case 0: REQUIRE(engine->Flush().ok()); break;
      case 1:
        if (random() % 4 == 0) REQUIRE(engine->Compact().ok());
        break;
      case 2: clock.Advance(random() % 3000); break;
      case 3: held = HeldSnapshot{engine->GetSnapshot(), model, clock.WallMillis()}; break;
      case 4: {
        ReadOptions at_snapshot;
        if (!held) break;
        at_snapshot.snapshot = held->snapshot;
        at_snapshot.now_ms = held->taken_ms;
        NewWalker(*engine, held->model, at_snapshot, random).Walk(random, 80);
        break;
      }
      case 5: {
        ReadOptions now;
        now.now_ms = clock.WallMillis();
        NewWalker(*engine, model, now, random).Walk(random, 80);
        break;
      }
      case 6: {
        if (long_lived) long_lived->Walk(random, 120);     // made many flushes and compactions ago
        if (long_lived && random() % 4 != 0) break;
        ReadOptions now;
        now.now_ms = clock.WallMillis();
        long_lived = NewWalker(*engine, model, now, random);
        break;
      }
      case 7: case 8: {
        const std::uint64_t expire = clock.WallMillis() + 1 + random() % 4000;
        REQUIRE(Put(*engine, key, "short", expire).ok());
        model[key] = {"short", expire};
        break;
      }
      case 9: case 10: case 11: case 12: case 13: case 14:
        REQUIRE(Delete(*engine, key).ok());
        model.erase(key);
        break;
      default: {
        const std::string value = std::to_string(step) + std::string(random() % 80, 'v');
        REQUIRE(Put(*engine, key, value).ok());
        model[key] = {value};
      }
    }
  }
}

TEST_CASE("an iterator with bounds opens no table outside of them", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.max_sstable_bytes = 500;
  options.block_cache_bytes = 0;
  options.max_open_sstables = 1;
  {
    auto engine = MustOpen(options);
    for (int i = 1000; i < 1400; ++i) REQUIRE(Put(*engine, "key:" + std::to_string(i), std::string(20, 'v')).ok());
    REQUIRE(engine->Compact().ok());
  }
  auto engine = MustOpen(options);
  const auto reads_of = [&](const ReadOptions& read, bool backward, std::size_t* count) {
    const std::uint64_t before = fs.calls(Fault::kReadError);
    const auto it = engine->NewIterator(read);
    *count = 0;
    if (backward) {
      for (it->SeekToLast(); it->Valid(); it->Prev()) ++*count;
    } else {
      for (it->SeekToFirst(); it->Valid(); it->Next()) ++*count;
    }
    REQUIRE(it->status().ok());
    return fs.calls(Fault::kReadError) - before;
  };
  const bool backward = GENERATE(false, true);
  std::size_t count = 0;
  const std::uint64_t all = reads_of({}, backward, &count);
  CHECK(count == 400);
  ReadOptions some;
  some.prefix = "key:120";
  const std::uint64_t few = reads_of(some, backward, &count);
  CHECK(count == 10);
  CHECK(few * 5 < all);        // the prefix is a fortieth of the keys, and lies in two or three of some twenty tables
  some.prefix = "nothing";
  CHECK(reads_of(some, backward, &count) == 0);
  CHECK(count == 0);
}

TEST_CASE("a million tombstones cost a bounded iterator no more than its bound, in memtables and in tables", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.memtable_entries = 0;
  options.base_level_entries = 0;
  options.max_sstable_bytes = 1 << 20;
  options.block_bytes = 4096;
  auto engine = MustOpen(options);
  const std::uint32_t dead = Seeds(100'000, 1'000'000);
  const auto key = [](std::uint32_t i) { return "key:" + std::to_string(10'000'000 + i); };
  for (std::uint32_t i = 0; i < dead;) {
    WriteBatch batch;
    for (std::uint32_t end = std::min(dead, i + 1000); i < end; ++i) batch.Delete(key(i));
    REQUIRE(engine->Write(batch));
  }
  REQUIRE(Put(*engine, key(dead), "alive").ok());
  const bool flushed = GENERATE(false, true);
  if (flushed) REQUIRE(engine->Flush().ok());
  ReadOptions read;
  read.max_skipped = 500;
  const auto it = engine->NewIterator(read);
  std::uint64_t moves = 0;
  std::uint64_t examined = 0;
  const std::uint64_t reads = fs.calls(Fault::kReadError);
  it->SeekToFirst();
  CHECK(fs.calls(Fault::kReadError) - reads < 20);
  for (; it->paused(); it->Next(), ++moves) {
    REQUIRE(it->examined() - examined == 500);
    examined = it->examined();
    REQUIRE(it->position() == key(static_cast<std::uint32_t>(examined - 1)));
  }
  REQUIRE(it->Valid());
  CHECK(it->key() == key(dead));
  CHECK(moves == dead / 500);
}

TEST_CASE("a seek asks the disk for what all tables will read before it waits for the second", "[engine][iterator]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.block_cache_bytes = 1 << 20;
  options.max_open_sstables = 1000;
  options.base_level_entries = 100'000;          // nothing but L0 by itself
  options.max_l0_sstables = 1000;
  options.l0_slowdown_sstables = 2000;
  options.l0_stop_sstables = 3000;
  {
    auto engine = MustOpen(options);
    const auto write = [&](int count) {
      for (int i = 0; i < count; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i * 7919 % 1000), std::to_string(i)).ok());
      REQUIRE(engine->Flush().ok());
    };
    write(1000);
    REQUIRE(engine->Compact().ok());
    write(400);
  }
  ReadOptions read;
  read.fill_cache = GENERATE(true, false);
  using Move = std::function<void(Iterator&)>;
  const auto [name, move] = GENERATE(values<std::pair<const char*, Move>>({
      {"a key", [](Iterator& it) { it.Seek("k5"); }},
      {"back from a key", [](Iterator& it) { it.SeekForPrev("k5"); }},
      {"back from behind all", [](Iterator& it) { it.SeekForPrev("z"); }},
      {"the first", [](Iterator& it) { it.SeekToFirst(); }},
      {"the last", [](Iterator& it) { it.SeekToLast(); }},
  }));
  CAPTURE(name, read.fill_cache);
  auto engine = MustOpen(options);
  const std::size_t sources = engine->Stats().levels[0].sstables + 1;      // and L1
  REQUIRE(sources > 8);
  static_cast<void>(fs.TakeReads());
  auto cold = engine->NewIterator(read);
  move(*cold);
  REQUIRE(cold->Valid());
  const std::string key(cold->key());
  std::set<std::pair<std::string, std::uint64_t>> asked;
  std::size_t unasked = 0;
  for (const FaultFileSystem::ReadSeen& seen : fs.TakeReads()) {
    if (seen.hint) {
      asked.emplace(seen.path, seen.offset);
    } else if (!asked.contains({seen.path, seen.offset})) {
      ++unasked;
    }
  }
  CHECK(asked.size() == 2 * (sources - 1));      // index and block
  CHECK(unasked == 2 * sources + 2);             // the footer and the top index of each, when it is opened, and what the first one reads
  // What is in memory nobody asks for.
  fs.CacheEverything(read.fill_cache);
  auto warm = engine->NewIterator(read);
  move(*warm);
  CHECK(warm->key() == key);
  const std::vector<FaultFileSystem::ReadSeen> again = fs.TakeReads();
  if (read.fill_cache) CHECK(again.empty());
  move(*cold);                                   // it has its indexes, and in its windows the blocks
  CHECK(cold->key() == key);
  CHECK(fs.TakeReads().empty());
}
