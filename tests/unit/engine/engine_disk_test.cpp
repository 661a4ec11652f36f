// Disks that run full, and disks that fail to sync.
#include <chrono>
#include <thread>

#include "engine/disk_reserve.h"
#include "engine_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

constexpr std::uint64_t kDiskBytes = 16 << 20;
constexpr std::uint64_t kReserveBytes = kDiskBytes / 20;      // of a small disk a twentieth

/// Hurries, so that the disk is looked at as often as writers of this speed want it; with memtables this small they cannot run ahead of
/// the scheduler by as much as the reserve.
class QuickClock final : public Clock {
 public:
  std::uint64_t WallMillis() const override { return 1'700'000'000'000; }
  std::chrono::microseconds Monotonic() const override { return Clock::System().Monotonic() * 100; }
};

Options ReserveOptions(FileSystem* fs) {
  static QuickClock clock;
  Options options = TinyOptions(fs, &clock);
  options.memtable_entries = 20;
  options.base_level_entries = 400;
  options.max_sstable_bytes = 50'000;
  options.compression = Compression::kNone;
  options.wal_fsync = WalFsync::kNo;
  options.disk_reserve_bytes = 64 << 20;
  return options;
}

Status DeleteFromReserve(Engine& engine, std::string_view key) {
  WriteBatch batch;
  batch.Delete(key);
  return engine.Write(batch, {.may_use_reserve = true}).status();
}

/// Deletions at memory's speed may have to wait for a flush.
void DeletePatiently(Engine& engine, std::string_view key) {
  while (true) {
    const Status status = DeleteFromReserve(engine, key);
    if (status.ok()) return;
    REQUIRE(status.code() == StatusCode::kNoSpace);
    std::this_thread::yield();
  }
}

std::string NameOf(int i) { return "k" + std::to_string(i); }
std::string ValueOf(int i) { return std::to_string(i) + std::string(3000, 'v'); }

/// Writes until it is refused, and not only until the disk has been looked at again; returns how many writes were taken.
int FillUntilRefused(Engine& engine, Status* refusal) {
  int count = 0;
  while (true) {
    *refusal = Put(engine, NameOf(count), ValueOf(count));
    if (refusal->ok()) *refusal = engine.Commit().status();
    if (refusal->ok()) {
      ++count;
      REQUIRE(count < 100'000);
      continue;
    }
    REQUIRE(refusal->code() == StatusCode::kNoSpace);
    const Status health = engine.WriteHealth();              // a flush that ends may make room for a moment
    const EngineStats stats = engine.Stats();
    if ((stats.disk_low && health.code() == StatusCode::kNoSpace) || stats.disk_reserve_bytes == 0) return count;
    std::this_thread::yield();
  }
}

}  // namespace

