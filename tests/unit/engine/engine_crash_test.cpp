// Power cuts and failing calls at every place: what was durable is there, what was not is there whole or not at all.
#include "engine_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

/// Pairs of keys written in one batch; a pair that is torn apart is a batch torn apart.
struct Script {
  std::map<std::string, int> durable;       // key -> the value that was durable last
  std::map<std::string, int> last_tried;    // key -> the last value handed to Write
};

std::string KeyOf(int i) { return "k" + std::to_string(i % 37); }

/// Runs until the first error. Everything before the last successful Sync() is durable.
void RunScript(Engine& engine, std::mt19937& random, Script* script) {
  std::map<std::string, int> unsynced;
  for (int i = 1; i <= 260; ++i) {
    const std::string key = KeyOf(static_cast<int>(random() % 100));
    WriteBatch batch;
    batch.Put(key, std::to_string(i));
    batch.Put("twin:" + key, std::to_string(i));
    script->last_tried[key] = i;
    if (!engine.Write(batch)) return;
    unsynced[key] = i;
    if (random() % 8 == 0) {
      if (!engine.Sync().ok()) return;
      for (const auto& [synced, value] : unsynced) script->durable[synced] = value;
      unsynced.clear();
    }
    if (random() % 60 == 0 && !engine.Flush().ok()) return;
    if (random() % 150 == 0 && !engine.Compact().ok()) return;
  }
}

void CheckAfterCrash(Engine& engine, const Script& script) {
  for (const auto& [key, value] : script.last_tried) {
    CAPTURE(key);
    const auto found = Get(engine, key);
    REQUIRE(found == Get(engine, "twin:" + key));
    const auto durable = script.durable.find(key);
    if (durable != script.durable.end()) {
      REQUIRE(found.has_value());
      REQUIRE(std::stoi(*found) >= durable->second);
    }
    if (found) REQUIRE(std::stoi(*found) <= value);
  }
}

}  // namespace

TEST_CASE("what was synced survives a power cut at any call", "[engine][crash]") {
  const auto mode = GENERATE(CutMode::kLost, CutMode::kKept, CutMode::kNamesKept, CutMode::kTorn512, CutMode::kTorn4096, CutMode::kOutOfOrder);
  std::uint64_t cut_at = 1;
  for (std::uint32_t seed = 0; seed < Seeds(60, 600); ++seed) {
    CAPTURE(seed, cut_at, static_cast<int>(mode));
    std::mt19937 random(seed);
    FaultFileSystem fs;
    Options options = TinyOptions(&fs);
    options.wal_fsync = static_cast<WalFsync>(seed % 3);
    options.min_blob_bytes = seed % 2;              // every value in a blob file, or none
    Script script;
    {
      auto opened = Engine::Open(options);
      REQUIRE(opened);
      const std::uint64_t before = fs.calls(Fault::kWriteError);
      fs.FailCall(cut_at, Fault::kWriteError, FaultSpan::kFromThenOn);
      RunScript(**opened, random, &script);
      cut_at = 1 + (cut_at * 31 + 7) % std::max<std::uint64_t>(200, fs.calls(Fault::kWriteError) - before);
      fs.PowerCut(seed, mode);
    }
    fs.ClearFaults();
    {
      auto engine = MustOpen(options);
      CheckAfterCrash(*engine, script);
      REQUIRE(Put(*engine, "after", "crash").ok());
      REQUIRE(engine->Compact().ok());
      CheckAfterCrash(*engine, script);
    }
    CheckAfterCrash(*MustOpen(options), script);
  }
}

TEST_CASE("one failing call anywhere loses nothing that was synced", "[engine][fault]") {
  const auto fault = GENERATE(Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite, Fault::kFailedRename);
  for (std::uint64_t call = 1; call < 400; call += Seeds(9, 1)) {
    CAPTURE(call, static_cast<int>(fault));
    std::mt19937 random(static_cast<std::uint32_t>(call));
    FaultFileSystem fs;
    Options options = TinyOptions(&fs);
    options.min_blob_bytes = call % 2;
    Script script;
    {
      auto engine = MustOpen(options);
      fs.FailCall(call, fault);
      RunScript(*engine, random, &script);
      for (const auto& [key, value] : script.durable) {
        const auto found = engine->Get(key);
        if (found) REQUIRE(found->has_value());     // an error is allowed, absence is not
      }
    }
    fs.ClearFaults();
    CheckAfterCrash(*MustOpen(options), script);
  }
}
