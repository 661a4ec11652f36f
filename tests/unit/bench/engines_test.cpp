#include "bench/engines.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "bench/process_figures.h"
#include "bench/work_directory.h"

using namespace lsmkv;
using namespace lsmkv::bench;

namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "lsmkv-bench-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::size_t CountEntries(EngineAdapter& engine) {
  std::size_t entries = 0;
  const std::unique_ptr<Cursor> cursor = engine.NewCursor(true);
  for (cursor->SeekToFirst(); cursor->Valid(); cursor->Next()) ++entries;
  CHECK(cursor->status().ok());
  return entries;
}

}  // namespace

TEST_CASE("every adapter does to its engine what it is asked", "[bench]") {
  for (const EngineKind& kind : Engines()) {
    CAPTURE(kind.name);
    const TemporaryDirectory dir;
    Settings settings;
    settings.memory_mb = 8;
    settings.wal_sync = WalFsync::kEverySec;
    const EngineOptions options = OptionsFor(settings, dir.path() + "/data");
    Result<std::unique_ptr<EngineAdapter>> engine = kind.open(options);
    REQUIRE(engine);
    EngineAdapter& db = **engine;
    for (int i = 0; i < 100; ++i) REQUIRE(db.Put("key" + std::to_string(100 + i), std::string(50, 'v')).ok());
    REQUIRE(db.Delete("key150").ok());
    REQUIRE(db.Sync().ok());
    CHECK(db.Get("key120").value() == 50);
    CHECK_FALSE(db.Get("key150").value().has_value());
    CHECK_FALSE(db.Get("key120.").value().has_value());
    REQUIRE(db.Flush().ok());
    CHECK(db.Get("key120").value() == 50);
    CHECK(CountEntries(db) == 99);
    REQUIRE(db.CompactAll().ok());
    CHECK(CountEntries(db) == 99);
    const std::unique_ptr<Cursor> cursor = db.NewCursor(false);
    cursor->Seek("key150");
    REQUIRE(cursor->Valid());
    CHECK(cursor->key() == "key151");
    CHECK(cursor->value() == std::string(50, 'v'));
    // The condition itself is what is waited for; each adapter says how often it wants to be asked by not being at rest.
    bool at_rest = false;
    while (!at_rest) {
      const auto rest = db.AtRestSince();
      REQUIRE(rest);
      at_rest = rest->has_value();
      std::this_thread::yield();
    }
    CHECK_FALSE(db.Describe().empty());
    CHECK(MeasureDirectory(options.dir)->bytes > 0);
  }
}

TEST_CASE("what was written before is there when it is opened again", "[bench]") {
  for (const EngineKind& kind : Engines()) {
    CAPTURE(kind.name);
    const TemporaryDirectory dir;
    const EngineOptions options = OptionsFor(Settings(), dir.path() + "/data");
    REQUIRE((*kind.open(options))->Put("key", "value").ok());
    const Result<std::unique_ptr<EngineAdapter>> engine = kind.open(options);
    REQUIRE(engine);
    CHECK((*engine)->Get("key").value() == 5);
  }
}

TEST_CASE("an engine that is not there, or cannot, is an error", "[bench]") {
  Settings settings;
  settings.engines = {"berkeleydb"};
  CHECK_THAT(ChooseEngines(settings).status().message(), Catch::Contains("no engine 'berkeleydb' in this build; there are: lsmkv"));
  settings.engines = {"lsmkv", "lsmkv"};
  CHECK_FALSE(ChooseEngines(settings).has_value());
  settings.engines = {};
  CHECK(ChooseEngines(settings)->size() == Engines().size());
  settings.compression = Compression::kLz4;
  const Result<std::vector<const EngineKind*>> with_lz4 = ChooseEngines(settings);
  REQUIRE(with_lz4);
  for (const EngineKind* engine : *with_lz4) CHECK(engine->supports(Compression::kLz4));
  if (FindEngine("leveldb") != nullptr) {
    settings.engines = {"leveldb"};
    CHECK_THAT(ChooseEngines(settings).status().message(), Catch::Contains("leveldb has no lz4 compression"));
  }
}

TEST_CASE("all engines get the same memory and the same limits", "[bench]") {
  Settings settings;
  settings.memory_mb = 100;
  settings.memtables = 5;
  const EngineOptions options = OptionsFor(settings, "dir");
  CHECK(options.cache_bytes == (100u << 20) / 8 * 3);      // an eighth is for what neither is
  CHECK(options.memtables_bytes == 50u << 20);
  CHECK(options.memtable_bytes == 10u << 20);
  CHECK(options.base_bytes == 40u << 20);
  CHECK(options.l0_slowdown_tables == 20);
  CHECK(options.l0_stop_tables == 36);
}

TEST_CASE("a build with assertions is told from one without", "[bench]") {
  const TemporaryDirectory dir;
  std::ofstream(dir.path() + "/with") << "\x7f" "ELF…__assert_fail…";
  std::ofstream(dir.path() + "/without") << "\x7f" "ELF…";
  CHECK(HasAssertions(dir.path() + "/with") == true);
  CHECK(HasAssertions(dir.path() + "/without") == false);
  CHECK(HasAssertions(dir.path() + "/neither") == std::nullopt);
}

TEST_CASE("only a directory of the benchmark's own is emptied", "[bench]") {
  const TemporaryDirectory dir;
  const std::string path = dir.path() + "/a/b";
  {
    const Result<WorkDirectory> fresh = WorkDirectory::Open(path, false);
    REQUIRE(fresh);
    std::filesystem::create_directories(fresh->DataOf("lsmkv"));
    CHECK(fresh->HasData("lsmkv"));
  }
  CHECK(WorkDirectory::Open(path, true)->HasData("lsmkv"));
  CHECK_FALSE(WorkDirectory::Open(path, false)->HasData("lsmkv"));
  CHECK(WorkDirectory::Open(path, false)->Remove().ok());
  CHECK_FALSE(std::filesystem::exists(path));

  std::filesystem::create_directories(path);
  std::ofstream(path + "/letters.txt") << "mine";
  const Result<WorkDirectory> foreign = WorkDirectory::Open(path, false);
  REQUIRE_FALSE(foreign);
  CHECK_THAT(foreign.error().message(), Catch::Contains("not this benchmark's"));
  CHECK(std::filesystem::exists(path + "/letters.txt"));
}
