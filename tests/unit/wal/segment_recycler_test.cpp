// The policy: which files are kept, for how long, and what becomes of them.
#include "engine/wal/segment_recycler.h"

#include "wal_fixture.h"

namespace lsmkv::wal_test {
namespace {

constexpr std::uint64_t kLikelyBytes = 1000;

std::string SparePathOf(std::uint64_t segment) { return kDir + "/" + SpareFileName(segment); }

void Store(FileSystem& fs, std::uint64_t segment, std::size_t bytes = kLikelyBytes) { SegmentText(segment).Store(fs, std::string(bytes, 's')); }

}  // namespace

TEST_CASE("a segment that is retired waits under another name, and becomes the next one", "[wal][recycle]") {
  FaultFileSystem fs;
  SegmentRecycler recycler(fs, kDir, kLikelyBytes);
  Store(fs, 5);
  REQUIRE(recycler.Retire(5).ok());
  CHECK(*fs.ListDirectory(kDir) == std::vector<std::string>{"wal_spare_000005.log"});
  CHECK_FALSE(ParseSegmentFileName("wal_spare_000005.log").has_value());
  CHECK(ParseSpareFileName("wal_spare_000005.log") == 5);
  CHECK(recycler.stats().spare_segments == 1);
  CHECK(recycler.stats().spare_bytes == kLikelyBytes);
  const auto file = recycler.Take(9);
  REQUIRE(file != nullptr);
  REQUIRE(file->Append("new").ok());
  CHECK(*fs.ListDirectory(kDir) == std::vector<std::string>{"wal_000009.log"});
  CHECK(fs.ReadWholeFile(PathOf(9))->substr(0, 4) == std::string("new\0", 4));
  CHECK(recycler.stats().spare_segments == 0);
  CHECK(recycler.stats().recycled == 1);
  CHECK(recycler.Take(10) == nullptr);
}

TEST_CASE("few files wait, the others go at once", "[wal][recycle]") {
  struct Case { const char* what; std::uint64_t likely_bytes; std::size_t bytes; std::uint64_t capacity; bool kept; };
  const auto c = GENERATE(values<Case>({{"as large as is likely", kLikelyBytes, 1000, 1 << 20, true},
                                        {"smaller", kLikelyBytes, 10, 1 << 20, true},
                                        {"twice as large", kLikelyBytes, 2000, 1 << 20, true},
                                        {"an outlier", kLikelyBytes, 2002, 1 << 20, false},
                                        {"nothing in it", kLikelyBytes, 0, 1 << 20, false},
                                        {"no room to spare", kLikelyBytes, 1000, 8000, false},
                                        {"nobody knows how large one becomes", 0, 1000, 1 << 20, false}}));
  CAPTURE(c.what);
  FaultFileSystem fs;
  SegmentRecycler recycler(fs, kDir, c.likely_bytes);
  Store(fs, 5, c.bytes);
  fs.SetCapacity(c.capacity);
  REQUIRE(recycler.Retire(5).ok());
  CHECK_FALSE(fs.Exists(PathOf(5)));
  CHECK(fs.Exists(SparePathOf(5)) == c.kept);
  CHECK(recycler.stats().spare_segments == (c.kept ? 1 : 0));
}

TEST_CASE("no more wait than there is use for, and none once room is short", "[wal][recycle]") {
  FaultFileSystem fs;
  SegmentRecycler recycler(fs, kDir, kLikelyBytes);
  for (std::uint64_t id = 1; id <= 5; ++id) {
    Store(fs, id);
    REQUIRE(recycler.Retire(id).ok());
    CHECK(fs.ListDirectory(kDir)->size() == std::min<std::size_t>(id, SegmentRecycler::kMostSpares));
  }
  Store(fs, 6);
  fs.SetCapacity(8 * kLikelyBytes);
  REQUIRE(recycler.Retire(6).ok());
  CHECK(fs.ListDirectory(kDir)->empty());
  CHECK(recycler.stats().spare_segments == 0);
}

TEST_CASE("a file with another name is not written over", "[wal][recycle]") {
  FaultFileSystem fs;
  SegmentRecycler recycler(fs, kDir, kLikelyBytes);
  Store(fs, 5);
  const std::string bytes = *fs.ReadWholeFile(PathOf(5));
  const bool linked_while_spare = GENERATE(false, true);
  if (!linked_while_spare) REQUIRE(fs.Link(PathOf(5), "db/copy.log").ok());
  REQUIRE(recycler.Retire(5).ok());
  if (linked_while_spare) REQUIRE(fs.Link(SparePathOf(5), "db/copy.log").ok());
  CHECK(recycler.Take(9) == nullptr);
  CHECK(*fs.ReadWholeFile("db/copy.log") == bytes);
  CHECK(fs.ListDirectory(kDir)->empty());
  CHECK(recycler.stats().recycled == 0);
}

TEST_CASE("what fails costs a new file and nothing else", "[wal][recycle][fault]") {
  FaultFileSystem fs;
  SegmentRecycler recycler(fs, kDir, kLikelyBytes);
  Store(fs, 5);
  SECTION("giving up the name: the file is removed") {
    fs.FailCall(1, Fault::kFailedRename);
    REQUIRE(recycler.Retire(5).ok());
    CHECK(fs.ListDirectory(kDir)->empty());
  }
  SECTION("removing it: the error is told, and another attempt is made later") {
    fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);
    CHECK(recycler.Retire(5).code() == StatusCode::kIoError);
    fs.ClearFaults();
    REQUIRE(recycler.Retire(5).ok());
    CHECK(recycler.stats().spare_segments == 1);
  }
  SECTION("taking the new name: the file is removed, the next one is taken") {
    Store(fs, 6);
    REQUIRE(recycler.Retire(5).ok());
    REQUIRE(recycler.Retire(6).ok());
    fs.FailCall(1, Fault::kFailedRename);
    CHECK(recycler.Take(9) != nullptr);
    CHECK(*fs.ListDirectory(kDir) == std::vector<std::string>{"wal_000009.log"});
  }
}

