// Power cuts and failing calls at every place: what was durable is there, what was not is there whole or not at all.
#include <functional>

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

/// What is wrong, by the first key of which something is; empty: nothing.
std::string FaultAfterCrash(Engine& engine, const Script& script) {
  for (const auto& [key, value] : script.last_tried) {
    const Result<std::optional<PinnedValue>> read = engine.Get(key);
    const Result<std::optional<PinnedValue>> twin = engine.Get("twin:" + key);
    if (!read || !twin) return key + ": " + (read ? twin : read).error().message();
    const auto text = [](const Result<std::optional<PinnedValue>>& v) { return *v ? std::string((*v)->data()) : std::string("nothing"); };
    const std::string found = text(read);
    if (found != text(twin)) return key + ": a batch is torn apart: " + found + " and " + text(twin);
    const auto durable = script.durable.find(key);
    if (durable != script.durable.end()) {
      const std::string least = std::to_string(durable->second);
      if (found == "nothing") return key + ": lost; " + least + " was durable";
      if (std::stoi(found) < durable->second) return key + ": is " + found + " again; " + least + " was durable";
    }
    if (found != "nothing" && std::stoi(found) > value) return key + ": " + found + " was never written";
  }
  return "";
}

void CheckAfterCrash(Engine& engine, const Script& script) { REQUIRE(FaultAfterCrash(engine, script) == ""); }

/// Where the power is cut, as the number of a call; a script makes a few hundred.
std::uint64_t CutAt(std::uint32_t seed) { return 1 + std::mt19937(seed + 1'000'003)() % 500; }

}  // namespace

TEST_CASE("what was synced survives a power cut at any call", "[engine][crash]") {
  const auto mode = GENERATE(CutMode::kLost, CutMode::kKept, CutMode::kNamesKept, CutMode::kTorn512, CutMode::kTorn4096, CutMode::kOutOfOrder);
  std::uint64_t recycled = 0;
  for (std::uint32_t seed = FirstSeed(); seed < FirstSeed() + Seeds(60, 600); ++seed) {
    const std::uint64_t cut_at = CutAt(seed);
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
      fs.FailCall(cut_at, Fault::kWriteError, FaultSpan::kFromThenOn);
      RunScript(**opened, random, &script);
      recycled += (*opened)->Stats().wal_recycled_segments;
      CutPower(fs, seed, mode);
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
  CHECK(recycled > Seeds(60, 600));      // power was cut with the log over an older segment's bytes, many times
}

TEST_CASE("one failing call anywhere loses nothing that was synced", "[engine][fault]") {
  const auto fault = GENERATE(Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite, Fault::kFailedRename);
  std::uint64_t recycled = 0;
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
      recycled += engine->Stats().wal_recycled_segments;
    }
    fs.ClearFaults();
    CheckAfterCrash(*MustOpen(options), script);
  }
  CHECK(recycled > 0);
}

TEST_CASE("before the first flush, too, what comes back is in the order of the writes", "[engine][crash]") {
  for (std::uint32_t seed = FirstSeed(); seed < FirstSeed() + Seeds(100, 1000); ++seed) {
    CAPTURE(seed);
    FaultFileSystem fs;
    Options options = TinyOptions(&fs);
    options.memtable_entries = 5;
    options.wal_fsync = WalFsync::kNo;
    {
      auto engine = MustOpen(options);
      fs.FailCall(1, Fault::kFailedRename, FaultSpan::kFromThenOn);       // no manifest is ever written
      fs.FailCall(1 + seed % 8, Fault::kFailedSync, FaultSpan::kFromThenOn);
      for (int i = 0; i < 20; ++i) {
        if (!Put(*engine, "k" + std::to_string(i), "x").ok() || !engine->Commit()) break;
      }
      CutPower(fs, seed, CutMode::kOutOfOrder);
    }
    fs.ClearFaults();
    const auto engine = MustOpen(options);
    for (int i = 0; i < 20; ++i) REQUIRE(Get(*engine, "k" + std::to_string(i)).has_value() == (i < static_cast<int>(engine->last_sequence())));
  }
}

