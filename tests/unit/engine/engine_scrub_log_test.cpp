// Scrub and the write-ahead log: damage in it is found while all that it holds is in memory still, and is flushed from there.
#include "engine_fixture.h"

#include <algorithm>
#include <functional>
#include <thread>

#include "engine/wal/aside_file.h"
#include "engine/wal/log_format.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

using Tree = std::map<std::string, std::string>;

/// Nothing is flushed by itself.
Options RoomyOptions(FaultFileSystem* fs) {
  Options options = TinyOptions(fs);
  options.memtable_entries = 1'000'000;
  options.memtable_bytes = 64 << 20;
  return options;
}

std::vector<std::string> LogFiles(FileSystem& fs, bool aside) {
  std::vector<std::string> paths;
  for (const std::string& name : fs.ListDirectory("db/wal").value_or(std::vector<std::string>())) {
    const bool wanted = aside ? ParseAsideFileName(name).has_value() : ParseSegmentFileName(name).has_value();
    const std::string path = "db/wal/" + name;
    if (wanted && fs.FileSize(path).value_or(0) > 0) paths.push_back(path);
  }
  return paths;
}

void PutLarge(Engine& engine, Tree* tree, const std::string& key) {
  const std::string value(5 << 20, key.back());
  WriteBatch batch;
  batch.Put(key, value);
  REQUIRE(engine.WriteLarge(std::move(batch)).status().ok());
  (*tree)[key] = value;
}

void PutSome(Engine& engine, Tree* tree, const std::string& prefix) {
  for (int i = 0; i < 20; ++i) {
    const std::string key = prefix + std::to_string(i);
    REQUIRE(Put(engine, key, "value of " + key).ok());
    (*tree)[key] = "value of " + key;
    if (i % 5 == 0) REQUIRE(engine.Sync().ok());
  }
  REQUIRE(engine.Sync().ok());
}

/// Two closed segments, of processes before this one, and an open one; a large batch is named in a closed one and in the open one.
std::unique_ptr<Engine> EngineWithLog(const Options& options, Tree* tree) {
  for (const std::string prefix : {"first:", "second:"}) {
    auto engine = MustOpen(options);
    PutSome(*engine, tree, prefix);
    if (prefix == "second:") PutLarge(*engine, tree, "large:a");
    REQUIRE(engine->Sync().ok());
  }
  auto engine = MustOpen(options);
  PutSome(*engine, tree, "third:");
  PutLarge(*engine, tree, "large:b");
  PutSome(*engine, tree, "fourth:");
  return engine;
}

ScrubReport MustScrub(Engine& engine) {
  Result<ScrubReport> report = engine.Scrub();
  if (!report) FAIL(report.error().message());
  return *std::move(report);
}

}  // namespace

TEST_CASE("a scrub of a whole log reads all of it and finds nothing", "[engine][scrub]") {
  FaultFileSystem fs;
  Tree tree;
  auto engine = EngineWithLog(RoomyOptions(&fs), &tree);
  const ScrubReport report = MustScrub(*engine);
  CHECK(report.damage == 0);
  CHECK(report.log_segments == 3);
  CHECK(report.aside_files == 2);
  CHECK(report.log_records == tree.size());      // each one was a batch
  std::uint64_t bytes = 0;
  for (const bool aside : {false, true})
    for (const std::string& path : LogFiles(fs, aside)) bytes += fs.FileSize(path).value_or(0);
  CHECK(report.bytes >= bytes - 100);            // but for a last marker
  CHECK(engine->Stats().flushes == 0);
  CHECK(Contents(*engine) == tree);
}