TEST_CASE("near the disk's end only what makes room is written, and everything again when there is room", "[engine][space]") {
  FaultFileSystem fs;
  fs.SetCapacity(kDiskBytes);
  const Options options = ReserveOptions(&fs);
  auto engine = MustOpen(options);
  Status refusal;
  const int count = FillUntilRefused(*engine, &refusal);
  CHECK(count > 1000);
  CHECK(refusal.code() == StatusCode::kNoSpace);
  CHECK(refusal.message().find("disk-reserve") != std::string::npos);
  CHECK(engine->Stats().disk_reserve_bytes == kReserveBytes);
  CHECK(*fs.FreeBytes("db") > 0);

  for (int i = 0; i < count; i += 2) DeletePatiently(*engine, NameOf(i));
  REQUIRE(engine->Commit());
  WriteBatch large;
  for (int i = 0; i < 10'000; ++i) large.Delete("no such key " + std::to_string(i));
  if (engine->Stats().disk_low) {             // a flush may have ended it for a moment
    const Status too_large = engine->Write(large, {.may_use_reserve = true}).status();
    CHECK((too_large.code() == StatusCode::kNoSpace || !engine->Stats().disk_low));
  }
  for (int i = 0; i < count; ++i) REQUIRE(Get(*engine, NameOf(i)) == (i % 2 == 0 ? std::nullopt : std::optional(ValueOf(i))));
  engine->ReleaseThreadView();                // who reads keeps what it has read from
  SECTION("room comes from outside") { fs.SetCapacity(10 * kDiskBytes); }
  SECTION("room comes from what is deleted") {
    for (int i = 1; i < count; i += 2) DeletePatiently(*engine, NameOf(i));
    while (engine->Stats().disk_low) std::this_thread::yield();
    for (int i = 1; i < count; i += 2) {
      while (!Put(*engine, NameOf(i), ValueOf(i)).ok()) std::this_thread::yield();
    }
  }
  SECTION("room comes after a start on the full disk") {
    engine.reset();
    engine = MustOpen(options);
    CHECK(Get(*engine, NameOf(1)) == ValueOf(1));
    fs.SetCapacity(10 * kDiskBytes);
  }
  while (!Put(*engine, "again", "x").ok()) std::this_thread::yield();
  REQUIRE(engine->Commit());
  engine.reset();
  engine = MustOpen(options);
  CHECK(Get(*engine, "again") == "x");
  for (int i = 0; i < count; ++i) REQUIRE(Get(*engine, NameOf(i)) == (i % 2 == 0 ? std::nullopt : std::optional(ValueOf(i))));
}

TEST_CASE("L0 that finds no room to go down is gathered as far as there is room, and writing goes on", "[engine][space]") {
  constexpr int kKeys = 400;
  constexpr std::uint64_t kSpareBytes = 400'000;      // less than to write L1 and L0 anew
  FaultFileSystem fs;
  fs.SetCapacity(kDiskBytes);
  Options options = ReserveOptions(&fs);
  options.disk_reserve_bytes = 0;
  options.base_level_entries = 10 * kKeys;
  options.max_sstable_bytes = 0;                      // L1 is one table: no steps
  options.l0_slowdown_sstables = 6;
  options.l0_stop_sstables = 8;
  auto engine = MustOpen(options);
  const std::string value(1000, 'v');
  for (int i = 0; i < kKeys; ++i) REQUIRE(Put(*engine, NameOf(i), value).ok());
  REQUIRE(engine->Compact().ok());
  engine.reset();                                     // and with it what has been removed
  engine = MustOpen(options);
  fs.SetCapacity(kDiskBytes - *fs.FreeBytes("db") + kSpareBytes);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (int i = 0; i < 2 * kKeys; ++i) {
    while (!Put(*engine, NameOf(i % 20 * 20), value + std::to_string(i)).ok()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      std::this_thread::yield();
    }
  }
  CHECK(engine->Stats().levels[0].sstables <= options.l0_stop_sstables + options.max_immutable_memtables);
  CHECK(Get(*engine, NameOf(20)) == value + std::to_string(2 * kKeys - 19));
}

TEST_CASE("what the log has no room for goes into a table, and writing goes on", "[engine][space]") {
  constexpr int kVersions = 300;
  FaultFileSystem fs;
  fs.SetCapacity(kDiskBytes);
  Options options = ReserveOptions(&fs);
  options.disk_reserve_bytes = 0;
  options.memtable_entries = 10 * kVersions;          // full it never is
  options.wal_fsync = GENERATE(WalFsync::kNo, WalFsync::kAlways);
  auto engine = MustOpen(options);
  REQUIRE(Put(*engine, "first", "x").ok());            // not synced: its marker would be written among those below
  fs.SetCapacity(kDiskBytes - *fs.FreeBytes("db") + 100'000);
  const std::string value(1000, 'v');
  for (int i = 0; i < kVersions; ++i) REQUIRE(Put(*engine, NameOf(i % 10), value + std::to_string(i)).ok());
  CHECK(engine->Sync().code() == StatusCode::kNoSpace);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!Put(*engine, "again", "y").ok()) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    std::this_thread::yield();
  }
  REQUIRE(engine->Sync().ok());
  engine->ReleaseThreadView();
  CutPower(fs, 1, CutMode::kLost);
  engine.reset();
  fs.ClearFaults();
  engine = MustOpen(options);
  CHECK(Get(*engine, "first") == "x");
  CHECK(Get(*engine, "again") == "y");
  for (int i = kVersions - 10; i < kVersions; ++i) CHECK(Get(*engine, NameOf(i % 10)) == value + std::to_string(i));
}

TEST_CASE("a write that cannot fit is refused before it takes the disk", "[engine][space]") {
  FaultFileSystem fs;
  fs.SetCapacity(kDiskBytes);
  auto engine = MustOpen(ReserveOptions(&fs));
  const std::uint64_t free = *fs.FreeBytes("db");
  const Status refused = Put(*engine, "large", std::string(kDiskBytes * 2 / 3, 'x'));
  CHECK(refused.code() == StatusCode::kNoSpace);
  CHECK(*fs.FreeBytes("db") == free);
  CHECK(Put(*engine, "small", "x").ok());
  CHECK(Put(*engine, "fits", std::string(kDiskBytes / 8, 'x')).ok());
  REQUIRE(engine->Commit());
  CHECK(engine->WriteHealth().ok());
}