TEST_CASE("whichever sync of a new directory fails: it is not opened, or what it takes is safe", "[engine][fault]") {
  for (std::uint64_t call = 1, done = false; !done; ++call) {
    CAPTURE(call);
    FaultFileSystem fs;
    const Options options = TinyOptions(&fs);
    fs.FailCall(call, Fault::kFailedSync);
    bool safe = false;
    {
      const auto opened = Engine::Open(options);
      safe = opened && Put(**opened, "x", "y").ok() && (*opened)->Sync().ok();
      done = fs.fired() == 0;
      CutPower(fs, call, CutMode::kLost);
    }
    fs.ClearFaults();
    auto engine = MustOpen(options);
    if (safe) REQUIRE(Get(*engine, "x") == "y");
  }
}

// A test of the tests: with a sync that only says that it went well, of each kind of file in turn, a power cut does harm, and the
// check of the crash test sees it. So each of these syncs is one that the crash test would miss.
TEST_CASE("of the test: where a sync is a lie, the check after a power cut finds the loss", "[engine][crash]") {
  struct Lie {
    const char* about;
    std::function<bool(const std::string&)> lies;
  };
  const auto within = [](const char* part) { return [part](const std::string& path) { return path.find(part) != std::string::npos; }; };
  const auto exactly = [](const char* name) { return [name](const std::string& path) { return path == name; }; };
  const Lie lies[] = {{"the log's files", within("wal/wal_")},        {"the names of the log's files", exactly("db/wal")},
                      {"the tables", within("sst/sstable_")},         {"the names of the tables", exactly("db/sst")},
                      {"the blob files", within("blob/blob_")},       {"the names of the blob files", exactly("db/blob")},
                      {"the manifests", within("manifest_l")},        {"the manifests' names", exactly("db")},
                      {"everything", [](const std::string&) { return true; }}};
  for (const Lie& lie : lies) {
    int found = 0;
    for (std::uint32_t seed = 0; seed < 20 && found == 0; ++seed) {
      std::mt19937 random(seed);
      FaultFileSystem fs;
      Options options = TinyOptions(&fs);
      options.wal_fsync = static_cast<WalFsync>(seed % 3);
      options.min_blob_bytes = seed % 2;
      MustOpen(options).reset();                 // honest so far: the directory itself is safe
      fs.LieAboutSyncs(lie.lies);
      Script script;
      {
        auto opened = Engine::Open(options);
        REQUIRE(opened);
        RunScript(**opened, random, &script);
        CutPower(fs, seed, CutMode::kLost);
      }
      fs.ClearFaults();
      fs.LieAboutSyncs({});
      Result<std::unique_ptr<Engine>> again = Engine::Open(options);
      if (!again || FaultAfterCrash(**again, script) != "") ++found;
    }
    CAPTURE(lie.about);
    CHECK(found > 0);
  }
}

// The same of their order: with a sync that takes effect only after those that should come after it, nothing is lost for good, but a power
// cut in between finds the one without the other.
TEST_CASE("of the test: where syncs take effect in another order, the check after a power cut finds it", "[engine][crash]") {
  struct Lag {
    const char* about;
    const char* part;
  };
  constexpr int kSyncsOfACommit = 6;             // and some: the manifest and its name are safe before what it names
  for (const Lag& lag : {Lag{"the tables", "sst/sstable_"}, Lag{"the names of the tables", "db/sst"}, Lag{"the blob files", "blob/blob_"},
                         Lag{"the log's files", "wal/wal_"}}) {
    const auto run = [&](std::uint32_t seed, int by) {
      std::mt19937 random(seed);
      FaultFileSystem fs;
      Options options = TinyOptions(&fs);
      options.wal_fsync = static_cast<WalFsync>(seed % 3);
      options.min_blob_bytes = seed % 2;
      MustOpen(options).reset();
      if (by > 0) fs.LagSyncs([part = std::string(lag.part)](const std::string& path) { return path.find(part) != std::string::npos; }, by);
      Script script;
      {
        auto opened = Engine::Open(options);
        REQUIRE(opened);
        fs.FailCall(CutAt(seed), Fault::kWriteError, FaultSpan::kFromThenOn);
        RunScript(**opened, random, &script);
        CutPower(fs, seed, CutMode::kLost);
      }
      fs.ClearFaults();
      fs.LagSyncs({}, 0);
      const Result<std::unique_ptr<Engine>> again = Engine::Open(options);
      return again ? FaultAfterCrash(**again, script) : again.error().message();
    };
    std::string found;
    std::uint32_t seed = 0;
    for (; seed < 60 && found.empty(); ++seed) found = run(seed, kSyncsOfACommit);
    CAPTURE(lag.about, seed, found);
    CHECK_FALSE(found.empty());
    CHECK(run(seed - 1, 0) == "");               // in the right order it is whole
  }
}
