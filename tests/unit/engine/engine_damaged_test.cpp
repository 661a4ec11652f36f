// A table that a merge could not read: known as long as the tree has it, and not longer; others are merged around it.
#include "engine_fixture.h"

#include <atomic>
#include <string>
#include <thread>

#include "engine/manifest/manifest_store.h"
#include "manual_clock.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

class DeadWhenTold final : public CompactionFilter {
 public:
  bool IsDead(std::string_view) const override { return dead; }
  bool IsRangeDead(std::string_view, std::string_view) const override { return dead; }
  std::atomic<bool> dead{false};
};

}  // namespace

TEST_CASE("a damaged table is known until it is merged after all, dropped or taken out", "[engine][merges][fault]") {
  constexpr std::uint64_t kBitOfFirstBlock = 8 * 20;
  FaultFileSystem fs;
  DeadWhenTold filter;
  Options options = TinyOptions(&fs);
  options.compression = Compression::kNone;
  options.max_l0_sstables = 1000;              // nothing is compacted unless asked for
  options.l0_slowdown_sstables = 2000;
  options.l0_stop_sstables = 3000;
  options.base_level_entries = 1'000'000;
  options.compaction_filter = &filter;
  auto engine = MustOpen(options);
  const auto flush_one = [&] {
    for (const char* key : {"a", "b", "c"}) REQUIRE(Put(*engine, key, "x").ok());
    REQUIRE(engine->Flush().ok());
  };
  flush_one();
  flush_one();
  ManifestStore store(fs, "db", Clock::System());
  REQUIRE(store.Recover());
  const TableRecord damaged = store.manifests().at(0).sstables.front();
  REQUIRE(fs.FlipBit("db/" + damaged.file, kBitOfFirstBlock).ok());
  REQUIRE(engine->Stats().damaged_sstables == 0);
  REQUIRE(engine->Compact().code() == StatusCode::kCorruption);
  CHECK(engine->Stats().damaged_sstables == 1);
  CHECK(engine->Compact().code() == StatusCode::kCorruption);
  CHECK(engine->Stats().damaged_sstables == 1);
  flush_one();
  CHECK(engine->Stats().damaged_sstables == 1);              // by a commit that does not concern it

  SECTION("merged by who has put its file right") {
    REQUIRE(fs.FlipBit("db/" + damaged.file, kBitOfFirstBlock).ok());
    REQUIRE(engine->Compact().ok());
    CHECK(Get(*engine, "a") == "x");
  }
  SECTION("dropped unread, as all that is in it is dead") {
    filter.dead = true;
    engine->ReclaimDeadRanges();
    while (engine->Stats().levels[0].sstables > 0) std::this_thread::yield();
    while (fs.Exists("db/" + damaged.file)) {
      engine->ReclaimDeadRanges();                           // wakes who removes it
      std::this_thread::yield();
    }
  }
  SECTION("taken out by hand") {
    ManifestStore by_hand(fs, "db", Clock::System());
    REQUIRE(by_hand.Recover());
    VersionEdit edit;
    edit.target_level = 0;
    edit.removed = {{0, damaged.id}};
    REQUIRE(by_hand.Commit(edit).ok());
    REQUIRE(engine->Reload());
    REQUIRE(engine->Compact().ok());
    CHECK(Get(*engine, "a") == "x");
  }
  CHECK(engine->Stats().damaged_sstables == 0);
}

TEST_CASE("a table on a bad sector is left alone, and tried again later; the others are merged around it", "[engine][merges][fault]") {
  FaultFileSystem fs;
  ManualClock clock;
  Options options = TinyOptions(&fs, &clock);
  options.compression = Compression::kNone;
  options.max_l0_sstables = 2;
  options.l0_slowdown_sstables = 6;
  options.l0_stop_sstables = 8;
  auto engine = MustOpen(options);
  const auto flush_one = [&](const std::string& value) {
    for (const char* key : {"a", "m", "z"}) REQUIRE(Put(*engine, key, value).message() == "");
    REQUIRE(engine->Flush().message() == "");
    clock.Advance(std::chrono::milliseconds(10));
  };
  flush_one("deep");
  REQUIRE(engine->Compact(std::nullopt, 1).ok());
  ManifestStore store(fs, "db", Clock::System());
  REQUIRE(store.Recover());
  const TableRecord bad = store.manifests().at(1).sstables.front();
  fs.FailReads(bad.file, 20);
  // Many times what L0 may have: it is gathered meanwhile, and nobody is refused.
  for (int i = 0; i < 40; ++i) flush_one(std::to_string(i));
  while (engine->Stats().damaged_sstables != 1 || engine->Stats().levels[0].sstables > options.l0_stop_sstables) std::this_thread::yield();
  CHECK(engine->WriteHealth().message() == "");
  CHECK(Get(*engine, "m") == "39");
  // It passes by itself.
  fs.ClearFaults();
  while (engine->Stats().damaged_sstables != 0 || engine->ManifestText(1)->find(bad.file) != std::string::npos) {
    clock.Advance(std::chrono::seconds(1));
    flush_one("new");
  }
  CHECK(Get(*engine, "m") == "new");
}

TEST_CASE("a value on a bad sector stays where it is, and what points to it is merged", "[engine][merges][blob][fault]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.compression = Compression::kNone;
  options.min_blob_bytes = 100;
  options.max_l0_sstables = 1000;
  options.l0_slowdown_sstables = 2000;
  options.l0_stop_sstables = 3000;
  auto engine = MustOpen(options);
  const auto large = [](char c) { return std::string(1000, c); };
  for (const char c : std::string("abcdefgh")) REQUIRE(Put(*engine, std::string(1, c), large(c)).ok());
  REQUIRE(engine->Flush().ok());
  const std::string blob = fs.ListDirectory("db/blob")->front();
  for (const char c : std::string("bcdefgh")) REQUIRE(Delete(*engine, std::string(1, c)).ok());   // most of the file is dead: it is to be emptied
  REQUIRE(engine->Flush().ok());
  fs.FailReads(blob, 500);                                     // in the value of a
  CHECK(engine->Compact().message() == "");
  CHECK(fs.Exists("db/blob/" + blob));
  CHECK(engine->Get("a", {}).status().code() == StatusCode::kIoError);
  CHECK(engine->Stats().levels[0].sstables == 0);
  fs.ClearFaults();
  CHECK(Get(*engine, "a") == large('a'));
}
