// What operators see of the upkeep: history, reload, compactions that wait for room.
#include "engine_fixture.h"

#include <nlohmann/json.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "engine/manifest/manifest_store.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

/// Nothing is compacted unless asked for.
Options QuietOptions(FaultFileSystem* fs) {
  Options options = TinyOptions(fs);
  options.base_level_entries = 1'000'000;
  options.max_l0_sstables = 1000;
  options.l0_slowdown_sstables = 2000;
  options.l0_stop_sstables = 3000;
  return options;
}

std::unique_ptr<Engine> EngineWithLevels(const Options& options, int keys) {
  auto engine = MustOpen(options);
  for (int i = 0; i < keys; ++i) REQUIRE(Put(*engine, "k" + std::to_string(10'000 + i), "deep").ok());
  REQUIRE(engine->Compact(std::nullopt, 2).ok());
  return engine;
}

/// The manifests as another program would change them.
void ChangeManifests(FaultFileSystem& fs, const std::function<VersionEdit(const Manifests&)>& change) {
  ManifestStore store(fs, "db", Clock::System());
  REQUIRE(store.Recover());
  VersionEdit edit = change(store.manifests());
  for (TableRecord& record : edit.added) record.replaces.clear();   // about the commit that made it
  CHECK(store.Commit(edit).message() == "");
}

}  // namespace

TEST_CASE("the history tells each event with its tables, and outlives a restart", "[engine][history]") {
  FaultFileSystem fs;
  const Options options = QuietOptions(&fs);
  std::vector<std::string> before;
  {
    auto engine = EngineWithLevels(options, 200);
    const std::vector<std::string> events = engine->History(100);
    REQUIRE(events.size() >= 2);
    const auto last = nlohmann::json::parse(events.back());
    CHECK(last["kind"] == "merge");
    CHECK(last["out"]["level"] == 2);
    CHECK(last["out"]["entries"] == 200);
    CHECK(last["out"]["count"] == engine->Stats().levels[2].sstables);
    CHECK(last["in"][0]["level"] == 0);
    CHECK(last["in"][0]["bytes"] > 0);
    const auto first = nlohmann::json::parse(events.front());
    CHECK(first["kind"] == "flush");
    CHECK(first["out"]["count"] == 1);
    CHECK(engine->History(1) == std::vector<std::string>{events.back()});
    CHECK(engine->History(0).empty());
    before = events;
  }
  REQUIRE(fs.Mutate("db/history.jsonl", [](std::string& bytes) { bytes += "{\"at\":\"cut o"; }).ok());
  auto engine = MustOpen(options);
  std::vector<std::string> after = engine->History(1000);
  after.resize(std::min(after.size(), before.size()));
  CHECK(after == before);
  REQUIRE(Put(*engine, "x", "y").ok());
  REQUIRE(engine->Flush().ok());
  CHECK(nlohmann::json::parse(engine->History(1).at(0))["kind"] == "flush");
}

TEST_CASE("a history that cannot be written harms nothing", "[engine][history]") {
  FaultFileSystem fs;
  auto engine = MustOpen(QuietOptions(&fs));
  REQUIRE(fs.CreateDirectories("db/history.jsonl.tmp").ok());
  REQUIRE(Put(*engine, "x", "y").ok());
  REQUIRE(engine->Flush().ok());
  CHECK(engine->History(10).size() == 1);
}

TEST_CASE("a reload shows manifests that were changed from outside, and goes on from them", "[engine][reload]") {
  FaultFileSystem fs;
  Options options = QuietOptions(&fs);
  options.block_cache_bytes = 1 << 20;
  options.row_cache_percent = 80;
  auto engine = EngineWithLevels(options, 300);
  CHECK(*engine->Reload() == "0 tables added, 0 removed");
  const auto held = engine->NewIterator();
  const auto tables = engine->Stats().levels[2].sstables;
  REQUIRE(tables >= 2);
  std::uint64_t lost = 0;
  ChangeManifests(fs, [&](const Manifests& manifests) {     // the first table moves to L3, the last one goes
    const std::vector<TableRecord>& records = manifests.at(2).sstables;
    VersionEdit edit;
    edit.target_level = 3;
    edit.added.push_back(records.front());
    edit.removed = {{2, records.front().id}, {2, records.back().id}};
    lost = records.back().entries;
    return edit;
  });
  const std::map<std::string, std::string> before = Contents(*engine);
  CHECK(before.size() == 300);
  const auto found_one_by_one = [&] {
    return static_cast<std::uint64_t>(std::ranges::count_if(before, [&](const auto& entry) { return Get(*engine, entry.first).has_value(); }));
  };
  CHECK(found_one_by_one() == 300);                         // and most are in the row cache now
  CHECK(engine->Stats().row_cache_rows > 0);
  CHECK(*engine->Reload() == "1 tables added, 2 removed");
  CHECK(engine->Stats().levels[3].sstables == 1);
  CHECK(engine->Stats().levels[2].sstables == tables - 2);
  CHECK(Contents(*engine).size() == 300 - lost);
  CHECK(found_one_by_one() == 300 - lost);
  std::size_t seen = 0;
  for (held->SeekToFirst(); held->Valid(); held->Next()) ++seen;
  CHECK(seen == 300);                                       // what was open before sees its own view
  REQUIRE(Put(*engine, "after", "reload").ok());
  REQUIRE(engine->Compact().ok());
  CHECK(nlohmann::json::parse(engine->History(3).at(0))["kind"] == "reload");
  engine = nullptr;
  CHECK(Contents(*MustOpen(options)).size() == 300 - lost + 1);
}

TEST_CASE("a reload of anything wrong is refused by name, and the present tree stays", "[engine][reload]") {
  FaultFileSystem fs;
  const Options options = QuietOptions(&fs);
  auto engine = EngineWithLevels(options, 300);
  const std::string path = "db/manifest_l2.json";
  const std::string good = *fs.ReadWholeFile(path);
  const auto refused = [&](const std::string& what) {
    const Result<std::string> answer = engine->Reload();
    REQUIRE_FALSE(answer);
    CAPTURE(answer.error().message());
    CHECK(answer.error().message().find(what) != std::string::npos);
    CHECK(Contents(*engine).size() == 300);
    REQUIRE(fs.Mutate(path, [&](std::string& bytes) { bytes = good; }).ok());
  };
  SECTION("a damaged manifest") {
    REQUIRE(fs.Mutate(path, [](std::string& bytes) { bytes[bytes.size() / 2] ^= 1; }).ok());
    refused("manifest_l2.json");
  }
  SECTION("a table that is missing") {
    const std::string file = DecodeManifest(good, "m")->sstables[0].file;
    const std::string saved = *fs.ReadWholeFile("db/" + file);
    REQUIRE(fs.RemoveFile("db/" + file).ok());
    REQUIRE_FALSE(engine->Reload());
    const auto again = fs.NewWritableFile("db/" + file);
    REQUIRE((*again)->Append(saved).ok());
  }
  SECTION("a table that says something else than its manifest") {
    ChangeManifests(fs, [&fs](const Manifests& manifests) {
      VersionEdit edit;
      TableRecord record = manifests.at(2).sstables.front();
      edit.target_level = 2;
      edit.removed = {{2, record.id}};
      record.entries += 1;
      record.id += 1000;
      REQUIRE(fs.Link("db/" + record.file, "db/" + TableRecordFile(record.id)).ok());
      record.file = TableRecordFile(record.id);
      edit.added = {record};
      return edit;
    });
    refused("is another table than its manifest describes");
  }
  REQUIRE(engine->Reload());
  REQUIRE(Put(*engine, "after", "reload").ok());
  REQUIRE(engine->Compact().ok());
  CHECK(Contents(*engine).size() == 301);
}

TEST_CASE("reloads beside writers, flushes and compactions lose nothing", "[engine][reload][threads]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  std::atomic<bool> stop{false};
  std::thread reloader([&] {
    while (!stop) REQUIRE(engine->Reload());
  });
  for (int i = 0; i < 3000; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i % 700), std::to_string(i)).ok());
  REQUIRE(engine->Compact().ok());
  stop = true;
  reloader.join();
  CHECK(Contents(*engine).size() == 700);
  CHECK(Get(*engine, "k5") == std::to_string(2805));
}

