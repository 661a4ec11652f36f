// How much of the disk is kept, and that it can be changed while the engine runs.
#include "engine/disk_reserve.h"

#include <thread>

#include "engine_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

constexpr std::uint64_t kMb = 1 << 20;
constexpr std::uint64_t kDiskBytes = 100 * kMb;

void FillTo(FaultFileSystem& fs, std::uint64_t free_bytes) {
  auto file = fs.NewWritableFile("db/filler");
  REQUIRE(file.has_value());
  REQUIRE((*file)->Append(std::string(*fs.FreeBytes("db") - free_bytes, 'x')).ok());
}

}  // namespace

TEST_CASE("a reserve that is changed is gone by at the next round, whenever the last look was", "[engine][space]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("db").ok());
  fs.SetCapacity(kDiskBytes);
  FillTo(fs, 3 * kMb);
  WallClock clock;
  DiskReserve reserve(fs, "db", kMb, clock);
  reserve.Review(0, 0);
  CHECK_FALSE(reserve.low());

  reserve.SetWanted(4 * kMb);
  reserve.Review(0, 0);
  CHECK(reserve.low());
  CHECK(reserve.reserve_bytes() == 4 * kMb);
  CHECK(reserve.status().code() == StatusCode::kNoSpace);
  reserve.SetWanted(1000 * kMb);
  reserve.Review(0, 0);
  CHECK(reserve.reserve_bytes() == kDiskBytes / 20);      // of a small disk a twentieth

  SECTION("a smaller one lets writers go on") {
    reserve.SetWanted(kMb);
    reserve.Review(0, 0);
    CHECK_FALSE(reserve.low());
    CHECK(reserve.Take(kMb / 2).ok());
    CHECK(reserve.Take(kMb).code() == StatusCode::kNoSpace);
  }
  SECTION("none ends the looking") {
    reserve.SetWanted(0);
    reserve.Review(0, 0);
    CHECK_FALSE(reserve.low());
    CHECK_FALSE(reserve.near());
    CHECK(reserve.status().ok());
    CHECK(reserve.Take(1000 * kMb).ok());
    CHECK(reserve.merges_leave_bytes() == 0);
    CHECK_FALSE(reserve.ReviewIn().has_value());
    reserve.SetWanted(4 * kMb);
    reserve.Review(0, 0);
    CHECK(reserve.low());
  }
}

TEST_CASE("a torn tail of the log on a disk with not a byte left does not keep the engine from starting", "[engine][space]") {
  FaultFileSystem fs;
  const Options options = TinyOptions(&fs);
  {
    auto engine = MustOpen(options);
    REQUIRE(Put(*engine, "safe", "x").ok());
    REQUIRE(engine->Sync().ok());
    REQUIRE(Put(*engine, "torn", "y").ok());
    REQUIRE(engine->Commit());
    fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);      // killed
  }
  fs.ClearFaults();
  const std::string segment = "db/wal/wal_000001.log";
  REQUIRE(fs.Mutate(segment, [](std::string& bytes) { bytes.pop_back(); }).ok());
  fs.SetCapacity(1 << 20);
  FillTo(fs, 0);
  auto engine = MustOpen(options);
  CHECK(Get(*engine, "safe") == "x");
  CHECK(Get(*engine, "torn") == std::nullopt);
  fs.SetCapacity(2 << 20);
  while (!(Put(*engine, "again", "z").ok() && engine->Commit())) std::this_thread::yield();
  engine.reset();
  CHECK(Contents(*MustOpen(options)) == std::map<std::string, std::string>{{"again", "z"}, {"safe", "x"}});
}

TEST_CASE("the running engine refuses and takes writes by the reserve it is told", "[engine][space]") {
  FaultFileSystem fs;
  fs.SetCapacity(kDiskBytes);
  auto engine = MustOpen(TinyOptions(&fs));               // nothing is kept
  FillTo(fs, 4 * kMb);
  REQUIRE(Put(*engine, "before", "x").ok());
  engine->SetDiskReserve(8 * kMb);
  while (engine->WriteHealth().ok() || Put(*engine, "before", "x").ok()) std::this_thread::yield();
  CHECK(Put(*engine, "refused", "x").code() == StatusCode::kNoSpace);
  CHECK(engine->Stats().disk_reserve_bytes == kDiskBytes / 20);
  engine->SetDiskReserve(0);
  while (!engine->WriteHealth().ok()) std::this_thread::yield();
  while (!Put(*engine, "taken", "x").ok()) std::this_thread::yield();
  CHECK_FALSE(engine->Stats().disk_low);
  CHECK(Get(*engine, "refused") == std::nullopt);
}
