// A segment written over an older one's file: what the reader makes of the bytes that are left of it, wherever writing has stopped and
// whatever has reached the disk.
#include "wal_fixture.h"

namespace lsmkv::wal_test {
namespace {

constexpr ReplayOptions kFromTheStart{.skip_corruption = false, .flushed_sequence = 0, .flushed_sequence_known = true};
const std::string kZeros(kLogHeaderBytes, '\0');

/// The bytes of `old` with `bytes` written over their beginning.
std::string Over(const std::string& old, const std::string& bytes) {
  return bytes.size() < old.size() ? bytes + old.substr(bytes.size()) : bytes;
}

SegmentText& Head(SegmentText& text, std::uint64_t id) {
  text.starts.push_back(0);
  EncodeLogRecord(&text.bytes, id, 0, {0, 0, LogHeadOperations()});
  return text;
}

/// The old owner, segment 1: the same records at the same places as segment 2 will have, and more behind them. So nothing but the
/// segment's id in the checksum tells them apart.
SegmentText OldOwner() {
  SegmentText old(1);
  Head(old, 1);
  for (SequenceNumber s = 1; s <= 40; ++s) old.Record(s).Marker(s);
  return old;
}

bool AnythingDropped(FileSystem& fs) {
  const auto names = fs.ListDirectory(kDir).value();
  return std::ranges::any_of(names, [](const std::string& name) { return name.ends_with(kDroppedSuffix); });
}

}  // namespace

TEST_CASE("what follows the end of a segment and was another's is passed over in silence", "[wal][recycle]") {
  const std::string old = OldOwner().bytes;
  SegmentText text(2);
  Head(text, 2);
  const auto records = static_cast<SequenceNumber>(GENERATE(1, 2, 5));
  for (SequenceNumber s = 1; s <= records; ++s) text.Record(s);
  const std::size_t zeros = GENERATE(24u, 100u, 700u);
  const std::string bytes = Over(old, text.bytes + std::string(zeros, '\0'));
  FaultFileSystem fs;
  text.Store(fs, bytes);
  for (int time = 0; time < 2; ++time) {
    const Replayed replayed = Replay(fs, kFromTheStart);
    REQUIRE(replayed.status.message() == "");
    CHECK(replayed.sequences == UpTo(records));
    CHECK(replayed.summary.dropped_bytes == 0);
    CHECK_FALSE(AnythingDropped(fs));
    CHECK(*fs.ReadWholeFile(PathOf(2)) == bytes);            // not cut
  }
  SegmentText(3).Record(records + 1).Store(fs);              // and the log goes on behind it
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(records + 1));
}

TEST_CASE("a write over an old segment that stops at any byte gives the whole records before it, and none of the old owner's", "[wal][recycle][crash]") {
  const std::string old = OldOwner().bytes;
  SegmentText text(2);
  Head(text, 2).Record(1).Marker(1).Record(2, 4).Record(6);
  const std::string whole = text.bytes + kZeros;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    CAPTURE(size);
    FaultFileSystem fs;
    const std::string bytes = Over(old, whole.substr(0, size));
    text.Store(fs, bytes);
    // The old owner's record may end in the very bytes that the new one lacks: then that is whole.
    const auto whole_up_to = [&](std::size_t end) { return bytes.starts_with(text.bytes.substr(0, end)); };
    SequenceNumber last = 0;
    if (whole_up_to(text.starts[2])) last = 1;
    if (whole_up_to(text.starts[4])) last = 5;
    if (whole_up_to(text.bytes.size())) last = 6;
    const Replayed replayed = Replay(fs, kFromTheStart);
    REQUIRE(replayed.status.message() == "");
    CHECK(replayed.sequences == UpTo(last));
    const Replayed again = Replay(fs, kFromTheStart);
    CHECK(again.sequences == UpTo(last));
    CHECK(again.summary.dropped_bytes == 0);
  }
}