TEST_CASE("while manifests cannot be written, who asks for a reload or a compaction is told so, and both work again after it", "[engine][reload]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  fs.FailCall(1, Fault::kFailedRename, FaultSpan::kFromThenOn);
  REQUIRE(Put(*engine, "x", "y").ok());
  CHECK_FALSE(engine->Flush().ok());
  CHECK_FALSE(engine->Reload());
  CHECK_FALSE(engine->Compact().ok());
  fs.ClearFaults();
  while (!engine->Reload()) std::this_thread::yield();     // until the manifest has been tried again
  CHECK(engine->Compact().ok());
  CHECK(Get(*engine, "x") == "y");
}

TEST_CASE("a compaction that the disk cannot hold waits, says so, and runs when there is room", "[engine][space]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.memtable_entries = 50;
  options.wal_fsync = WalFsync::kNo;
  options.compression = Compression::kNone;
  auto engine = MustOpen(options);
  for (int i = 0; i < 600; ++i) REQUIRE(Put(*engine, "k" + std::to_string(i), std::string(200, 'x')).ok());
  REQUIRE(engine->Compact(std::nullopt, 2).ok());
  engine->ReleaseThreadView();
  while (fs.ListDirectory("db/sst")->size() != engine->Stats().levels[2].sstables) std::this_thread::yield();
  std::uint64_t used = 0;
  for (const char* dir : {"db/sst", "db/wal"}) {
    const std::vector<std::string> names = *fs.ListDirectory(dir);
    for (const std::string& name : names) used += *fs.FileSize(std::string(dir) + "/" + name);
  }
  fs.SetCapacity(used + 20'000);      // room for flushes and manifests, not for a copy of everything
  const Status refused = engine->Compact(std::nullopt, 1);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.code() == StatusCode::kNoSpace);
  CHECK(refused.message().find("waits for room") != std::string::npos);
  CHECK(Contents(*engine).size() == 600);
  fs.SetCapacity(1 << 30);
  CHECK(engine->Compact(std::nullopt, 1).ok());
}

