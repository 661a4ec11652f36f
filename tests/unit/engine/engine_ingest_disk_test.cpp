// Ingest on a disk that is full, or stays full: an error in time, with figures, and nothing left behind.
#include "engine_fixture.h"

#include <cstdio>
#include <random>
#include <thread>

#include "ingest_fixture.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

/// Patience is soon over.
class QuickClock final : public Clock {
 public:
  std::uint64_t WallMillis() const override { return 1'700'000'000'000; }
  std::chrono::microseconds Monotonic() const override { return Clock::System().Monotonic() * 200; }
};

/// Every table that lies on the disk is of the tree.
bool NothingIsLeftBehind(Engine& engine, FileSystem& fs) {
  std::size_t tables = 0;
  for (const LevelInfo& level : engine.Stats().levels) tables += level.sstables;
  return TableFiles(fs).size() == tables;
}

}  // namespace

TEST_CASE("on a disk that is full from any call on, and stays so, an ingest ends with an error, and leaves nothing behind", "[engine][ingest][fault]") {
  QuickClock clock;
  int given_up = 0, committed = 0;
  bool finished = false;
  int sweeps = 0;
  // The calls that make it come later are two in a row, and the log's thread has calls of its own: a sweep may step over both.
  for (std::uint64_t call = 1; !finished || (committed == 0 && sweeps < 10); ++call) {
    if (finished) {
      ++sweeps;
      call = 1;
    }
    CAPTURE(call);
    FaultFileSystem fs;
    auto engine = MustOpen(TinyOptions(&fs, &clock));
    WriteBundle(fs, "in", NumberedEntries(0, 200, "new"));
    for (int i = 0; i < 60; ++i) REQUIRE(Put(*engine, "key:" + std::to_string(1000 + i * 3), "old").ok());
    REQUIRE(engine->Compact().ok());
    fs.FailCall(call, Fault::kNoSpace, FaultSpan::kFromThenOn);
    const auto report = engine->Ingest({"in", nullptr});                // it returns
    finished = fs.fired() == 0;
    fs.ClearFaults();
    const bool comes = !report && report.error().code() == StatusCode::kBusy;
    if (!report) {
      CAPTURE(report.error().message());
      CHECK((comes || report.error().code() == StatusCode::kNoSpace));
      ++(comes ? committed : given_up);
    }
    while (comes && Contents(*engine).size() != 200) std::this_thread::yield();
    CHECK(Contents(*engine).size() == (report || comes ? 200 : 60));
    while (!NothingIsLeftBehind(*engine, fs)) std::this_thread::yield();
    while (!engine->WriteHealth().ok()) std::this_thread::yield();      // the log tries again by itself
    REQUIRE(Put(*engine, "after", "1").ok());
    Result<IngestReport> again = Status::Busy("");
    while (!again && again.error().code() == StatusCode::kBusy) again = engine->Ingest({"in", nullptr});
    REQUIRE(again);
    CHECK(Contents(*engine).size() == 201);
  }
  CHECK(given_up > 5);                                  // of every call of an ingest
  CHECK(committed > 0);
}

namespace {

Entries IncompressibleEntries() {
  Entries entries = NumberedEntries(0, 400, "");
  std::mt19937_64 random(1);
  for (auto& [key, entry] : entries)
    for (int i = 0; i < 25; ++i) entry.value += std::to_string(random());
  return entries;
}

std::uint64_t ManifestBytes(FileSystem& fs) {
  const auto names = fs.ListDirectory("db");
  REQUIRE(names);
  std::uint64_t bytes = 0;
  for (const std::string& name : *names)
    if (name.starts_with("manifest")) bytes += fs.FileSize("db/" + name).value_or(0);
  return bytes;
}

}  // namespace

TEST_CASE("an ingest that does not fit says how much room is missing", "[engine][ingest]") {
  std::uint64_t manifest_bytes = 0;         // no part of what is said: a server keeps its disk's reserve for them
  {
    FaultFileSystem fs;
    auto engine = MustOpen(TinyOptions(&fs));
    WriteBundle(fs, "in", IncompressibleEntries());
    REQUIRE(engine->Ingest({"in", nullptr}));
    manifest_bytes = ManifestBytes(fs);
  }
  FaultFileSystem fs;
  fs.SetCapacity(1 << 30);
  auto engine = MustOpen(TinyOptions(&fs));
  WriteBundle(fs, "in", IncompressibleEntries());
  fs.SetCapacity(*fs.TotalBytes("db") - *fs.FreeBytes("db") + 80'000);            // the log has its room
  const auto report = engine->Ingest({"in", nullptr});
  REQUIRE_FALSE(report);
  CHECK(report.error().code() == StatusCode::kNoSpace);
  CAPTURE(report.error().message());
  std::uint64_t needed = 0, free = 0, missing = 0;
  const std::string& message = report.error().message();
  REQUIRE(std::sscanf(message.c_str() + message.find("needs "), "needs %lu bytes of room; %lu are free", &needed, &free) == 2);
  REQUIRE(std::sscanf(message.c_str() + message.find("may take: "), "may take: %lu are missing", &missing) == 1);
  CHECK(missing == needed - free);
  fs.SetCapacity(*fs.TotalBytes("db") + missing + manifest_bytes + 1000);         // the log grows a little
  const auto now_it_fits = engine->Ingest({"in", nullptr});
  CAPTURE(now_it_fits ? "" : now_it_fits.error().message());
  CHECK(now_it_fits);
}

TEST_CASE("a disk that is too full for an ingest is said so, and writing goes on", "[engine][ingest]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  REQUIRE(Put(*engine, "a", "1").ok());
  WriteBundle(fs, "in", NumberedEntries(0, 400, std::string(50, 'n')));
  const auto files = TableFiles(fs);
  std::uint64_t used = 0;
  for (const std::string dir : {"in", "db", "db/sst", "db/wal"}) {
    const auto names = fs.ListDirectory(dir);
    REQUIRE(names);
    for (const std::string& name : *names) used += fs.FileSize(dir + "/" + name).value_or(0);
  }
  fs.SetCapacity(used + 8000);
  const auto report = engine->Ingest({"in", nullptr});
  REQUIRE_FALSE(report);
  CHECK(report.error().code() == StatusCode::kNoSpace);
  REQUIRE(Put(*engine, "b", "2").ok());
  CHECK(Contents(*engine).size() == 2);
  fs.SetCapacity(1 << 30);
  REQUIRE(engine->Ingest({"in", nullptr}));
  CHECK(Contents(*engine).size() == 402);
}
