// Batches of megabytes: written beside the log (wal/aside_file.h), whole or not at all, through deaths, full disks and damage.
#include <thread>

#include "engine/wal/aside_file.h"
#include "engine_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

std::string Large(char c, std::size_t more = 0) {
  std::string value(Engine::kLargeBatchBytes + more, c);
  for (std::size_t i = 0; i < value.size(); i += 1000) value[i] = static_cast<char>(i / 1000);
  return value;
}

Options LargeOptions(FileSystem* fs) {
  Options options = TinyOptions(fs);
  options.memtable_entries = 1000;
  options.max_memory_bytes = 3 * Engine::kLargeBatchBytes;
  options.wal_fsync = WalFsync::kNo;
  return options;
}

/// Nothing is flushed by itself, so that the log keeps what is written.
Options RoomyOptions(FileSystem* fs) {
  Options options = LargeOptions(fs);
  options.max_memory_bytes = 100 * Engine::kLargeBatchBytes;
  return options;
}

Status PutLarge(Engine& engine, std::string_view key, std::string_view value, std::uint64_t expire_at_ms = 0) {
  WriteBatch batch;
  batch.Put("beside " + std::string(key), "small");
  batch.Put(key, value, expire_at_ms);
  batch.Delete("gone");
  return engine.WriteLarge(std::move(batch)).status();
}

std::size_t AsideFiles(FileSystem& fs) {
  std::size_t count = 0;
  for (const std::string& name : fs.ListDirectory("db/wal").value_or(std::vector<std::string>())) count += ParseAsideFileName(name).has_value();
  return count;
}

std::string Refusal(const Options& options) {
  const Result<std::unique_ptr<Engine>> opened = Engine::Open(options);
  return opened ? "" : opened.error().message();
}

}  // namespace

TEST_CASE("a large batch is read from memory, from tables and after every kind of end", "[engine][large]") {
  FaultFileSystem fs;
  const Options options = RoomyOptions(&fs);
  const std::map<std::string, std::string> expected{{"a", Large('a')}, {"b", Large('b', 7)}, {"beside a", "small"}, {"beside b", "small"}, {"x", "y"}};
  constexpr std::uint64_t kFar = 4'000'000'000'000;
  {
    auto engine = MustOpen(options);
    REQUIRE(Put(*engine, "gone", "x").ok());
    REQUIRE(PutLarge(*engine, "a", Large('a')).ok());
    REQUIRE(PutLarge(*engine, "b", Large('b', 7), kFar).ok());
    REQUIRE(Put(*engine, "x", "y").ok());
    CHECK(AsideFiles(fs) == 2);
    CHECK(Contents(*engine) == expected);
    CHECK((*engine->Get("b"))->expire_at_ms() == kFar);
    REQUIRE(engine->Commit());
    SECTION("killed") { fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn); }
    SECTION("closed") {}
    SECTION("flushed") {
      REQUIRE(engine->Flush().ok());
      CHECK(engine->LargeBytesInMemory() == 0);
      CHECK(Contents(*engine) == expected);
    }
    engine.reset();
    fs.ClearFaults();
  }
  auto engine = MustOpen(options);
  CHECK(Contents(*engine) == expected);
  CHECK((*engine->Get("b"))->expire_at_ms() == kFar);
  REQUIRE(Put(*engine, "then", "z").ok());
  REQUIRE(engine->Flush().ok());
  while (AsideFiles(fs) > 0) std::this_thread::yield();      // with the segments that named them
  engine = nullptr;
  CHECK(Contents(*MustOpen(options)).size() == expected.size() + 1);
}

TEST_CASE("of large batches no more is in memory than memtables may have, or one", "[engine][large]") {
  FaultFileSystem fs;
  auto engine = MustOpen(LargeOptions(&fs));
  std::vector<std::thread> writers;
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> most{0};
  std::thread watcher([&] {
    while (!done) most = std::max(most.load(), engine->LargeBytesInMemory());
  });
  for (int i = 0; i < 3; ++i) {
    writers.emplace_back([&, i] {
      for (int n = 0; n < 4; ++n) {
        if (!PutLarge(*engine, std::to_string(i) + std::to_string(n), Large('v')).ok()) std::abort();
        engine->ReleaseThreadView();
      }
    });
  }
  for (int n = 0; n < 200; ++n) REQUIRE(Put(*engine, "small" + std::to_string(n), "x").ok());
  for (std::thread& writer : writers) writer.join();
  CHECK(PutLarge(*engine, "more than all", Large('w', 4 * Engine::kLargeBatchBytes)).ok());
  done = true;
  watcher.join();
  CHECK(most <= 6 * Engine::kLargeBatchBytes);
  CHECK(Contents(*engine).size() == 12 * 2 + 200 + 2);
}

