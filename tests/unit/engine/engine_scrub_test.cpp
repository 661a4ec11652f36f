// Scrub: damage is found before a reader meets it, nothing is found where nothing is, and it stands in nobody's way.
#include "engine_fixture.h"

#include <algorithm>
#include <thread>

#include "engine/manifest/manifest.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

std::string KeyOf(int i) { return "key:" + std::to_string(1000 + i); }
std::string ValueOf(int i) { return KeyOf(i) + std::string(i % 3 == 0 ? 200 : 20, 'v'); }

/// Three levels and blob files.
Options ScrubOptions(FaultFileSystem* fs, Clock* clock = nullptr) {
  Options options = TinyOptions(fs, clock);
  options.min_blob_bytes = 100;
  return options;
}

std::unique_ptr<Engine> FilledEngine(const Options& options, int keys) {
  FileSystem& fs = *options.file_system;
  auto engine = MustOpen(options);
  for (int i = 0; i < keys; ++i) REQUIRE(Put(*engine, KeyOf(i), ValueOf(i)).ok());
  REQUIRE(engine->Compact().ok());
  WaitForObsoleteFiles(*engine, fs);
  return engine;
}

std::vector<std::string> Files(FaultFileSystem& fs, const std::string& folder) {
  const auto names = fs.ListDirectory(folder);
  REQUIRE(names);
  std::vector<std::string> paths;
  for (const std::string& name : *names) paths.push_back(folder + "/" + name);
  return paths;
}

ScrubReport MustScrub(Engine& engine) {
  Result<ScrubReport> report = engine.Scrub();
  if (!report) FAIL(report.error().message());
  return *std::move(report);
}

/// All but the newest manifests are there as `.prev`, which nobody reads.
std::vector<std::string> Manifests(FaultFileSystem& fs) {
  std::vector<std::string> paths;
  for (const std::string& path : Files(fs, "db")) {
    if (ParseManifestFileName(path.substr(3))) paths.push_back(path);
  }
  return paths;
}

}  // namespace

TEST_CASE("a scrub of a whole tree reads all of it and finds nothing", "[engine][scrub]") {
  FaultFileSystem fs;
  auto engine = FilledEngine(ScrubOptions(&fs), 300);
  const ScrubReport report = MustScrub(*engine);
  CHECK(report.damage == 0);
  CHECK(report.messages.empty());
  CHECK(report.entries == 300);
  CHECK(report.tables == Files(fs, "db/sst").size());
  CHECK(report.blob_files == Files(fs, "db/blob").size());
  std::uint64_t bytes = 0;
  for (const char* folder : {"db/sst", "db/blob"}) {
    for (const std::string& path : Files(fs, folder)) bytes += fs.FileSize(path).value_or(0);
  }
  CHECK(report.bytes >= bytes);
  const EngineStats stats = engine->Stats();
  CHECK(stats.scrubs == 1);
  CHECK(stats.scrub_bytes == report.bytes);
  CHECK(stats.scrub_damage == 0);
  CHECK(stats.last_scrub_ms > 0);
  CHECK_FALSE(stats.scrub_running);
}

TEST_CASE("a scrub finds damage that no reader has met, and names file and offset", "[engine][scrub]") {
  FaultFileSystem fs;
  auto engine = FilledEngine(ScrubOptions(&fs), 300);
  CHECK(Contents(*engine).size() == 300);   // caches hold all of it: a scrub must not ask them
  std::vector<std::string> files = Files(fs, "db/sst");
  std::ranges::copy(Files(fs, "db/blob"), std::back_inserter(files));
  std::ranges::copy(Manifests(fs), std::back_inserter(files));
  REQUIRE(files.size() >= 5);
  std::mt19937 random(3);
  for (const std::string& path : files) {
    CAPTURE(path);
    const std::uint64_t bit = random() % (8 * fs.FileSize(path).value_or(0));
    CAPTURE(bit);
    REQUIRE(fs.FlipBit(path, bit).ok());
    const ScrubReport report = MustScrub(*engine);
    CHECK(report.damage >= 1);
    REQUIRE(!report.messages.empty());
    CHECK(report.messages[0].starts_with(path + ": "));
    if (!path.ends_with(".json")) CHECK(report.messages[0].find("offset ") != std::string::npos);
    CHECK(engine->Stats().scrub_damage == report.damage);
    REQUIRE(fs.FlipBit(path, bit).ok());
  }
  CHECK(MustScrub(*engine).damage == 0);
}

