// A wall clock that jumps to and fro, as clocks that somebody sets do. Deadlines are moments of it, so a key with one may live longer
// or shorter than was meant; what must not happen is that anything else does.
#include "engine_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

struct Expected {
  std::string value;
  std::uint64_t expire_at_ms = 0;      // 0: never
};

/// `latest_ms`: the latest that the clock has ever shown; what had expired then may be gone for good.
void CheckAll(Engine& engine, const std::map<std::string, Expected>& model, std::uint64_t now_ms, std::uint64_t latest_ms) {
  const std::map<std::string, std::string> seen = Contents(engine);
  for (const auto& [key, expected] : model) {
    CAPTURE(key, expected.expire_at_ms, now_ms, latest_ms);
    const auto found = seen.find(key);
    if (found != seen.end()) {
      REQUIRE_FALSE(HasExpired(expected.expire_at_ms, now_ms));
      REQUIRE(found->second == expected.value);
    } else {
      REQUIRE(HasExpired(expected.expire_at_ms, latest_ms));
    }
  }
  for (const auto& [key, value] : seen) REQUIRE(model.contains(key));
}

}  // namespace

TEST_CASE("a clock that jumps expires nothing early and brings nothing back", "[engine][expiry]") {
  for (std::uint32_t seed = FirstSeed(); seed < FirstSeed() + Seeds(20, 300); ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    FaultFileSystem fs;
    WallClock clock;
    Options options = TinyOptions(&fs, &clock);
    options.dead_max_age_ms = 10;
    options.min_blob_bytes = seed % 2;
    auto engine = MustOpen(options);
    std::map<std::string, Expected> model;
    std::uint64_t latest_ms = clock.WallMillis();
    for (int step = 0; step < 600; ++step) {
      const std::string key = "k" + std::to_string(random() % 150);
      switch (random() % 24) {
        case 0: clock.Advance(random() % 10'000'000); break;
        case 1: clock.GoBack(random() % 10'000'000); break;
        case 2: REQUIRE(engine->Flush().ok()); break;
        case 3:
          if (random() % 8 == 0) REQUIRE(engine->Compact().ok());
          break;
        case 4:
          if (random() % 8 != 0) break;
          engine.reset();
          engine = MustOpen(options);
          break;
        case 5: {
          const EngineStats stats = engine->Stats();          // figures made of differences of times
          REQUIRE(stats.oldest_dead_ms < 1'000'000'000'000);
          REQUIRE(engine->History(10).size() <= 10);
          break;
        }
        case 6: case 7: case 8: case 9: case 10: case 11: {
          const std::uint64_t expire = clock.WallMillis() + 1 + random() % 3'000'000;
          REQUIRE(Put(*engine, key, std::to_string(step), expire).ok());
          model[key] = {std::to_string(step), expire};
          break;
        }
        default:
          REQUIRE(Put(*engine, key, std::to_string(step)).ok());
          model[key] = {std::to_string(step)};
      }
      latest_ms = std::max(latest_ms, clock.WallMillis());
      if (step % 50 == 0) CheckAll(*engine, model, clock.WallMillis(), latest_ms);
    }
    CheckAll(*engine, model, clock.WallMillis(), latest_ms);
    REQUIRE(engine->Checkpoint("copy").ok());
    Options copy = options;
    copy.dir = "copy";
    CheckAll(*MustOpen(copy), model, clock.WallMillis(), latest_ms);
  }
}

TEST_CASE("what a merge has dropped as expired does not come back with the clock, out of the row cache", "[engine][expiry]") {
  const bool seen_while_expired = GENERATE(false, true);
  CAPTURE(seen_while_expired);
  FaultFileSystem fs;
  WallClock clock;
  Options options = TinyOptions(&fs, &clock);
  options.row_cache_percent = 80;
  options.block_cache_bytes = 1 << 20;
  const auto engine = MustOpen(options);
  REQUIRE(Put(*engine, "k", "old", clock.WallMillis() + 1000).ok());
  REQUIRE(engine->Flush().ok());
  for (int tries = 0; tries < 100 && engine->Stats().row_cache_hits == 0; ++tries) (void)Get(*engine, "k");
  REQUIRE(engine->Stats().row_cache_hits > 0);
  clock.Advance(2000);
  if (seen_while_expired) (void)Get(*engine, "k");
  REQUIRE(Put(*engine, "another", "1").ok());
  REQUIRE(engine->Flush().ok());
  REQUIRE(engine->Compact().ok());
  clock.GoBack(2000);
  CHECK_FALSE(Contents(*engine).contains("k"));
  CHECK_FALSE(Get(*engine, "k").has_value());
}