TEST_CASE("a large batch is whole or absent after a power cut at any call", "[engine][large][crash]") {
  bool all_done = false;
  for (std::uint64_t call = 1; !all_done; ++call) {
    const auto mode = static_cast<CutMode>(call % 6);
    CAPTURE(call, static_cast<int>(mode));
    FaultFileSystem fs;
    Options options = LargeOptions(&fs);
    options.wal_fsync = WalFsync::kEverySec;
    auto engine = MustOpen(options);
    REQUIRE(fs.SyncDirectory("").ok());
    REQUIRE(Put(*engine, "before", "x").ok());
    REQUIRE(engine->Sync().ok());
    fs.FailCall(call, Fault::kWriteError, FaultSpan::kFromThenOn);
    const bool taken = PutLarge(*engine, "a", Large('a')).ok();
    const bool safe = taken && engine->Sync().ok();
    const bool flushed = safe && engine->Flush().ok();
    all_done = flushed && fs.fired() == 0;
    engine.reset();
    fs.ClearFaults();
    fs.PowerCut(call, mode);
    engine = MustOpen(options);
    CHECK(Get(*engine, "before") == "x");
    const bool there = Get(*engine, "a").has_value();
    CHECK(there == Get(*engine, "beside a").has_value());
    if (safe) CHECK(there);
    if (there) CHECK(Get(*engine, "a") == Large('a'));
    if (!there) CHECK(AsideFiles(fs) == 0);
    CHECK(PutLarge(*engine, "again", Large('b')).ok());
  }
}

TEST_CASE("a full disk refuses a large batch alone, and leaves nothing of it", "[engine][large][space]") {
  FaultFileSystem fs;
  auto engine = MustOpen(LargeOptions(&fs));
  fs.SetCapacity(Engine::kLargeBatchBytes);
  const Status refused = PutLarge(*engine, "a", Large('a'));
  CHECK(refused.code() == StatusCode::kNoSpace);
  CHECK(AsideFiles(fs) == 0);
  CHECK(engine->WriteHealth().ok());
  REQUIRE(Put(*engine, "small", "x").ok());
  REQUIRE(engine->Sync().ok());
  fs.SetCapacity(10 * Engine::kLargeBatchBytes);
  fs.FailSyncs("aside_");
  CHECK(PutLarge(*engine, "a", Large('a')).code() == StatusCode::kIoError);
  CHECK(AsideFiles(fs) == 0);
  CHECK(engine->WriteHealth().ok());
  fs.ClearFaults();
  CHECK(PutLarge(*engine, "a", Large('a')).ok());
  CHECK(Contents(*engine).size() == 3);
}

TEST_CASE("a damaged or missing file beside the log refuses the start by name, and is skipped where that is asked for", "[engine][large]") {
  FaultFileSystem fs;
  Options options = RoomyOptions(&fs);
  {
    auto engine = MustOpen(options);
    REQUIRE(PutLarge(*engine, "a", Large('a')).ok());
    REQUIRE(Put(*engine, "after", "x").ok());
    REQUIRE(engine->Sync().ok());
    fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);
  }
  fs.ClearFaults();
  const std::string file = "db/wal/" + AsideFileName(1);
  SECTION("a bit") { REQUIRE(fs.FlipBit(file, 8'000'001).ok()); }
  SECTION("cut short") { REQUIRE(fs.Truncate(file, 100).ok()); }
  SECTION("empty") { REQUIRE(fs.Truncate(file, 0).ok()); }
  SECTION("gone") { REQUIRE(fs.RemoveFile(file).ok()); }
  const std::string refusal = Refusal(options);
  CHECK(refusal.find(file) != std::string::npos);
  CHECK(refusal.find("offset") != std::string::npos);
  CHECK(refusal.find("wal-skip-corruption yes") != std::string::npos);
  CHECK(Refusal(options) == refusal);
  options.wal_skip_corruption = true;
  {
    auto engine = MustOpen(options);
    CHECK(Contents(*engine) == std::map<std::string, std::string>{{"after", "x"}});
    // The next file must not take the lost one's name, which a record still has.
    REQUIRE(PutLarge(*engine, "b", Large('b')).ok());
    REQUIRE(engine->Sync().ok());
    CHECK(fs.Exists("db/wal/" + AsideFileName(2)));
    REQUIRE(Delete(*engine, "b").ok());
    REQUIRE(Delete(*engine, "beside b").ok());
  }
  options.wal_skip_corruption = false;
  CHECK(Contents(*MustOpen(options)) == std::map<std::string, std::string>{{"after", "x"}});
}