TEST_CASE("a scrub finds every damaged block, and a file that is gone", "[engine][scrub]") {
  FaultFileSystem fs;
  Options options = ScrubOptions(&fs);
  options.max_sstable_bytes = 0;
  auto engine = FilledEngine(options, 300);
  const std::vector<std::string> tables = Files(fs, "db/sst");
  REQUIRE(tables.size() == 1);
  REQUIRE(fs.FileSize(tables[0]).value_or(0) > 3000);
  for (const std::uint64_t byte : {100u, 1100u, 2100u}) REQUIRE(fs.FlipBit(tables[0], 8 * byte).ok());
  const ScrubReport report = MustScrub(*engine);
  CHECK(report.damage == 3);
  CHECK(report.messages.size() == 3);
  REQUIRE(fs.RemoveFile(tables[0]).ok());
  const ScrubReport gone = MustScrub(*engine);
  CHECK(gone.damage == 1);
  CHECK(gone.messages.at(0).starts_with(tables[0]));
}

TEST_CASE("a scrub beside writers and compactions, which remove its files, finds nothing", "[engine][scrub]") {
  FaultFileSystem fs;
  auto engine = FilledEngine(ScrubOptions(&fs), 200);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop.load(); i = (i + 1) % 200) {
      if (!Put(*engine, KeyOf(i), ValueOf(i)).ok()) return;
    }
  });
  std::thread compactor([&] {
    while (!stop.load()) IgnoreError(engine->Compact(), "beside it");
  });
  const std::uint64_t compactions = engine->Stats().compactions;
  std::uint64_t damage = 0;
  std::uint64_t tables = 0;
  std::string first;
  int scrubs = 0;
  while (scrubs < 30 || engine->Stats().compactions < compactions + 5) {
    const Result<ScrubReport> report = engine->Scrub();
    if (!report) break;
    ++scrubs;
    damage += report->damage;
    tables += report->tables;
    if (!report->messages.empty()) first = report->messages[0];
  }
  stop = true;
  writer.join();
  compactor.join();
  CHECK(scrubs >= 30);
  CHECK(damage == 0);
  CHECK(first == "");
  CHECK(tables > 0);
  CHECK(Contents(*engine).size() == 200);
}

TEST_CASE("closing interrupts a scrub", "[engine][scrub]") {
  FaultFileSystem fs;
  Options options = ScrubOptions(&fs);
  options.compaction_bytes_per_second = 0;
  { auto engine = FilledEngine(options, 300); }
  options.compaction_bytes_per_second = 100;   // minutes for this little tree
  auto engine = MustOpen(options);
  Status interrupted;
  std::thread scrub([&] { interrupted = engine->Scrub().status(); });
  while (!engine->Stats().scrub_running || engine->Stats().scrub_bytes == 0) std::this_thread::yield();
  CHECK(engine->Scrub().error().code() == StatusCode::kBusy);
  engine->PrepareToClose();
  scrub.join();
  CHECK(interrupted.code() == StatusCode::kShuttingDown);
  CHECK(engine->Stats().scrubs == 0);
  CHECK(engine->Scrub().error().code() == StatusCode::kShuttingDown);
}

TEST_CASE("a scrub comes by itself once in its interval, restarts between included", "[engine][scrub]") {
  constexpr std::uint64_t kHourMs = 3'600'000;
  FaultFileSystem fs;
  WallClock clock;
  Options options = ScrubOptions(&fs, &clock);
  const auto wait_for_scrubs = [](Engine& engine, std::uint64_t scrubs) {
    while (engine.Stats().scrubs < scrubs || engine.Stats().scrub_running) std::this_thread::yield();
  };
  {
    auto engine = FilledEngine(options, 100);
    CHECK(engine->Stats().last_scrub_ms == 0);
    engine->SetScrubInterval(kHourMs);
    clock.Advance(kHourMs);
    engine->SetScrubInterval(kHourMs);                 // makes it look at the clock
    wait_for_scrubs(*engine, 1);
    CHECK(engine->Stats().last_scrub_ms == clock.WallMillis());
    clock.Advance(kHourMs - 1);
    engine->SetScrubInterval(kHourMs);
    engine->SetScrubInterval(0);
    clock.Advance(10 * kHourMs);
    CHECK(engine->Stats().scrubs == 1);                // 0: never
    REQUIRE(fs.FlipBit(Files(fs, "db/sst").at(0), 8).ok());
    engine->SetScrubInterval(kHourMs);
    wait_for_scrubs(*engine, 2);
    CHECK(engine->Stats().scrub_damage == 1);
  }
  options.scrub_interval_ms = kHourMs;
  const std::uint64_t last = clock.WallMillis();
  clock.Advance(kHourMs / 2);
  {
    auto engine = MustOpen(options);
    CHECK(engine->Stats().last_scrub_ms == last);      // remembered
    CHECK(engine->Stats().scrub_damage == 1);
    CHECK(engine->Stats().scrubs == 0);
    clock.Advance(kHourMs / 2);
    engine->SetScrubInterval(kHourMs);
    wait_for_scrubs(*engine, 1);
  }
  REQUIRE(fs.Mutate("db/scrub.json", [](std::string& bytes) { bytes.resize(bytes.size() / 2); }).ok());
  auto engine = MustOpen(options);                     // not known: soon, but not at once
  CHECK(engine->Stats().last_scrub_ms == 0);
  CHECK(engine->Stats().scrubs == 0);
}
