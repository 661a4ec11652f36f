// LSM HISTORY: one event of each kind, with what it says.
#include "engine_fixture.h"

#include <functional>
#include <vector>

#include <nlohmann/json.hpp>

#include "ingest_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;
using Json = nlohmann::json;

namespace {

class DeadRange final : public CompactionFilter {
 public:
  bool IsDead(std::string_view key) const override { return IsRangeDead(key, key); }
  bool IsRangeDead(std::string_view smallest, std::string_view largest) const override {
    return told_ && smallest.starts_with("dead") && largest.starts_with("dead");
  }
  void Tell() { told_ = true; }

 private:
  std::atomic<bool> told_{false};
};

/// The last event of this kind, as soon as there is one.
Json LastOf(Engine& engine, const std::string& kind) {
  while (true) {
    const std::vector<std::string> lines = engine.History(1000);
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
      if (Json event = Json::parse(*line); event["kind"] == kind) return event;
    }
    std::this_thread::yield();
  }
}

std::string ReasonOf(const Json& event) { return event["reason"]; }

}  // namespace

TEST_CASE("each kind of event says why, what went in, what came out and how long it took", "[engine][history]") {
  FaultFileSystem fs;
  DeadRange filter;
  Options options = TinyOptions(&fs);
  options.memtable_entries = 0;
  options.base_level_entries = 1'000'000;
  options.max_l0_sstables = 2;
  options.soft_limit_ratio = 1;
  options.compaction_filter = &filter;
  auto engine = MustOpen(options);
  const auto flush_two = [&](const std::string& from, const std::string& to) {
    REQUIRE(Put(*engine, from, "x").ok());
    REQUIRE(Put(*engine, to, "x").ok());
    REQUIRE(engine->Flush().ok());
  };
  flush_two("a1", "a2");
  const Json flush = LastOf(*engine, "flush");
  CHECK(ReasonOf(flush) == "memtable with 2 versions");
  CHECK(flush["in"].empty());
  CHECK(flush["out"]["level"] == 0);
  CHECK(flush["out"]["entries"] == 2);
  CHECK(flush["out"]["count"] == 1);
  CHECK(flush["out"]["bytes"] > 0);
  CHECK(flush["ms"] >= 0);

  flush_two("dead1", "dead2");                             // beside the first: both move
  const Json move = LastOf(*engine, "move");
  CHECK(ReasonOf(move) == "L0 has 2 sstables >= soft limit 2 (hard 2)");
  REQUIRE(move["in"].size() == 1);
  CHECK(move["in"][0]["level"] == 0);
  CHECK(move["in"][0]["count"] == 2);
  CHECK(move["in"][0]["entries"] == 4);
  CHECK(move["out"]["level"] == 1);
  CHECK(move["out"]["tables"] == move["in"][0]["tables"]);
  CHECK(move["out"]["bytes"] == move["in"][0]["bytes"]);

  filter.Tell();
  engine->ReclaimDeadRanges();
  const Json drop = LastOf(*engine, "drop");
  CHECK(ReasonOf(drop).find("flushed database") != std::string::npos);
  REQUIRE(drop["in"].size() == 1);
  CHECK(drop["in"][0]["level"] == 1);
  CHECK(drop["in"][0]["count"] == 1);
  CHECK(drop["in"][0]["entries"] == 2);
  CHECK(drop["out"]["count"] == 0);

  REQUIRE(engine->Compact(1, 2).ok());
  const Json merge = LastOf(*engine, "merge");
  CHECK(ReasonOf(merge) == "asked for");
  CHECK(merge["in"][0]["level"] == 1);
  CHECK(merge["out"]["level"] == 2);
  CHECK(merge["pieces"] == 1);
  CHECK(merge["ms"] >= 0);

  WriteBundle(fs, "in", NumberedEntries(0, 100, "ingested"));
  const Result<IngestReport> report = engine->Ingest({"in", [](std::string_view prefix) -> Result<IngestPlace> { return IngestPlace{std::string(prefix), 0}; }});
  REQUIRE(report);
  const Json ingest = LastOf(*engine, "ingest");
  CHECK_FALSE(ReasonOf(ingest).empty());
  CHECK(ingest["out"]["level"] == report->level);
  CHECK(ingest["out"]["entries"] == 100);
  CHECK(ingest["ms"] >= 0);
}