TEST_CASE("a disk with not a byte left is opened and read, and written when there is room", "[engine][space]") {
  FaultFileSystem fs;
  fs.SetCapacity(kDiskBytes);
  const Options options = ReserveOptions(&fs);
  std::map<std::string, std::string> written;
  {
    auto engine = MustOpen(options);
    Status refusal;
    const int count = FillUntilRefused(*engine, &refusal);
    for (int i = 0; i < count; ++i) written[NameOf(i)] = ValueOf(i);
    fs.SetCapacity(kDiskBytes - *fs.FreeBytes("db"));
    fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);      // killed
  }
  fs.ClearFaults();
  auto engine = MustOpen(options);
  CHECK(Contents(*engine) == written);
  IgnoreError(Put(*engine, "new", "x"), "refused now, or at the commit, unless upkeep has made room since the start");
  IgnoreError(engine->Commit().status(), "the same");
  CHECK(Contents(*engine).size() >= written.size());
  fs.SetCapacity(10 * kDiskBytes);
  while (!(Put(*engine, "new", "x").ok() && engine->Commit())) std::this_thread::yield();
  written["new"] = "x";
  REQUIRE(engine->Compact().ok());
  CHECK(Contents(*engine) == written);
}

TEST_CASE("a full disk leaves no file that no manifest names", "[engine][space]") {
  FaultFileSystem fs;
  Options options = ReserveOptions(&fs);
  options.disk_reserve_bytes = 0;                     // so that flushes and merges meet the end as well
  options.min_blob_bytes = 200;
  auto engine = MustOpen(options);
  fs.SetCapacity(1 << 20);
  Status refusal;
  const int count = FillUntilRefused(*engine, &refusal);
  CHECK(refusal.code() == StatusCode::kNoSpace);
  fs.SetCapacity(1 << 30);
  while (!engine->Compact().ok()) std::this_thread::yield();
  engine->ReleaseThreadView();
  for (int i = 0; i < count; ++i) REQUIRE(Get(*engine, NameOf(i)) == ValueOf(i));
  const auto named = [&] {
    std::uint64_t tables = 0;
    for (const LevelInfo& level : engine->Stats().levels) tables += level.sstables;
    return tables;
  };
  engine->ReleaseThreadView();
  while (fs.ListDirectory("db/sst")->size() != named()) std::this_thread::yield();
  while (fs.ListDirectory("db/blob")->size() != engine->Stats().blob_files) std::this_thread::yield();
}

namespace {

/// L1 takes 3 MB, and what lies above it deletes most of that; the disk has 700 kB left. True: the picker saw to it to the end.
bool MergeOnFullDisk(FaultFileSystem& fs, const Options& options, std::uint64_t failing_call, std::map<std::string, std::string>* expected) {
  auto engine = MustOpen(options);
  for (int i = 0; i < 1000; ++i) {
    (*expected)[NameOf(i)] = ValueOf(i);
    REQUIRE(Put(*engine, NameOf(i), ValueOf(i)).ok());
  }
  REQUIRE(engine->Compact().ok());
  engine = nullptr;
  engine = MustOpen(options);               // removes the log of what was flushed
  while (kDiskBytes - *fs.FreeBytes("db") > 3'500'000) std::this_thread::yield();
  fs.SetCapacity(kDiskBytes - *fs.FreeBytes("db") + 700'000);
  for (int part = 0; part < 3; ++part) {
    for (int i = part; i < 1000; i += 4) {
      expected->erase(NameOf(i));
      REQUIRE(Delete(*engine, NameOf(i)).ok());
    }
    (*expected)[NameOf(part)] = "new";
    REQUIRE(Put(*engine, NameOf(part), "new").ok());
    REQUIRE(engine->Sync().ok());
    if (part == 2 && failing_call != 0) fs.FailCall(failing_call, Fault::kWriteError, FaultSpan::kFromThenOn);   // killed
    if (!engine->Flush().ok()) return false;
  }
  while (engine->Stats().levels[0].sstables > 0 && fs.fired() == 0) std::this_thread::yield();
  if (fs.fired() > 0) return false;
  CHECK(Contents(*engine) == *expected);
  std::size_t steps = 0;
  for (const std::string& event : engine->History(100)) steps += event.find("in steps") != std::string::npos ? 1 : 0;
  CHECK(steps > 1);
  return true;
}

}  // namespace

TEST_CASE("what does not fit on the disk at once is merged in steps, and a crash between them changes nothing", "[engine][space]") {
  const std::uint64_t stride = std::getenv("LSMKV_LONG_TESTS") != nullptr ? 1 : 5;
  bool whole = false;
  for (std::uint64_t call = 0; call < 1000 && !whole; call += stride) {
    CAPTURE(call);
    FaultFileSystem fs;
    fs.SetCapacity(kDiskBytes);
    Options options = ReserveOptions(&fs);
    options.clock = nullptr;
    options.disk_reserve_bytes = 0;
    options.wal_fsync = WalFsync::kAlways;
    options.memtable_entries = options.base_level_entries = 100'000;
    std::map<std::string, std::string> expected;
    whole = MergeOnFullDisk(fs, options, call, &expected) && call != 0;
    fs.ClearFaults();
    fs.PowerCut(call, CutMode::kTorn512);
    auto engine = MustOpen(options);
    CHECK(Contents(*engine) == expected);
    fs.SetCapacity(10 * kDiskBytes);
    REQUIRE(engine->Compact().ok());
    CHECK(Contents(*engine) == expected);
  }
  CHECK(whole);
}

TEST_CASE("whichever sync of the log fails: nothing after it is acknowledged, and what was before it is safe", "[engine][fault]") {
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec);
  const auto fault = GENERATE(Fault::kFailedSync, Fault::kNoSpaceSync);
  for (std::uint64_t call = 1; call < 60; call += std::getenv("LSMKV_LONG_TESTS") != nullptr ? 1 : 3) {
    CAPTURE(call, static_cast<int>(mode), static_cast<int>(fault));
    FaultFileSystem fs;
    Options options = TinyOptions(&fs);
    options.wal_fsync = mode;
    std::map<std::string, std::string> durable;
    {
      auto engine = MustOpen(options);
      fs.FailCall(call, fault);                              // once: the disk works again right after
      for (int i = 0; i < 200; ++i) {
        const std::string key = NameOf(i);
        if (!Put(*engine, key, ValueOf(i)).ok() || !engine->Sync().ok()) break;
        durable[key] = ValueOf(i);
      }
      if (!engine->Sync().ok()) {                            // the log's it was, and not a table's
        const SequenceNumber known = engine->durable_sequence();
        for (int again = 0; again < 5; ++again) {
          CHECK(Put(*engine, "later", "x").code() == StatusCode::kIoError);
          CHECK_FALSE(engine->Commit());
          CHECK_FALSE(engine->Sync().ok());
        }
        CHECK(engine->durable_sequence() == known);
        CHECK(engine->WriteHealth().message().find("fdatasync") != std::string::npos);
        for (const auto& [key, value] : durable) CHECK(Get(*engine, key) == value);
      }
      CutPower(fs, call, CutMode::kLost);
    }
    fs.ClearFaults();
    auto engine = MustOpen(options);
    for (const auto& [key, value] : durable) REQUIRE(Get(*engine, key) == value);
    CHECK(Get(*engine, "later") == std::nullopt);
    REQUIRE(Put(*engine, "later", "x").ok());
    CHECK(engine->Sync().ok());
  }
}

