#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "fault_fs_testing.h"

namespace lsmkv {
namespace {

constexpr CutMode kAllModes[] = {CutMode::kLost,    CutMode::kKept,     CutMode::kNamesKept,
                                 CutMode::kTorn512, CutMode::kTorn4096, CutMode::kOutOfOrder};

std::string AfterCut(const std::string& bytes, std::size_t synced, std::uint64_t seed, CutMode mode) {
  FaultFileSystem fs;
  WriteHalfSynced(fs, bytes, synced);
  fs.PowerCut(seed, mode);
  return Contents(fs, "/f");
}

/// Some files and directories in every state between created and durable.
void MakeMess(FaultFileSystem& fs) {
  REQUIRE(fs.CreateDirectories("/d/e").ok());
  REQUIRE(fs.SyncDirectory("/").ok());
  for (int i = 0; i < 8; ++i) {
    const auto file = Create(fs, "/d/f" + std::to_string(i));
    REQUIRE(file->Append(Pattern(3000)).ok());
    if (i % 2 == 0) REQUIRE(file->Sync().ok());
    REQUIRE(file->Append(Pattern(9000)).ok());
    if (i == 3) REQUIRE(fs.SyncDirectory("/d").ok());
  }
  REQUIRE(fs.Rename("/d/f0", "/d/g0").ok());
  REQUIRE(fs.Rename("/d/f1", "/d/f2").ok());
  REQUIRE(fs.RemoveFile("/d/f3").ok());
  REQUIRE(fs.Link("/d/f4", "/d/e/l4").ok());
}

}  // namespace

TEST_CASE("synced bytes under a synced name survive every power cut", "[fault_fs]") {
  const auto seed = GENERATE(range(0u, 50u));
  CAPTURE(seed);
  for (const CutMode mode : kAllModes) {
    FaultFileSystem fs;
    const std::string bytes = Pattern(10'000);
    WriteHalfSynced(fs, bytes, 5001);
    fs.PowerCut(seed, mode);
    CHECK(Contents(fs, "/f").substr(0, 5001) == bytes.substr(0, 5001));
    fs.PowerCut(seed, CutMode::kLost);   // what a power cut left is durable
    CHECK(Contents(fs, "/f").size() >= 5001);
  }
}

TEST_CASE("unsynced bytes are lost or kept whole where the mode says so", "[fault_fs]") {
  const std::string bytes = Pattern(10'000);
  CHECK(AfterCut(bytes, 5001, 1, CutMode::kLost) == bytes.substr(0, 5001));
  CHECK(AfterCut(bytes, 5001, 1, CutMode::kNamesKept) == bytes.substr(0, 5001));
  CHECK(AfterCut(bytes, 5001, 1, CutMode::kKept) == bytes);
}

TEST_CASE("a torn file keeps whole sectors, then ends or is zeros", "[fault_fs]") {
  struct Case { CutMode mode; std::size_t sector; };
  const auto c = GENERATE(values<Case>({{CutMode::kTorn512, 512}, {CutMode::kTorn4096, 4096}}));
  const std::string bytes = Pattern(30'000);
  std::set<std::size_t> ends;
  std::set<bool> zero_filled;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    CAPTURE(c.sector, seed);
    const std::string got = AfterCut(bytes, 5001, seed, c.mode);
    const std::size_t end = std::min(got.find('\0'), got.size());
    REQUIRE(got.substr(0, end) == bytes.substr(0, end));
    REQUIRE((end == 5001 || end == bytes.size() || end % c.sector == 0));
    if (end < got.size()) {
      REQUIRE(got.substr(end) == std::string(bytes.size() - end, '\0'));
    }
    ends.insert(end);
    if (end < bytes.size()) zero_filled.insert(end < got.size());
  }
  CHECK(ends.size() == 2 + (30'000 / c.sector - 5001 / c.sector));   // every tear there can be
  CHECK(zero_filled.size() == 2);
}

TEST_CASE("out of order, a page may arrive without those before it", "[fault_fs]") {
  const std::string bytes = Pattern(30'000);
  bool hole_seen = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    const std::string got = AfterCut(bytes, 5001, seed, CutMode::kOutOfOrder);
    REQUIRE(got.size() <= bytes.size());
    bool missing = false;
    for (std::size_t begin = 5001; begin < got.size();) {
      const std::size_t end = std::min((begin / 4096 + 1) * 4096, got.size());
      const std::string page = got.substr(begin, end - begin);
      const bool arrived = page == bytes.substr(begin, end - begin);
      REQUIRE((arrived || page == std::string(end - begin, '\0')));
      hole_seen = hole_seen || (arrived && missing);
      missing = missing || !arrived;
      begin = end;
    }
  }
  CHECK(hole_seen);
}

TEST_CASE("an unsynced truncation may be undone, and a synced one not", "[fault_fs]") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const std::string got = [&] {
      FaultFileSystem fs;
      const auto file = Create(fs, "/f");
      REQUIRE(file->Append("0123456789").ok());
      REQUIRE(file->Sync().ok());
      REQUIRE(fs.SyncDirectory("/").ok());
      REQUIRE(file->Truncate(4).ok());
      REQUIRE(file->Append("abc").ok());
      fs.PowerCut(seed, CutMode::kTorn512);
      return Contents(fs, "/f");
    }();
    seen.insert(got);
  }
  CHECK(seen == std::set<std::string>{"0123456789", "0123abc", "0123", std::string("0123\0\0\0", 7)});

  FaultFileSystem fs;
  const auto file = Create(fs, "/f");
  REQUIRE(file->Append("0123456789").ok());
  REQUIRE(fs.SyncDirectory("/").ok());
  REQUIRE(file->Truncate(4).ok());
  REQUIRE(file->Sync().ok());
  fs.PowerCut(1, CutMode::kLost);
  CHECK(Contents(fs, "/f") == "0123");
}

namespace {

/// 12,000 durable bytes of 'o', the first 5000 of them written over in two unsynced writes, each with zeros behind it to the end of the page.
std::string AfterCutOfOverwritten(std::uint64_t seed, CutMode mode) {
  FaultFileSystem fs;
  {
    const auto file = Create(fs, "/old");
    REQUIRE(file->Append(std::string(12'000, 'o')).ok());
    REQUIRE(file->Sync().ok());
  }
  auto file = fs.RenameToOverwrite("/old", "/new", 4);
  REQUIRE(file.has_value());
  REQUIRE(fs.SyncDirectory("/").ok());
  REQUIRE((*file)->Append(std::string(2000, '1')).ok());
  REQUIRE((*file)->Append(std::string(3000, '2')).ok());
  fs.PowerCut(seed, mode);
  return Contents(fs, "/new");
}

}  // namespace

TEST_CASE("what was durable and is written over stands wherever the new bytes have not arrived", "[fault_fs]") {
  const std::string old(12'000, 'o');
  const std::string first = std::string(2000, '1') + std::string(2096, '\0') + old.substr(4096);
  const std::string both = std::string(2000, '1') + std::string(3000, '2') + std::string(3192, '\0') + old.substr(8192);
  CHECK(AfterCutOfOverwritten(1, CutMode::kLost) == old);
  CHECK(AfterCutOfOverwritten(1, CutMode::kKept) == both);
  std::set<std::string> torn, shuffled;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    torn.insert(AfterCutOfOverwritten(seed, CutMode::kTorn4096));
    shuffled.insert(AfterCutOfOverwritten(seed, CutMode::kOutOfOrder));
  }
  const auto pages = [](const std::string& one, const std::string& other) { return one.substr(0, 4096) + other.substr(4096); };
  CHECK(torn == std::set<std::string>{old, pages(both, old), both});
  CHECK(shuffled == std::set<std::string>{old, pages(first, old), pages(first, both), pages(both, old), pages(old, both), both});
}

TEST_CASE("what a failed sync has given up can be read, is gone after a power cut, and is saved only by writing it again", "[fault_fs]") {
  const auto fault = GENERATE(Fault::kFailedSync, Fault::kNoSpaceSync, Fault::kIoError);
  const CutMode mode = GENERATE(from_range(std::begin(kAllModes), std::end(kAllModes)));
  CAPTURE(static_cast<int>(fault), static_cast<int>(mode));
  FaultFileSystem fs;
  const std::string bytes = Pattern(10'000);
  WriteHalfSynced(fs, bytes, 5001);
  fs.FailCall(1, fault);
  CHECK_FALSE(fs.SyncFile("/f").ok());
  CHECK(fs.SyncFile("/f").ok());                       // as the operating system answers a second one
  CHECK(Contents(fs, "/f") == bytes);
  SECTION("not again") {
    fs.PowerCut(1, mode);
    CHECK(Contents(fs, "/f") == bytes.substr(0, 5001));
  }
  SECTION("the last page alone") {
    REQUIRE((*fs.OpenToRewrite("/f", 9000))->Append(bytes.substr(9000)).ok());
    REQUIRE(fs.SyncFile("/f").ok());
    fs.PowerCut(1, mode);
    CHECK(Contents(fs, "/f") == bytes.substr(0, 5001) + std::string(8192 - 5001, '\0') + bytes.substr(8192));
  }
  SECTION("all of it") {
    REQUIRE((*fs.OpenToRewrite("/f", 5001))->Append(bytes.substr(5001)).ok());
    REQUIRE(fs.SyncFile("/f").ok());
    fs.PowerCut(1, mode);
    CHECK(Contents(fs, "/f") == bytes);
  }
  SECTION("all of it, and that fails too") {
    REQUIRE((*fs.OpenToRewrite("/f", 5001))->Append(bytes.substr(5001)).ok());
    fs.FailCall(1, fault);
    CHECK_FALSE(fs.SyncFile("/f").ok());
    CHECK(fs.SyncFile("/f").ok());
    fs.PowerCut(1, mode);
    CHECK(Contents(fs, "/f") == bytes.substr(0, 5001));
  }
}

TEST_CASE("a sync that the machine's end forestalls gives nothing up", "[fault_fs]") {
  FaultFileSystem fs;
  const std::string bytes = Pattern(10'000);
  WriteHalfSynced(fs, bytes, 5001);
  fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);
  CHECK_FALSE(fs.SyncFile("/f").ok());
  fs.PowerCut(1, CutMode::kKept);
  CHECK(Contents(fs, "/f") == bytes);
}

TEST_CASE("emptying a durable file by opening it is undone when nothing was synced", "[fault_fs]") {
  FaultFileSystem fs;
  WriteHalfSynced(fs, "old", 3);
  REQUIRE(Create(fs, "/f")->Append("new").ok());
  fs.PowerCut(1, CutMode::kLost);
  CHECK(Contents(fs, "/f") == "old");
}

TEST_CASE("a name counts only once its directory is synced", "[fault_fs]") {
  struct Case { const char* what; bool synced; CutMode mode; std::vector<std::string> want; };
  const auto c = GENERATE(values<Case>({
      {"synced", true, CutMode::kLost, {"linked", "renamed"}},
      {"lost", false, CutMode::kLost, {"removed", "source"}},
      {"kept", false, CutMode::kKept, {"linked", "renamed"}},
      {"names kept", false, CutMode::kNamesKept, {"linked", "renamed"}},
  }));
  CAPTURE(c.what);
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d").ok());
  REQUIRE(fs.SyncDirectory("/").ok());
  const auto source = Create(fs, "/d/source");
  Create(fs, "/d/removed");
  REQUIRE(fs.SyncDirectory("/d").ok());
  REQUIRE(source->Append("data").ok());
  REQUIRE(source->Sync().ok());
  REQUIRE(fs.Link("/d/source", "/d/linked").ok());
  REQUIRE(fs.Rename("/d/source", "/d/renamed").ok());
  REQUIRE(fs.RemoveFile("/d/removed").ok());
  if (c.synced) REQUIRE(fs.SyncDirectory("/d").ok());
  fs.PowerCut(1, c.mode);
  CHECK(*fs.ListDirectory("/d") == c.want);
  CHECK(Contents(fs, "/d/" + (c.want.back())) == "data");
}

TEST_CASE("a renamed but unsynced file can turn out empty", "[fault_fs]") {
  FaultFileSystem fs;
  WriteHalfSynced(fs, "old", 3);
  REQUIRE(Create(fs, "/tmp")->Append("new").ok());
  REQUIRE(fs.Rename("/tmp", "/f").ok());
  fs.PowerCut(1, CutMode::kNamesKept);
  CHECK(Contents(fs, "/f").empty());
}

TEST_CASE("a rename over a durable file leaves the old or the new one, never none", "[fault_fs]") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    FaultFileSystem fs;
    WriteHalfSynced(fs, "old", 3);
    const auto file = Create(fs, "/tmp");
    REQUIRE(file->Append("new").ok());
    REQUIRE(file->Sync().ok());
    REQUIRE(fs.Rename("/tmp", "/f").ok());
    fs.PowerCut(seed, CutMode::kTorn512);
    seen.insert(Contents(fs, "/f"));
  }
  CHECK(seen == std::set<std::string>{"old", "new"});
}

TEST_CASE("changed names are kept or lost one by one", "[fault_fs]") {
  std::set<std::vector<std::string>> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    FaultFileSystem fs;
    for (const char* name : {"/a", "/b", "/c"}) Create(fs, name);
    fs.PowerCut(seed, CutMode::kTorn512);
    seen.insert(*fs.ListDirectory("/"));
  }
  CHECK(seen.size() == 8);
}

TEST_CASE("a lost directory takes what was in it along", "[fault_fs]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d").ok());
  const auto file = Create(fs, "/d/f");
  REQUIRE(file->Sync().ok());
  REQUIRE(fs.SyncDirectory("/d").ok());
  fs.PowerCut(1, CutMode::kLost);
  CHECK_FALSE(fs.Exists("/d"));
}

TEST_CASE("two names of one file show the same bytes after a power cut", "[fault_fs]") {
  const auto seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  FaultFileSystem fs;
  WriteHalfSynced(fs, Pattern(20'000), 100);
  REQUIRE(fs.Link("/f", "/g").ok());
  REQUIRE(fs.SyncDirectory("/").ok());
  fs.PowerCut(seed, CutMode::kOutOfOrder);
  CHECK(Contents(fs, "/f") == Contents(fs, "/g"));
}

TEST_CASE("the same calls, seed and mode give the same disk", "[fault_fs]") {
  for (const CutMode mode : kAllModes) {
    std::set<std::map<std::string, std::string>> outcomes;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      CAPTURE(seed, static_cast<int>(mode));
      FaultFileSystem first;
      FaultFileSystem second;
      MakeMess(first);
      MakeMess(second);
      first.PowerCut(seed, mode);
      second.PowerCut(seed, mode);
      const auto outcome = Everything(first);
      CHECK(outcome == Everything(second));
      outcomes.insert(outcome);
    }
    const bool seeded = mode == CutMode::kTorn512 || mode == CutMode::kTorn4096 || mode == CutMode::kOutOfOrder;
    CHECK(outcomes.size() == (seeded ? 10 : 1));
  }
}

TEST_CASE("a sync that lags takes effect after those behind it", "[fault_fs]") {
  for (const int synced_behind : {1, 2}) {
    FaultFileSystem fs;
    fs.LagSyncs([](const std::string& path) { return path == "/first"; }, 2);
    const auto first = Create(fs, "/first");
    const auto second = Create(fs, "/second");
    REQUIRE(fs.SyncDirectory("/").ok());
    REQUIRE(first->Append("1").ok());
    REQUIRE(first->Sync().ok());
    for (int i = 0; i < synced_behind; ++i) {
      REQUIRE(second->Append("2").ok());
      REQUIRE(second->Sync().ok());
    }
    fs.PowerCut(1, CutMode::kLost);
    CHECK(Contents(fs, "/first") == (synced_behind == 1 ? "" : "1"));
    CHECK(Contents(fs, "/second") == std::string(static_cast<std::size_t>(synced_behind), '2'));
  }
}

TEST_CASE("handles and locks of before a power cut are dead", "[fault_fs]") {
  FaultFileSystem fs;
  WriteHalfSynced(fs, "data", 4);
  const auto writer = Create(fs, "/w");
  const auto reader = fs.NewRandomAccessFile("/f");
  auto lock = fs.Lock("/LOCK");
  REQUIRE(reader.has_value());
  REQUIRE(lock.has_value());
  fs.PowerCut(1, CutMode::kKept);
  char byte;
  CHECK(writer->Append("x").code() == StatusCode::kIoError);
  CHECK(writer->Sync().code() == StatusCode::kIoError);
  CHECK(writer->Truncate(0).code() == StatusCode::kIoError);
  CHECK(writer->Close().code() == StatusCode::kIoError);
  CHECK((*reader)->Read(0, 1, &byte).code() == StatusCode::kIoError);
  const auto second = fs.Lock("/LOCK");
  CHECK(second.has_value());
  lock->reset();   // the dead lock must not let go of the living one
  CHECK(fs.Lock("/LOCK").status().code() == StatusCode::kBusy);
}

}  // namespace lsmkv
