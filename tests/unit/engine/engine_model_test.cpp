// Any history reads like std::map, whatever the upkeep.
#include "engine_fixture.h"
#include "ingest_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

struct ModelEntry {
  std::string value;
  std::uint64_t expire_at_ms = 0;
};
using Model = std::map<std::string, ModelEntry>;

std::map<std::string, std::string> Live(const Model& model, std::uint64_t now_ms) {
  std::map<std::string, std::string> live;
  for (const auto& [key, entry] : model)
    if (!HasExpired(entry.expire_at_ms, now_ms)) live.emplace(key, entry.value);
  return live;
}

std::string SomeKey(std::mt19937& random) {
  const std::uint32_t range = random() % 4 == 0 ? 10 : 200;
  return "key:" + std::to_string(random() % range);
}

Options SomeOptions(std::mt19937& random, FileSystem* fs, Clock* clock) {
  Options options = TinyOptions(fs, clock);
  options.memtable_entries = 5 + random() % 60;
  options.max_sstable_bytes = random() % 3 == 0 ? 0 : 500 + random() % 3000;
  options.compression = static_cast<Compression>(random() % 3);
  options.bloom_bits_per_key = random() % 2 == 0 ? 10 : 0;
  options.level_ratio = 2 + random() % 4;
  options.row_cache_percent = random() % 2 == 0 ? 80 : 0;
  options.soft_limit_ratio = random() % 2 == 0 ? 0.85 : 1.0;
  options.wal_fsync = static_cast<WalFsync>(random() % 3);
  options.min_blob_bytes = random() % 3 == 0 ? 0 : 1 + random() % 60;
  return options;
}

/// A bundle of some keys, or of many that lie close together, into the tree and into the model.
void IngestSome(Engine& engine, FileSystem& fs, Clock& clock, std::mt19937& random, int step, Model* model) {
  Entries entries;
  const bool dense = random() % 4 == 0;
  const std::string far = random() % 4 == 0 ? "far:" + std::to_string(step) + ":" : "";
  for (std::uint32_t i = 0; i <= random() % (dense ? 300 : 20); ++i) {
    const std::uint64_t expire = random() % 5 == 0 ? clock.WallMillis() - 1000 + random() % 4000 : 0;
    entries[far + SomeKey(random)] = {"i" + std::to_string(step) + std::string(random() % 40, 'i'), expire};
  }
  const std::string dir = "in" + std::to_string(step);
  WriteBundle(fs, dir, entries, "", random() % 2 == 0 ? 500 : 100'000);
  const Result<IngestReport> report = engine.Ingest({dir, nullptr});
  REQUIRE(report);
  REQUIRE(report->entries == entries.size());
  for (const auto& [key, entry] : entries) (*model)[key] = {entry.value, entry.expire_at_ms};
}

struct HeldSnapshot {
  std::shared_ptr<const Snapshot> snapshot;
  Model model;
  std::uint64_t taken_ms;
};

void CheckSnapshot(Engine& engine, const HeldSnapshot& held) {
  ReadOptions options;
  options.snapshot = held.snapshot;
  options.now_ms = held.taken_ms;
  REQUIRE(Contents(engine, options) == Live(held.model, held.taken_ms));
}

}  // namespace

TEST_CASE("any history reads like std::map, whatever the upkeep", "[engine][model]") {
  const auto seed = GENERATE(range(FirstSeed(), FirstSeed() + Seeds(24, 600)));
  CAPTURE(seed);
  std::mt19937 random(seed);
  FaultFileSystem fs;
  WallClock clock;
  Options options = SomeOptions(random, &fs, &clock);
  auto engine = MustOpen(options);
  Model model;
  std::optional<HeldSnapshot> held;
  for (int step = 0; step < 1500; ++step) {
    CAPTURE(step);
    const std::string key = SomeKey(random);
    switch (random() % 40) {
      case 0: REQUIRE(engine->Flush().ok()); break;
      case 1:
        if (random() % 4 == 0) REQUIRE(engine->Compact().ok());
        break;
      case 2:
        if (random() % 4 != 0) break;
        held.reset();
        engine.reset();
        if (random() % 4 == 0) options.min_blob_bytes = random() % 40;   // what is on disk stays readable whatever it is
        engine = MustOpen(options);
        break;
      case 3: clock.Advance(random() % 3000); break;
      case 4: {
        if (held) CheckSnapshot(*engine, *held);
        held = HeldSnapshot{engine->GetSnapshot(), model, clock.WallMillis()};
        break;
      }
      case 5: REQUIRE(Contents(*engine) == Live(model, clock.WallMillis())); break;
      case 6: {
        WriteBatch batch;
        for (std::uint32_t i = 0; i <= random() % 20; ++i) {
          const std::string batch_key = SomeKey(random);
          if (random() % 3 == 0) {
            batch.Delete(batch_key);
            model.erase(batch_key);
          } else {
            batch.Put(batch_key, std::to_string(step));
            model[batch_key] = {std::to_string(step)};
          }
        }
        REQUIRE(engine->Write(batch));
        break;
      }
      case 7: {
        const std::uint64_t expire = clock.WallMillis() + 1 + random() % 4000;
        REQUIRE(Put(*engine, key, "short", expire).ok());
        model[key] = {"short", expire};
        break;
      }
      case 8:
        if (random() % 2 == 0) IngestSome(*engine, fs, clock, random, step, &model);
        break;
      case 9: case 10: case 11: case 12: case 13:
        REQUIRE(Delete(*engine, key).ok());
        model.erase(key);
        break;
      case 14: case 15: case 16: case 17: case 18: case 19: case 20: case 21: {
        const Result<std::optional<PinnedValue>> value = engine->Get(key);
        REQUIRE(value);
        const auto expected = model.find(key);
        // An expired value may have been dropped already; while it is there, it says when it expired.
        const bool alive = expected != model.end() && !HasExpired(expected->second.expire_at_ms, clock.WallMillis());
        if (alive) {
          REQUIRE(value->has_value());
          REQUIRE((*value)->data() == expected->second.value);
          REQUIRE((*value)->expire_at_ms() == expected->second.expire_at_ms);
        } else if (value->has_value()) {
          REQUIRE(HasExpired((*value)->expire_at_ms(), clock.WallMillis()));
        }
        break;
      }
      default: {
        const std::string value = std::to_string(step) + std::string(random() % 80, 'v');
        REQUIRE(Put(*engine, key, value).ok());
        model[key] = {value};
      }
    }
  }
  if (held) CheckSnapshot(*engine, *held);
  REQUIRE(Contents(*engine) == Live(model, clock.WallMillis()));
  REQUIRE(engine->Compact().ok());
  REQUIRE(Contents(*engine) == Live(model, clock.WallMillis()));
}

TEST_CASE("a sampled key is one of the range, and every key's turn may come", "[engine][model]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  for (int i = 0; i < 200; ++i) REQUIRE(Put(*engine, (i < 100 ? "a" : "b") + std::to_string(i), "x").ok());
  std::mt19937_64 random(7);
  std::map<std::string, int> seen;
  for (int i = 0; i < 5000; ++i) {
    const auto key = engine->SampleKey("a", "b", random());
    REQUIRE(key);
    REQUIRE(key->has_value());
    REQUIRE((*key)->starts_with("a"));
    ++seen[**key];
  }
  CHECK(seen.size() > 50);
  CHECK_FALSE(engine->SampleKey("x", "y", 1)->has_value());
}