TEST_CASE("tables and manifests that find no room only when they are synced are written again, and nothing is lost", "[engine][space][fault]") {
  std::uint64_t of_tables = 0;
  std::uint64_t of_manifests = 0;
  constexpr std::uint64_t kCalls = 80;
  // A third of the calls, then the others: all in the long form, else until both kinds were met; which call is whose is up to the threads.
  const bool all = std::getenv("LSMKV_LONG_TESTS") != nullptr;
  for (std::uint64_t turn = 0; turn < 10 * kCalls; ++turn) {
    const std::uint64_t call = 1 + 3 * turn % kCalls;
    if (turn >= (all ? kCalls : kCalls / 3) && of_tables > 0 && of_manifests > 0) break;
    CAPTURE(call);
    FaultFileSystem fs;
    Options options = TinyOptions(&fs);
    options.wal_fsync = WalFsync::kNo;
    fs.OnCall([&](FaultFileSystem::Call, const std::string& path, std::optional<Fault> struck) {
      if (struck != Fault::kNoSpaceSync) return;
      if (path.find("db/sst") != std::string::npos) ++of_tables;
      if (path.find("manifest") != std::string::npos) ++of_manifests;
    });
    std::map<std::string, std::string> written;
    {
      auto engine = MustOpen(options);
      fs.FailCall(call, Fault::kNoSpaceSync);
      const auto log_has_failed = [&] { return engine->WriteHealth().message().find("fdatasync") != std::string::npos; };
      const auto insist = [&](auto action) {
        Status status = action();
        while (!status.ok() && !log_has_failed()) status = action();
        return status.ok();
      };
      for (int i = 0; i < 200 && insist([&] { return Put(*engine, NameOf(i), ValueOf(i)); }); ++i) written[NameOf(i)] = ValueOf(i);
      const bool flushed = insist([&] { return engine->Flush(); });
      CHECK(Contents(*engine) == written);
      if (!flushed) continue;
      if (!insist([&] { return engine->Compact(); }) || !insist([&] { return engine->Sync(); })) continue;
      CutPower(fs, call, CutMode::kLost);
    }
    fs.ClearFaults();
    CHECK(Contents(*MustOpen(options)) == written);
  }
  CHECK(of_tables > 0);
  CHECK(of_manifests > 0);
}