TEST_CASE("damage in the log is found by a scrub before a start, which then loses nothing", "[engine][scrub]") {
  struct Case {
    const char* what;
    bool aside;
    std::size_t file;                             // of LogFiles()
    std::function<Status(FaultFileSystem&, const std::string&)> damage;
    std::string told = {};                        // the file that is named, if it is another one
  };
  const auto flip = [](std::uint64_t byte) {
    return [byte](FaultFileSystem& fs, const std::string& path) { return fs.FlipBit(path, 8 * byte + 2); };
  };
  const auto cut = [](FaultFileSystem& fs, const std::string& path) { return fs.Truncate(path, fs.FileSize(path).value_or(0) / 2); };
  const auto remove = [](FaultFileSystem& fs, const std::string& path) { return fs.RemoveFile(path); };
  const std::vector<Case> cases = {
      {"the head of a closed segment", false, 0, flip(5)},
      {"a record of a closed segment", false, 1, flip(kLogHeadBytes + 30)},
      {"a record of the open segment", false, 2, flip(kLogHeadBytes + 30)},
      {"a length in the open segment", false, 2, flip(kLogHeadBytes + 1)},
      {"a closed segment is cut short", false, 0, cut},
      {"a closed segment is gone", false, 1, remove, "db/wal/wal_000001.log"},
      {"the open segment is cut short", false, 2, cut},
      {"a batch beside a closed segment", true, 0, flip(4'000'000)},
      {"a batch beside the open segment", true, 1, flip(100)},
      {"a batch beside the open segment is cut short", true, 1, cut},
      {"a batch beside the log is gone", true, 0, remove},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    FaultFileSystem fs;
    Tree tree;
    const Options options = RoomyOptions(&fs);
    auto engine = EngineWithLog(options, &tree);
    const std::vector<std::string> files = LogFiles(fs, c.aside);
    REQUIRE(files.size() == (c.aside ? 2 : 3));
    const std::string path = files[c.file];
    REQUIRE(c.damage(fs, path).ok());

    const ScrubReport report = MustScrub(*engine);
    CHECK(report.damage == 1);
    REQUIRE(!report.messages.empty());
    CAPTURE(report.messages[0]);
    CHECK(report.messages[0].starts_with((c.told.empty() ? path : c.told) + ": "));
    CHECK(report.messages[0].find("offset ") != std::string::npos);
    CHECK(report.messages[0].find("Nothing is lost") != std::string::npos);
    CHECK(engine->Stats().scrub_damage == 1);
    CHECK(engine->Stats().flushes >= 1);

    CHECK(MustScrub(*engine).damage == 0);
    CHECK(engine->Stats().scrub_damage == 0);
    CHECK(Contents(*engine) == tree);
    engine.reset();
    CHECK(Contents(*MustOpen(options)) == tree);
  }
}

TEST_CASE("where a damaged log cannot be flushed, a scrub says what to do", "[engine][scrub]") {
  FaultFileSystem fs;
  Tree tree;
  auto engine = EngineWithLog(RoomyOptions(&fs), &tree);
  REQUIRE(fs.FlipBit(LogFiles(fs, false).at(0), 8 * 100).ok());
  fs.FailSyncs("db/sst");
  const ScrubReport report = MustScrub(*engine);
  REQUIRE(report.messages.size() == 1);
  CHECK(report.messages[0].find("is in memory still") != std::string::npos);
  CHECK(report.messages[0].find("LSM FLUSH") != std::string::npos);
  CHECK(Contents(*engine) == tree);
}

TEST_CASE("of the open segment a scrub asks for nothing that is not known to be durable", "[engine][scrub]") {
  FaultFileSystem fs;
  Options options = RoomyOptions(&fs);
  options.wal_fsync = WalFsync::kNo;
  Tree tree;
  auto engine = MustOpen(options);
  PutSome(*engine, &tree, "synced:");
  const std::string path = LogFiles(fs, false).at(0);
  const std::uint64_t synced_bytes = fs.FileSize(path).value_or(0);
  for (int i = 0; i < 20; ++i) REQUIRE(Put(*engine, "unsynced:" + std::to_string(i), "v").ok());
  REQUIRE(engine->Commit().status().ok());
  REQUIRE(fs.FileSize(path).value_or(0) > synced_bytes + 200);
  REQUIRE(fs.FlipBit(path, 8 * (synced_bytes + 150)).ok());
  CHECK(MustScrub(*engine).damage == 0);
  REQUIRE(engine->Sync().ok());
  CHECK(MustScrub(*engine).damage == 1);
}

TEST_CASE("a scrub finds nothing in a log whose segments are rotated, retired and written over meanwhile", "[engine][scrub][threads]") {
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  options.memtable_entries = 0;
  options.memtable_bytes = 40'000;               // so that segments are recycled
  options.wal_fsync = GENERATE(WalFsync::kEverySec, WalFsync::kAlways, WalFsync::kNo);
  CAPTURE(static_cast<int>(options.wal_fsync));
  auto engine = MustOpen(options);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (const std::string prefix : {"a:", "b:"}) {
    threads.emplace_back([&, prefix] {
      for (int i = 0; !stop.load(); ++i) {
        if (!Put(*engine, prefix + std::to_string(i % 100), std::string(300, 'v')).ok()) return;
        if (i % 3 == 0) IgnoreError(engine->Commit().status(), "a full disk would be told elsewhere");
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop.load()) IgnoreError(engine->Sync(), "beside them");
  });
  std::uint64_t damage = 0, records = 0, scrubs = 0;
  std::string first;
  while (scrubs < 100 || engine->Stats().wal_recycled_segments < 10 || records < 100) {
    const Result<ScrubReport> report = engine->Scrub();
    if (!report) break;
    ++scrubs;
    damage += report->damage;
    records += report->log_records;
    if (!report->messages.empty()) first = report->messages[0];
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(scrubs >= 100);
  CHECK(damage == 0);
  CHECK(first == "");
}
