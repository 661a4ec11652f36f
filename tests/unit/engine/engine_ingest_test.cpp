// Ingest: whole, at one moment among the writes, without a trace when it fails.
#include "engine_fixture.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gate.h"
#include "ingest_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

TEST_CASE("what is deleted after an ingest's moment is not brought back by it, though the deletion is compacted before it has landed", "[engine][ingest]") {
  const bool expires = GENERATE(false, true);
  FaultFileSystem fs;
  WallClock clock;
  auto engine = MustOpen(TinyOptions(&fs, &clock));
  REQUIRE(Put(*engine, "k", "old").ok());
  REQUIRE(engine->Compact().ok());
  WriteBundle(fs, "in", {{"k", {"ingested"}}});
  int asked = 0;
  SequenceNumber deleted = 0;
  const auto place = [&](std::string_view prefix) -> Result<IngestPlace> {
    if (++asked == 2) {                        // its moment is fixed by now
      REQUIRE((expires ? Put(*engine, "k", "short", clock.WallMillis() + 1) : Delete(*engine, "k")).ok());
      deleted = engine->last_sequence();
      clock.Advance(1000);
      REQUIRE(engine->Compact().ok());
    }
    return IngestPlace{std::string(prefix), 0};
  };
  const Result<IngestReport> report = engine->Ingest({"in", place});
  REQUIRE(report);
  CHECK(report->sequence < deleted);           // though that lies in the deepest level
  CHECK(Contents(*engine).empty());
  REQUIRE(engine->Compact().ok());
  CHECK(Contents(*engine).empty());
}

namespace {

/// Holds whoever comes to "x" first, and all who come to "held".
class TwoGates final : public CompactionFilter {
 public:
  bool IsDead(std::string_view key) const override {
    if (key == "x") return !came_.exchange(true) && first.IsDead(key);
    return others.IsDead(key);
  }
  bool IsRangeDead(std::string_view smallest, std::string_view largest) const override {
    return first.IsRangeDead(smallest, largest) || others.IsRangeDead(smallest, largest);
  }
  Gate first{"x"};
  Gate others{"held", true};

 private:
  mutable std::atomic<bool> came_{false};
};

}  // namespace

TEST_CASE("nor by a merge that was planned before the ingest landed, and comes to the deletion afterwards", "[engine][ingest]") {
  FaultFileSystem fs;
  TwoGates gates;
  Options options = TinyOptions(&fs);
  options.memtable_entries = 5000;
  options.compression = Compression::kNone;
  options.compaction_filter = &gates;
  options.compaction_workers = 1;              // the merge's pieces come one after another
  options.max_l0_sstables = 1;
  auto engine = MustOpen(options);
  REQUIRE(Put(*engine, "deep", "so that there is a level for the ingest").ok());
  REQUIRE(engine->Compact(std::nullopt, 2).ok());
  REQUIRE(Put(*engine, "held", "so that what is flushed has something to merge with").ok());
  REQUIRE(engine->Flush().ok());
  REQUIRE(engine->Compact(0, 1).ok());
  REQUIRE(engine->Stats().levels[1].entries == 1);
  WriteBundle(fs, "in", {{"x", {"ingested"}}});
  std::thread ingest([&] {
    const Result<IngestReport> report = engine->Ingest({"in", {}});
    CHECK(report);
    if (report) CHECK(report->level == 2);
  });
  gates.first.WaitUntilHeld(1);                // it has begun
  gates.others.Close();
  REQUIRE(Put(*engine, "a", "1").ok());
  REQUIRE(engine->Flush().ok());
  for (int i = 0; i < 2000; ++i) REQUIRE(Put(*engine, "m" + std::to_string(1000 + i), std::string(100, 'v')).ok());
  REQUIRE(Delete(*engine, "x").ok());
  REQUIRE(engine->Flush().ok());               // two tables more than the limit: L0 has a job of its own beside the ingest
  gates.others.WaitUntilHeld(1);               // in the first piece of L0's merge into L1
  gates.first.Open();
  ingest.join();
  gates.others.Open();
  while (engine->Stats().compactions_running > 0) std::this_thread::yield();
  CHECK(engine->Stats().subcompactions > 0);
  CHECK(Get(*engine, "x") == std::nullopt);
}