TEST_CASE("a file that has nothing but its old owner's bytes is an empty segment", "[wal][recycle]") {
  const SegmentText old = OldOwner();
  FaultFileSystem fs;
  SegmentText(4).Record(1).Marker(1).Store(fs);
  SegmentText(5).Store(fs, old.bytes);
  SegmentText(6).Record(2).Store(fs);
  SegmentText(7).Store(fs, old.bytes);
  SECTION("between others, and at the end") {
    const Replayed replayed = Replay(fs, kFromTheStart);
    REQUIRE(replayed.status.message() == "");
    CHECK(replayed.sequences == UpTo(2));
    CHECK(replayed.summary.dropped_bytes == 0);
  }
  SECTION("behind a torn tail it is left alone") {
    REQUIRE(fs.FlipBit(PathOf(6), 100).ok());
    const Replayed replayed = Replay(fs, kFromTheStart);
    CHECK(replayed.sequences == UpTo(1));
    CHECK(replayed.summary.dropped_bytes < 100);
    CHECK(*fs.ReadWholeFile(PathOf(7)) == old.bytes);
    CHECK_FALSE(fs.Exists(PathOf(7) + std::string(kDroppedSuffix)));
  }
  SECTION("but not if a later owner's head is there: it cannot have come before") {
    SegmentText later(9);
    SegmentText(3).Store(fs, Over(old.bytes, Head(later, 9).bytes));
    CHECK(Replay(fs, kFromTheStart).summary.skipped_segment == 3);
  }
}

TEST_CASE("the beginning that is missing in front of what has arrived is no end", "[wal][recycle]") {
  const SegmentText old = OldOwner();
  SegmentText text(2);
  Head(text, 2).Record(1).Record(2);
  const bool durable = GENERATE(false, true);
  if (durable) text.Marker(2);
  const std::string first = GENERATE(as<std::string>{}, "old owner's", "zeros");
  const std::size_t torn = text.starts[2];
  std::string bytes = Over(old.bytes, text.bytes);
  bytes.replace(0, torn, first == "zeros" ? std::string(torn, '\0') : old.bytes.substr(0, torn));
  FaultFileSystem fs;
  text.Store(fs, bytes);
  const Replayed replayed = Replay(fs, kFromTheStart);
  CAPTURE(durable, first);
  CHECK(replayed.sequences.empty());
  if (durable) {
    CHECK(replayed.status.code() == StatusCode::kCorruption);
    CHECK(replayed.status.message().find("wal_000002.log: damaged at offset 0") != std::string::npos);
  } else {
    CHECK(replayed.status.message() == "");
    CHECK(replayed.summary.cut_segment == 2);
    CHECK(replayed.summary.dropped_records == 1);
  }
}

TEST_CASE("an end with this segment's records behind it is damage: a page that was zeroed, or has its old bytes again", "[wal][recycle]") {
  SegmentText text(2);
  Head(text, 2).Record(1).Marker(1).Record(2).Record(3).Marker(3).Record(4);
  FaultFileSystem fs;
  std::string bytes = Over(OldOwner().bytes, text.bytes + kZeros);
  bytes.replace(text.starts[3], kLogHeaderBytes, kZeros);
  text.Store(fs, bytes);
  const Replayed replayed = Replay(fs, kFromTheStart);
  CHECK(replayed.status.code() == StatusCode::kCorruption);
  CHECK(replayed.status.message().find(fmt::format("wal_000002.log: damaged at offset {}", text.starts[3])) != std::string::npos);
  CHECK(*fs.ReadWholeFile(PathOf(2)) == bytes);
}

TEST_CASE("a changed bit in what had been synced is refused by name, whatever follows the end", "[wal][recycle]") {
  const std::string old = OldOwner().bytes;
  SegmentText text(2);
  Head(text, 2).Record(1).Record(2, 2).Marker(3).Record(4).Marker(4);
  const std::string bytes = Over(old, text.bytes + kZeros);
  for (std::size_t bit = 0; bit < 8 * (text.bytes.size() + kLogHeaderBytes); ++bit) {
    CAPTURE(bit);
    FaultFileSystem fs;
    text.Store(fs, bytes);
    REQUIRE(fs.FlipBit(PathOf(2), bit).ok());
    const Replayed replayed = Replay(fs, kFromTheStart);
    const bool in_durable = bit / 8 < text.starts[3] || (bit / 8 >= text.starts[4] && bit / 8 < text.starts[5]);
    if (in_durable && bit / 8 >= text.starts[1]) {           // a head alone loses nothing
      CHECK(replayed.status.code() == StatusCode::kCorruption);
      CHECK(*fs.ReadWholeFile(PathOf(2)) != bytes);          // the flipped bit, and nothing else
      CHECK(fs.ReadWholeFile(PathOf(2))->size() == bytes.size());
    } else if (replayed.status.ok()) {
      CHECK(replayed.sequences == UpTo(4));
    } else {
      CHECK(replayed.status.code() == StatusCode::kCorruption);
    }
  }
}

