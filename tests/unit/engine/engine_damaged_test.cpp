// A table that a merge has met damage in: known as long as the tree has it, and not longer.
#include "engine_fixture.h"

#include <atomic>
#include <string>
#include <thread>

#include "engine/manifest/manifest_store.h"

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