TEST_CASE("what is written after an ingest's moment wins, however deep it has sunk before the ingest finds a place", "[engine][ingest]") {
  const int sunk_keys = GENERATE(1, 30, 400);
  const bool with_older_data = GENERATE(false, true);
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  WriteBundle(fs, "in", NumberedEntries(0, 500, "ingested"));
  for (int i = 0; with_older_data && i < 500; i += 2) REQUIRE(Put(*engine, "key:" + std::to_string(1000 + i), "old").ok());
  std::map<std::string, std::string> expected;
  for (const auto& [key, entry] : NumberedEntries(0, 500, "ingested")) expected[key] = entry.value;
  int asked = 0;
  const auto place = [&](std::string_view prefix) -> Result<IngestPlace> {
    if (++asked == 2) {                        // its moment is fixed by now
      for (int i = 0; i < sunk_keys; ++i) {
        const std::string key = "key:" + std::to_string(1003 + i);
        REQUIRE((i % 3 == 0 ? Delete(*engine, key) : Put(*engine, key, "newer")).ok());
        if (i % 3 == 0) expected.erase(key);
        if (i % 3 != 0) expected[key] = "newer";
      }
      REQUIRE(engine->Compact().ok());
      REQUIRE(Put(*engine, "key:1000", "in L0").ok());
      expected["key:1000"] = "in L0";
      REQUIRE(engine->Flush().ok());
    }
    return IngestPlace{std::string(prefix), 0};
  };
  REQUIRE(engine->Ingest({"in", place}));
  CHECK(asked == 2);
  CHECK(Contents(*engine) == expected);
  REQUIRE(engine->Compact().ok());
  CHECK(Contents(*engine) == expected);
}