namespace {

/// Headers that could be true at every place, each of most of the file.
std::string LooksLikeRecords(std::size_t file_bytes, SequenceNumber sequence) {
  std::string old(file_bytes, '\0');
  for (std::size_t at = 0; at + kLogHeaderBytes < file_bytes; at += kLogHeaderBytes) {
    const auto length = static_cast<std::uint32_t>(std::min<std::size_t>(file_bytes - at - kLogPrefixBytes, file_bytes - (1 << 20)));
    const std::uint32_t count = 1;
    std::memcpy(old.data() + at, &length, sizeof(length));
    std::memcpy(old.data() + at + kLogPrefixBytes, &sequence, sizeof(sequence));
    std::memcpy(old.data() + at + kLogPrefixBytes + 8, &count, sizeof(count));
  }
  return old;
}

/// As many bytes as make a search pass over records, with numbers that are too large for the bytes before them, or not.
std::string AnyThatLookLikeRecords() { return LooksLikeRecords(8 << 20, GENERATE(4u, 1u << 30)); }

}  // namespace

TEST_CASE("values that were made to look like records do not keep a segment from ending", "[wal][recycle]") {
  SegmentText text(2);
  Head(text, 2).Record(1).Record(2);
  FaultFileSystem fs;
  text.Store(fs, Over(AnyThatLookLikeRecords(), text.bytes + kZeros));
  const Replayed replayed = Replay(fs, kFromTheStart);
  CHECK(replayed.status.message() == "");
  CHECK(replayed.sequences == UpTo(2));
  CHECK(replayed.summary.dropped_bytes == 0);
}

TEST_CASE("half a record over values that were made to look like records is a torn tail", "[wal][recycle][crash]") {
  SegmentText text(2);
  Head(text, 2).Record(1).Record(2).Record(3);
  const std::size_t begin = text.starts[GENERATE(0u, 1u, 3u)];         // of the segment, of its first record, of its third
  FaultFileSystem fs;
  text.Store(fs, Over(AnyThatLookLikeRecords(), text.bytes.substr(0, begin + 26)));
  const Replayed replayed = Replay(fs, kFromTheStart);
  CHECK(replayed.status.message() == "");
  CHECK(replayed.sequences == UpTo(begin == text.starts[3] ? 2 : 0));
  CHECK(replayed.summary.cut_offset == begin);
  CHECK(replayed.summary.dropped_bytes <= 1 << 20);                    // what lies behind is the old owner's
  CHECK(*fs.FileSize(PathOf(2) + std::string(kDroppedSuffix)) == replayed.summary.dropped_bytes);
  if (begin > 0) CHECK(replayed.summary.dropped_bytes == text.starts[2] - text.starts[1]);
  CHECK(*fs.FileSize(PathOf(2)) == begin);
  CHECK(Replay(fs, kFromTheStart).summary.cut_segment == 0);
}

TEST_CASE("durable writes behind values that were made to look like records are missed", "[wal][recycle]") {
  SegmentText text(2);
  Head(text, 2).Record(1).Record(2);
  const std::size_t damage = text.bytes.size();
  text.Record(3);
  text.bytes.resize(damage);
  text.bytes += Over(AnyThatLookLikeRecords(), GENERATE(as<std::string>{}, kZeros, std::string(30, 'x')));
  text.Marker(3);
  FaultFileSystem fs;
  text.Store(fs);
  const bool next_too = GENERATE(false, true);                         // in a segment of its own
  if (next_too) Head(text = SegmentText(3), 3).Record(4).Store(fs);
  const Replayed replayed = Replay(fs, kFromTheStart);
  CHECK(replayed.status.code() == StatusCode::kCorruption);
  CHECK(replayed.status.message().find(fmt::format("wal_000002.log: damaged at offset {}", damage)) != std::string::npos);
  const Replayed skipped = Replay(fs, {.skip_corruption = true, .flushed_sequence = 0, .flushed_sequence_known = true});
  CHECK(skipped.status.message() == "");
  CHECK(skipped.sequences == (next_too ? std::vector<SequenceNumber>{1, 2, 4} : UpTo(2)));
}