TEST_CASE("a start takes over what a killed process left, as far as it is of use", "[wal][recycle]") {
  FaultFileSystem fs;
  for (const std::uint64_t id : {3u, 4u, 6u}) SegmentText(id).Store(fs, std::string(kLikelyBytes, 's'));
  SegmentText(5).Store(fs, std::string(9 * kLikelyBytes, 's'));
  for (const std::uint64_t id : {3u, 4u, 5u, 6u}) REQUIRE(fs.Rename(PathOf(id), SparePathOf(id)).ok());
  SegmentRecycler recycler(fs, kDir, kLikelyBytes);
  recycler.AdoptLeftovers();
  CHECK(*fs.ListDirectory(kDir) == std::vector<std::string>{"wal_spare_000003.log", "wal_spare_000004.log"});
  CHECK(recycler.stats().spare_bytes == 2 * kLikelyBytes);
  CHECK(Replay(fs).summary.max_segment_id == 4);             // their ids are never given out again
  recycler.RemoveAll();
  CHECK(fs.ListDirectory(kDir)->empty());
}

TEST_CASE("when nothing has been written for a while the log takes no more room than it needs", "[wal][recycle]") {
  FaultFileSystem fs;
  ManualClock clock;
  auto wal = OpenWal(fs, WalFsync::kAlways, clock, 1, 0, 1 << 20);
  const auto rotate = [&] {
    Eventually([&] { return wal->RotationReady(); });
    return wal->Rotate();
  };
  AppendOne(*wal, 1, 300'000);
  REQUIRE(wal->Sync().ok());
  REQUIRE(rotate() == 2);
  AppendOne(*wal);
  REQUIRE(wal->Sync().ok());
  Eventually([&] { return wal->RotationReady(); });         // segment 3 is new: there was no spare yet
  REQUIRE(wal->RemoveSegmentsBelow(2).ok());
  REQUIRE(rotate() == 3);                                    // and segment 4 is written over the first one
  Eventually([&] { return wal->RotationReady(); });
  CHECK(wal->stats().recycler.recycled == 1);
  CHECK(*fs.FileSize(PathOf(4)) > 300'000);
  Eventually([&] {
    REQUIRE(wal->RemoveSegmentsBelow(3).ok());
    return fs.Exists(SparePathOf(2));
  });
  REQUIRE(rotate() == 4);                                    // takes that spare too
  const auto at_rest = [&](auto condition) {
    Eventually([&] {
      clock.Advance(Wal::kRestAfter);                        // again, should the marker behind a sync have been written just now
      wal->SetMode(WalFsync::kAlways);                       // rings
      return condition();
    });
  };
  at_rest([&] { return *fs.FileSize(PathOf(4)) == 0; });
  at_rest([&] { return fs.Exists(PathOf(5)) && *fs.FileSize(PathOf(5)) == 0; });
  REQUIRE(wal->RemoveSegmentsBelow(4).ok());                 // what is retired at rest does not stay either
  at_rest([&] { return !fs.Exists(SparePathOf(3)); });
  at_rest([&] { return wal->stats().at_rest; });
  CHECK(*fs.FileSize(PathOf(4)) == 0);
  AppendOne(*wal);
  REQUIRE(wal->Sync().ok());
  Eventually([&] { return !wal->stats().at_rest; });
  REQUIRE(wal->Close().ok());
  CHECK(Replay(fs).last() == 3);
}

}  // namespace lsmkv::wal_test