TEST_CASE("tables of L0 from before and after an ingest's moment are not merged while it is under way", "[engine][ingest]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.base_level_entries = 0;              // L0 goes by its count of tables alone,
  options.base_level_bytes = 1 << 20;
  options.max_sstable_bytes = 20'000;
  auto engine = MustOpen(options);
  for (int i = 0; i < 4000; ++i) REQUIRE(Put(*engine, "key:" + std::to_string(10'000 + i), "lies below " + std::to_string(i * 7919)).ok());
  REQUIRE(engine->Compact().ok());
  REQUIRE(engine->Stats().levels.at(1).entries == 4000);      // and is too little for this L1
  REQUIRE(Put(*engine, "key:10000", "old").ok());
  WriteBundle(fs, "in", {{"key:10000", {"ingested"}}});
  int asked = 0;
  const auto place = [&](std::string_view prefix) -> Result<IngestPlace> {
    if (++asked == 2) {                        // its moment is fixed by now
      for (const char* const key : {"key:10001", "key:13999"}) {
        REQUIRE(Put(*engine, key, "new").ok());
        REQUIRE(engine->Flush().ok());
      }
      while (engine->Stats().levels.at(0).sstables > 2) std::this_thread::yield();
      CHECK(engine->Stats().levels.at(0).sstables == 2);      // the two after it have become one; all three would have been cheaper
    }
    return IngestPlace{std::string(prefix), 0};
  };
  REQUIRE(engine->Ingest({"in", place}));
  CHECK(asked == 2);
  CHECK(engine->Stats().levels.at(1).entries >= 4000);        // L0 was merged within itself
  CHECK(Get(*engine, "key:10000") == "ingested");
  REQUIRE(engine->Compact().ok());
  CHECK(Get(*engine, "key:10000") == "ingested");
  CHECK(Contents(*engine).size() == 4000);
}

TEST_CASE("an ingest wins over what was there and loses to what comes", "[engine][ingest]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  auto engine = MustOpen(options);
  REQUIRE(Put(*engine, "key:1001", "old").ok());
  REQUIRE(Put(*engine, "other", "kept").ok());
  const auto before = engine->GetSnapshot();
  WriteBundle(fs, "in", NumberedEntries(0, 100, "new"));
  const Result<IngestReport> report = engine->Ingest({"in", nullptr});
  REQUIRE(report);
  CHECK(report->entries == 100);
  CHECK(report->sequence == 3);
  REQUIRE(Put(*engine, "key:1002", "later").ok());
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    CHECK(Get(*engine, "key:1001") == "new");
    CHECK(Get(*engine, "key:1002") == "later");
    CHECK(Get(*engine, "key:1099") == "new");
    CHECK(Get(*engine, "other") == "kept");
    CHECK(Contents(*engine).size() == 101);
    if (round == 0) {
      ReadOptions at;
      at.snapshot = before;
      CHECK(Contents(*engine, at) == std::map<std::string, std::string>{{"key:1001", "old"}, {"other", "kept"}});
      REQUIRE(engine->Compact().ok());
    } else if (round == 1) {
      engine.reset();
      engine = MustOpen(options);
    }
  }
  CHECK(engine->last_sequence() == 4);
}

TEST_CASE("an ingest alone in the log is recovered and gone on from", "[engine][ingest]") {
  FaultFileSystem fs;
  const Options options = TinyOptions(&fs);
  WriteBundle(fs, "in", NumberedEntries(0, 10, "new"));
  // Each opening leaves the number of an ingest as the log's last word, or its first.
  for (SequenceNumber i = 1; i <= 6; ++i) {
    CAPTURE(i);
    auto engine = MustOpen(options);
    const auto report = engine->Ingest({"in", nullptr});
    REQUIRE(report);
    CHECK(report->sequence == 2 * i - 1);
    if (i % 3 == 0) REQUIRE(engine->Flush().ok());
    REQUIRE(Put(*engine, "key:1001", std::to_string(i)).ok());
    if (i % 2 == 0) REQUIRE(engine->Flush().ok());
    CHECK(Get(*engine, "key:1001") == std::to_string(i));
  }
}

TEST_CASE("deadlines come in with an ingest, and what has expired stays away", "[engine][ingest]") {
  FaultFileSystem fs;
  WallClock clock;
  auto engine = MustOpen(TinyOptions(&fs, &clock));
  REQUIRE(Put(*engine, "gone", "old").ok());
  const std::uint64_t now = clock.WallMillis();
  WriteBundle(fs, "in", {{"gone", {"x", now - 1}}, {"soon", {"y", now + 1000}}, {"stays", {"z", 0}}});
  REQUIRE(engine->Ingest({"in", nullptr}));
  CHECK(Contents(*engine) == std::map<std::string, std::string>{{"soon", "y"}, {"stays", "z"}});
  const auto soon = engine->Get("soon");
  REQUIRE(soon);
  CHECK((*soon)->expire_at_ms() == now + 1000);
  clock.Advance(1001);
  CHECK(Contents(*engine) == std::map<std::string, std::string>{{"stays", "z"}});
}

TEST_CASE("the prefix is changed, and asked for anew until its meaning stood still", "[engine][ingest]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  WriteBundle(fs, "in", {{"p:a", {"1", 0}}, {"p:b", {"2", 0}}}, "p:");
  std::uint64_t asked = 0;
  IngestRequest request{"in", [&](std::string_view prefix) -> Result<IngestPlace> {
                          CHECK(prefix == "p:");
                          ++asked;
                          return asked <= 3 ? IngestPlace{"old:", asked} : IngestPlace{"new:", 9};
                        }};
  REQUIRE(engine->Ingest(request));
  CHECK(asked == 6);        // 1 2, 3 9, 9 9
  CHECK(Contents(*engine) == std::map<std::string, std::string>{{"new:a", "1"}, {"new:b", "2"}});
  request.place = [&](std::string_view) -> Result<IngestPlace> { return IngestPlace{"x", ++asked}; };
  CHECK(engine->Ingest(request).error().code() == StatusCode::kBusy);
  request.place = [](std::string_view) -> Result<IngestPlace> { return Status::InvalidArgument("no such place"); };
  CHECK(engine->Ingest(request).error().code() == StatusCode::kInvalidArgument);
  CHECK(Contents(*engine).size() == 2);
}

TEST_CASE("a hundred small ingests over each other leave L0 small", "[engine][ingest]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.base_level_entries = 10'000;
  auto engine = MustOpen(options);
  for (int i = 0; i < 100; ++i) {
    const std::string dir = "in" + std::to_string(i);
    WriteBundle(fs, dir, NumberedEntries(i, i + 30, std::to_string(i)));
    REQUIRE(engine->Ingest({dir, nullptr}));
    REQUIRE(engine->Stats().levels[0].sstables <= options.l0_slowdown_sstables);
    REQUIRE(Get(*engine, "key:" + std::to_string(1000 + i)) == std::to_string(i));
  }
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 100; ++i)
    for (const auto& [key, entry] : NumberedEntries(i, i + 30, std::to_string(i))) expected[key] = entry.value;
  CHECK(Contents(*engine) == expected);
  CHECK(engine->Stats().ingests == 100);
}

TEST_CASE("a large ingest goes past the levels that are too small for it", "[engine][ingest]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);      // L1 300 entries, L2 900, L3 2700
  auto engine = MustOpen(options);
  for (int i = 0; i < 200; i += 3) REQUIRE(Put(*engine, "key:" + std::to_string(1000 + i), "old").ok());
  REQUIRE(engine->Compact().ok());
  WriteBundle(fs, "in", NumberedEntries(0, 2000, "new"));
  const auto report = engine->Ingest({"in", nullptr});
  REQUIRE(report);
  CHECK(report->level == 3);
  CHECK(report->merged_bytes > 0);
  const EngineStats stats = engine->Stats();
  CHECK(stats.levels[3].entries == 2000);
  CHECK(stats.levels[3].sstables > 10);
  CHECK_FALSE(stats.writes_slowed);
  CHECK(Contents(*engine).size() == 2000);
}

TEST_CASE("a damaged bundle is refused by file and offset and leaves no trace", "[engine][ingest]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  REQUIRE(Put(*engine, "key:1001", "old").ok());
  REQUIRE(engine->Flush().ok());
  WriteBundle(fs, "in", NumberedEntries(0, 200, "new"));
  REQUIRE(fs.FlipBit("in/table_000002.sst", 800).ok());
  const auto files = TableFiles(fs);
  for (int round = 0; round < 2; ++round) {
    const auto report = engine->Ingest({"in", nullptr});
    REQUIRE_FALSE(report);
    CHECK(report.error().code() == StatusCode::kCorruption);
    CHECK(report.error().message().find("in/table_000002.sst: offset") != std::string::npos);
  }
  CHECK(TableFiles(fs) == files);
  CHECK(Contents(*engine) == std::map<std::string, std::string>{{"key:1001", "old"}});
  CHECK(engine->Ingest({"nowhere", nullptr}).error().code() == StatusCode::kNotFound);
  REQUIRE(fs.FlipBit("in/table_000002.sst", 800).ok());
  REQUIRE(engine->Ingest({"in", nullptr}));
  CHECK(Contents(*engine).size() == 200);
}

// ---- crashes

namespace {

struct IngestScript {
  bool started = false;
  bool returned = false;       // and said that it had gone well
};

/// Old values everywhere, an ingest over some of them, new ones over some of the ingest's.
void RunIngestScript(Engine& engine, FaultFileSystem& fs, IngestScript* script) {
  for (int i = 0; i < 60; ++i)
    if (!Put(engine, "key:" + std::to_string(1000 + i * 3), "old").ok()) return;
  if (!engine.Sync().ok()) return;
  script->started = true;
  std::atomic<bool> ended{false};
  // A manifest that cannot be written is tried for ever; the end of the engine is what lets go.
  std::thread closer([&] {
    while (!ended && fs.fired() == 0) std::this_thread::yield();
    if (!ended) engine.PrepareToClose();
  });
  script->returned = engine.Ingest({"in", nullptr}).has_value();
  ended = true;
  closer.join();
  if (!script->returned) return;
  for (int i = 0; i < 10; ++i)
    if (!Put(engine, "key:" + std::to_string(1000 + i * 3), "later").ok()) return;
}

/// Nothing of the ingest, or all of it.
void CheckIngestScript(Engine& engine, const IngestScript& script) {
  const auto contents = Contents(engine);
  const bool there = contents.contains("key:1199");
  if (script.returned) REQUIRE(there);
  if (!script.started) REQUIRE_FALSE(there);
  for (int i = 0; i < 200; ++i) {
    CAPTURE(i);
    const auto found = contents.find("key:" + std::to_string(1000 + i));
    if (there) {
      REQUIRE(found != contents.end());
      REQUIRE((found->second == "new" || (i < 30 && i % 3 == 0 && found->second == "later")));
    } else if (script.started) {
      REQUIRE((found != contents.end()) == (i < 180 && i % 3 == 0));
      if (found != contents.end()) REQUIRE(found->second == "old");
    }
  }
}

}  // namespace

TEST_CASE("a power cut at any call of an ingest leaves all of it or nothing", "[engine][ingest][crash]") {
  const auto mode = GENERATE(CutMode::kLost, CutMode::kKept, CutMode::kTorn512, CutMode::kOutOfOrder);
  bool finished = false;
  for (std::uint64_t call = 1; !finished; call += Seeds(3, 1)) {
    CAPTURE(call, static_cast<int>(mode));
    FaultFileSystem fs;
    Options options = TinyOptions(&fs);
    options.wal_fsync = static_cast<WalFsync>(call % 3);
    WriteBundle(fs, "in", NumberedEntries(0, 200, "new"));
    IngestScript script;
    {
      auto engine = MustOpen(options);
      fs.FailCall(call, Fault::kWriteError, FaultSpan::kFromThenOn);
      RunIngestScript(*engine, fs, &script);
      finished = fs.fired() == 0;
      CutPower(fs, call, mode);
    }
    fs.ClearFaults();
    for (int round = 0; round < 2; ++round) {
      CAPTURE(round);
      auto engine = MustOpen(options);
      CheckIngestScript(*engine, script);
      REQUIRE(Put(*engine, "after", "crash").ok());
      if (round == 0) REQUIRE(engine->Compact().ok());
      CheckIngestScript(*engine, script);
    }
  }
}

TEST_CASE("one failing call anywhere in an ingest: it happened or it left no trace", "[engine][ingest][fault]") {
  const auto fault = GENERATE(Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite, Fault::kFailedRename);
  bool finished = false;
  for (std::uint64_t call = 1; !finished; call += Seeds(4, 1)) {
    CAPTURE(call, static_cast<int>(fault));
    FaultFileSystem fs;
    const Options options = TinyOptions(&fs);
    WriteBundle(fs, "in", NumberedEntries(0, 200, "new"));
    {
      auto engine = MustOpen(options);
      for (int i = 0; i < 60; ++i) REQUIRE(Put(*engine, "key:" + std::to_string(1000 + i * 3), "old").ok());
      REQUIRE(engine->Sync().ok());
      fs.FailCall(call, fault);
      IngestScript script{true, engine->Ingest({"in", nullptr}).has_value()};
      finished = fs.fired() == 0;
      fs.ClearFaults();
      const auto contents = Contents(*engine);
      REQUIRE(contents.contains("key:1199") == script.returned);
      CheckIngestScript(*engine, script);
      if (!script.returned && engine->WriteHealth().ok()) {
        const auto again = engine->Ingest({"in", nullptr});
        if (again) REQUIRE(Contents(*engine).size() == 200);
      }
    }
    auto engine = MustOpen(options);
    REQUIRE(Contents(*engine).size() >= 60);
  }
}

// ---- threads

TEST_CASE("readers see an ingest whole, and writers around it are neither lost nor overtaken", "[engine][ingest][threads]") {
  constexpr int kIngests = 12;
  constexpr int kKeys = 60;
  const std::uint64_t base_level_entries = GENERATE(10u, 30u, 400u);      // merged deep, merged into L1, into L0
  CAPTURE(base_level_entries);
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.base_level_entries = base_level_entries;
  auto engine = MustOpen(options);
  for (int i = 0; i < kIngests; ++i) WriteBundle(fs, "in" + std::to_string(i), NumberedEntries(0, kKeys, "i" + std::to_string(i)));
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::atomic<int> torn{0};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      for (int i = 0; !stop; ++i) {
        // Between the ingested keys, so that tables overlap; and one key of its own that says how far it is.
        const std::string own = "key:" + std::to_string(1000 + i % kKeys) + "w" + std::to_string(writer);
        if (!Put(*engine, own, std::to_string(i)).ok() || Get(*engine, own) != std::to_string(i)) ++failures;
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) {
      ReadOptions at;
      at.snapshot = engine->GetSnapshot();
      std::string seen;
      for (const auto& [key, value] : Contents(*engine, at)) {
        if (key.find('w') != std::string::npos) continue;
        if (seen.empty()) seen = value;
        if (value != seen) ++torn;
      }
    }
  });
  for (int i = 0; i < kIngests; ++i) {
    const std::string key = "key:" + std::to_string(1000 + i);
    if (!Put(*engine, key, i == 0 ? "i0" : "i" + std::to_string(i - 1)).ok()) ++failures;   // as the others are
    if (!engine->Ingest({"in" + std::to_string(i), nullptr})) ++failures;
    if (Get(*engine, key) != "i" + std::to_string(i)) ++failures;
    }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(torn == 0);
  for (int i = 0; i < kKeys; ++i) CHECK(Get(*engine, "key:" + std::to_string(1000 + i)) == "i" + std::to_string(kIngests - 1));
}
