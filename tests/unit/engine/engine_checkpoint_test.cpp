// Checkpoints: a data directory like any other, whatever happens to the one it was taken of.
#include "engine_fixture.h"

#include <map>
#include <string>

using namespace lsmkv;
using namespace lsmkv::engine_test;

TEST_CASE("a checkpoint opens like any data directory and does not move", "[engine]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  for (int i = 0; i < 300; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), "before").ok());
  REQUIRE(engine->Checkpoint("copies").ok());
  REQUIRE_FALSE(engine->Checkpoint("copies").ok());
  for (int i = 0; i < 300; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), "after").ok());
  REQUIRE(engine->Compact().ok());
  Options options = TinyOptions(&fs);
  options.dir = "copies";
  auto copy = MustOpen(options);
  CHECK(Contents(*copy).size() == 300);
  CHECK(Get(*copy, "k3") == "before");
  REQUIRE(Put(*copy, "k3", "own").ok());
  CHECK(Get(*engine, "k3") == "after");
}

TEST_CASE("a copy goes on where its tables ended, though the last of them has gone before anything is flushed", "[engine]") {
  FaultFileSystem fs;
  WallClock clock;
  Options options = TinyOptions(&fs, &clock);
  {
    auto engine = MustOpen(options);
    REQUIRE(Put(*engine, "a", "1").ok());
    REQUIRE(engine->Flush().ok());
    REQUIRE(Put(*engine, "k", "short", clock.WallMillis() + 10).ok());
    REQUIRE(engine->Checkpoint("copy").ok());
  }
  clock.Advance(1000);
  options.dir = "copy";
  {
    auto copy = MustOpen(options);
    REQUIRE(copy->Compact().ok());
    REQUIRE(copy->last_sequence() == 2);
    REQUIRE(Put(*copy, "x", "own").ok());
  }
  auto copy = MustOpen(options);
  CHECK(Contents(*copy) == std::map<std::string, std::string>{{"a", "1"}, {"x", "own"}});
}

TEST_CASE("a checkpoint outlives a power cut, and so do the directories it is in", "[engine][crash]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  {
    auto engine = MustOpen(options);
    for (int i = 0; i < 300; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), "v").ok());
    REQUIRE(engine->Compact().ok());      // a flush or merge still to come would make the directory's names safe
    REQUIRE(engine->Checkpoint("db/checkpoints/first").ok());
    fs.PowerCut(1, CutMode::kLost);
  }
  options.dir = "db/checkpoints/first";
  REQUIRE(fs.Exists(options.dir + "/sst"));
  CHECK(Contents(*MustOpen(options)).size() == 300);
}

TEST_CASE("a table that a merge made moves after a restart, and can be checkpointed", "[engine]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.base_level_entries = 0;
  const auto fill = [](Engine& engine, char prefix) {
    for (int i = 0; i < 100; ++i) REQUIRE(Put(engine, prefix + std::to_string(i), "v").ok());
  };
  {
    auto engine = MustOpen(options);
    fill(*engine, 'a');
    REQUIRE(engine->Compact(0, 1).ok());          // its manifest still says what the new table replaces
  }
  options.base_level_entries = 20;                // now L1 is over its limit: the table moves to L2
  {
    auto engine = MustOpen(options);
    REQUIRE(engine->Checkpoint("copy").ok());
    fill(*engine, 'b');
    REQUIRE(engine->Compact().ok());
  }
  CHECK(Contents(*MustOpen(options)).size() == 200);
  options.dir = "copy";
  CHECK(Contents(*MustOpen(options)).size() == 100);
}

TEST_CASE("a checkpoint that is being removed when the power goes is whole, or none", "[engine][crash]") {
  for (std::uint64_t call = 1;; ++call) {
    for (const CutMode mode : {CutMode::kLost, CutMode::kOutOfOrder}) {
      CAPTURE(call);
      FaultFileSystem fs;
      Options options = TinyOptions(&fs);
      auto engine = MustOpen(options);
      for (int i = 0; i < 300; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), "v").ok());
      REQUIRE(engine->Checkpoint("db/checkpoints/one").ok());
      REQUIRE(engine->RemoveCheckpoint("db/checkpoints/other").code() == StatusCode::kNotFound);
      fs.FailCall(call, Fault::kWriteError, FaultSpan::kFromThenOn);
      const Status removed = engine->RemoveCheckpoint("db/checkpoints/one");
      CutPower(fs, call, mode);
      engine.reset();
      fs.ClearFaults();
      if (fs.Exists("db/checkpoints/one")) {
        options.dir = "db/checkpoints/one";
        CHECK(Contents(*MustOpen(options)).size() == 300);
      }
      if (removed.ok()) return;
    }
  }
}