// ---- the writer

TEST_CASE("a segment is written over an older one's file once that is below the floor, and closing cuts off what is left of it", "[wal][recycle]") {
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec, WalFsync::kNo);
  FaultFileSystem fs;
  std::uint64_t recycled = 0;
  {
    const auto wal = OpenWal(fs, mode, Clock::System(), 1, 0, 30'000);
    for (std::uint64_t segment = 1; segment <= 12; ++segment) {
      for (int i = 0; i < 40 - 3 * static_cast<int>(segment); ++i) AppendOne(*wal, 1, 500);
      REQUIRE(wal->Sync().ok());
      Eventually([&] { return wal->RotationReady(); });
      wal->Rotate();
      REQUIRE(wal->Sync().ok());
      Eventually([&] { return wal->RotationReady(); });
      REQUIRE(wal->RemoveSegmentsBelow(segment).ok());
      CHECK(wal->stats().recycler.spare_segments <= SegmentRecycler::kMostSpares);
      REQUIRE(Replay(fs, {.read_only = true}, segment).status.message() == "");
    }
    recycled = wal->stats().recycler.recycled;
    AppendOne(*wal);
    REQUIRE(wal->Close().ok());
  }
  CHECK(recycled >= 8);
  const std::vector<std::string> names = fs.ListDirectory(kDir).value();
  CHECK(std::ranges::none_of(names, [](const std::string& name) { return ParseSpareFileName(name).has_value(); }));
  const Replayed replayed = Replay(fs, {}, 12);
  CHECK(replayed.summary.bytes == *fs.FileSize(PathOf(12)) + *fs.FileSize(PathOf(13)));
}

TEST_CASE("where every small write is synced no zeros are written ahead of it as long as it goes over old bytes", "[wal][recycle]") {
  FaultFileSystem fs;
  const auto wal = OpenWal(fs, WalFsync::kAlways, Clock::System(), 1, 0, 400'000);
  const auto next = [&] {
    Eventually([&] { return wal->RotationReady(); });
    const std::uint64_t id = wal->Rotate();
    AppendOne(*wal);
    REQUIRE(wal->Sync().ok());
    return id;
  };
  AppendOne(*wal, 1, 400'000);
  REQUIRE(wal->Sync().ok());
  next();
  next();
  Eventually([&] { return wal->RotationReady(); });
  REQUIRE(wal->RemoveSegmentsBelow(2).ok());
  next();                                                      // made before there was a spare
  const std::uint64_t id = next();
  REQUIRE(wal->stats().recycler.recycled == 1);
  const std::string bytes = *fs.ReadWholeFile(PathOf(id));
  CHECK(bytes.substr(4096, 1000) == std::string(1000, 'x'));   // old ones
  CHECK(bytes.size() < 401'000);
}

TEST_CASE("a write that fails on an old segment's file is cut off, with the old bytes, and repeated", "[wal][recycle][fault]") {
  FaultFileSystem fs;
  ManualClock clock;
  const auto wal = OpenWal(fs, WalFsync::kNo, clock, 1, 0, 100'000);
  for (std::uint64_t segment = 1; segment <= 3; ++segment) {
    AppendOne(*wal, 1, 50'000);
    REQUIRE(wal->Commit().has_value());
    Eventually([&] { return wal->RotationReady(); });
    wal->Rotate();
    REQUIRE(wal->Sync().ok());
    Eventually([&] { return wal->RotationReady(); });
    REQUIRE(wal->RemoveSegmentsBelow(segment).ok());
  }
  REQUIRE(wal->stats().recycler.recycled > 0);
  fs.FailCall(1, Fault::kNoSpace, FaultSpan::kForAWhile);      // before there is anything to write: the log's thread may write, too
  AppendOne(*wal, 1, 1000);
  CHECK(wal->Commit().error().code() == StatusCode::kNoSpace);
  fs.ClearFaults();
  EventuallyInTime(clock, [&] { return wal->health().ok(); });
  REQUIRE(wal->Sync().ok());
  CHECK(Replay(fs, {.read_only = true}, 3).sequences.back() == wal->appended_sequence());
}

}  // namespace lsmkv::wal_test