namespace {

/// What is logged while it lives. To be made before the engine, whose threads log.
class LogLines {
 public:
  LogLines() { spdlog::default_logger()->sinks().push_back(sink_); }
  ~LogLines() { std::erase(spdlog::default_logger()->sinks(), sink_); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
  std::string text() const { return text_.str(); }      // once nobody logs any more

 private:
  std::ostringstream text_;
  spdlog::sink_ptr sink_ = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
};

class DeadWhenTold final : public CompactionFilter {
 public:
  bool IsDead(std::string_view) const override { return dead_; }
  bool IsRangeDead(std::string_view, std::string_view) const override { return dead_; }
  std::atomic<bool> dead_{false};
};

}  // namespace

TEST_CASE("a compaction that waits for room is in the figures until it runs, or is not wanted any more", "[engine][space]") {
  const LogLines log;
  FaultFileSystem fs;
  fs.SetCapacity(1 << 30);
  DeadWhenTold filter;
  Options options = QuietOptions(&fs);
  options.compaction_filter = &filter;
  options.wal_fsync = WalFsync::kNo;
  options.compression = Compression::kNone;
  options.max_l0_sstables = 10;
  options.soft_limit_ratio = 1;
  options.min_blob_bytes = 0;
  auto engine = MustOpen(options);
  const auto flush_one = [&](std::size_t bytes) {
    REQUIRE(Put(*engine, "a", "x").ok());
    REQUIRE(Put(*engine, "m", std::string(bytes, 'x')).ok());
    REQUIRE(Put(*engine, "z", "x").ok());
    REQUIRE(engine->Flush().ok());
  };
  for (int i = 0; i < 9; ++i) flush_one(100'000);
  engine.reset();
  engine = MustOpen(options);                               // removes the log of what was flushed
  fs.SetCapacity(*fs.TotalBytes("db") - *fs.FreeBytes("db") + 100'000);   // of 900,000, and 200,000 for one table; a file or two of the log may go yet
  flush_one(100);
  while (engine->Stats().compaction_bytes_wanted == 0) std::this_thread::yield();
  CHECK(engine->Stats().compaction_bytes_wanted > 900'000);
  CHECK(engine->Stats().compactions == 0);
  CHECK(engine->Stats().levels[0].sstables == 9);      // the oldest has moved: it lay over nothing
  bool has_run = false;
  SECTION("there is room") {
    fs.SetCapacity(1 << 30);
    has_run = true;
  }
  SECTION("its tables are dropped") {
    filter.dead_ = true;
    engine->ReclaimDeadRanges();
  }
  while (engine->Stats().compaction_bytes_wanted > 0 || engine->Stats().levels[0].sstables > 0) std::this_thread::yield();
  CHECK(engine->Stats().compactions == (has_run ? 1 : 0));
  engine.reset();
  CHECK(log.text().find("no compaction, will be tried again: db: a compaction of 90") != std::string::npos);
  CHECK(log.text().find(has_run ? "compactions succeed again" : "needs it no more") != std::string::npos);
}

TEST_CASE("writers are slowed before the memtables are full, and free again when flushes have caught up", "[engine][admission]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  auto engine = MustOpen(options);
  REQUIRE(Put(*engine, "a", "1").ok());
  REQUIRE(engine->Flush().ok());
  CHECK_FALSE(engine->Stats().writes_slowed);
  CHECK(engine->Stats().write_debt == 0);
  CHECK(engine->Stats().write_limit_bytes == 0);
  fs.FailSyncs("db/sst");
  for (int i = 0; engine->Stats().immutable_memtables < options.max_immutable_memtables; ++i) {
    while (!Put(*engine, "k" + std::to_string(i), "1").ok()) std::this_thread::yield();    // the next segment of the log is being made
  }
  while (!engine->Stats().writes_slowed) std::this_thread::yield();
  CHECK(engine->Stats().write_debt > 0);
  CHECK(engine->Stats().write_limit_bytes > 0);
  CHECK(Put(*engine, "b", "2").ok());        // slowed, not stopped: the active memtable has room
  fs.ClearFaults();
  while (engine->Stats().writes_slowed || engine->Stats().immutable_memtables > 0) std::this_thread::yield();
  CHECK(Get(*engine, "b") == "2");
}
