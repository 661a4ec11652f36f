#include "wal_fixture.h"

#include <random>

namespace lsmkv::wal_test {
namespace {

constexpr ReplayOptions kFromTheStart{.skip_corruption = false, .flushed_sequence = 0, .flushed_sequence_known = true};
constexpr ReplayOptions kSkip{.skip_corruption = true, .flushed_sequence = 0, .flushed_sequence_known = true};

}  // namespace

TEST_CASE("replay hands over every record from the floor on, in order", "[wal]") {
  FaultFileSystem fs;
  SegmentText(1).Record(1).Store(fs);
  SegmentText(2).Record(2, 3).Marker(4).Record(5).Store(fs);
  SegmentText(3).Store(fs);
  SegmentText(4).Record(6).Store(fs);
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(6));
  const Replayed above = Replay(fs, {.flushed_sequence = 1, .flushed_sequence_known = true}, 2);
  CHECK(above.sequences == UpTo(6, 2));
  CHECK(above.summary.last_sequence == 6);
  CHECK(above.summary.max_segment_id == 4);
  CHECK(above.summary.records == 3);
  CHECK(above.summary.entries == 5);
}

TEST_CASE("a segment says its format, and a newer one is refused by name", "[wal]") {
  FaultFileSystem fs;
  {
    const auto wal = OpenWal(fs, WalFsync::kNo);
    AppendMany(*wal, 2);
    REQUIRE(wal->Close().ok());
  }
  CHECK(fs.ReadWholeFile(PathOf(1))->find("lsmkvwal") != std::string::npos);
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(2));

  std::string bytes;
  EncodeLogRecord(&bytes, 2, 0, {0, 0, LogHeadOperations(kLogFormatVersion + 1)});
  SegmentText(2).Store(fs, bytes + "what this program does not know");
  const Replayed refused = Replay(fs, kFromTheStart);
  CHECK(refused.status.code() == StatusCode::kUnsupported);
  CHECK(refused.status.message().find(fmt::format("wal_000002.log: log format {} is newer", kLogFormatVersion + 1)) != std::string::npos);
  CHECK(Replay(fs, kSkip).status.code() == StatusCode::kUnsupported);
  CHECK(fs.ReadWholeFile(PathOf(2))->size() > bytes.size());       // untouched
}

TEST_CASE("an empty WAL replays to nothing and keeps the flushed sequence", "[wal]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDir).ok());
  const Replayed replayed = Replay(fs, {.flushed_sequence = 77, .flushed_sequence_known = true}, 5);
  CHECK(replayed.status.ok());
  CHECK(replayed.summary.last_sequence == 77);
  CHECK(replayed.summary.max_segment_id == 0);
}

TEST_CASE("a WAL cut at any byte gives the whole records before the cut, twice", "[wal]") {
  SegmentText text(1);
  text.Record(1).Record(2, 4).Record(6);
  for (std::size_t size = 0; size <= text.bytes.size(); ++size) {
    CAPTURE(size);
    FaultFileSystem fs;
    text.Store(fs, text.bytes.substr(0, size));
    SequenceNumber whole = 0;
    if (size >= text.starts[1]) whole = 1;
    if (size >= text.starts[2]) whole = 5;
    if (size == text.bytes.size()) whole = 6;
    const Replayed replayed = Replay(fs, kFromTheStart);
    REQUIRE(replayed.status.message() == "");
    CHECK(replayed.sequences == UpTo(whole));
    const Replayed again = Replay(fs, kFromTheStart);
    CHECK(again.sequences == UpTo(whole));
    CHECK(again.summary.dropped_bytes == 0);
  }
}

TEST_CASE("zeros after the last record are a clean end", "[wal]") {
  FaultFileSystem fs;
  SegmentText text(1);
  text.Record(1).Record(2);
  for (const std::size_t zeros : {1u, 3u, 4u, 24u, 5000u}) {
    text.Store(fs, text.bytes + std::string(zeros, '\0'));
    SegmentText(2).Record(3).Store(fs);
    const Replayed replayed = Replay(fs, kFromTheStart);
    CHECK(replayed.sequences == UpTo(3));
    CHECK(replayed.summary.dropped_bytes == 0);
  }
}

TEST_CASE("a changed bit that had been synced is refused by name, or harmless", "[wal]") {
  SegmentText text(7);
  text.Record(1).Record(2, 2).Marker(3).Record(4).Marker(4);
  for (std::size_t bit = 0; bit < 8 * text.bytes.size(); ++bit) {
    CAPTURE(bit);
    FaultFileSystem fs;
    text.Store(fs);
    REQUIRE(fs.FlipBit(PathOf(7), bit).ok());
    const Replayed replayed = Replay(fs, kFromTheStart);
    if (!replayed.status.ok()) {
      const std::size_t place = bit / 8 < text.starts[1] ? 0 : bit / 8 < text.starts[2] ? text.starts[1] : text.starts[3];
      CHECK(replayed.status.code() == StatusCode::kCorruption);
      CHECK(replayed.status.message().find("wal_000007.log: damaged at offset " + std::to_string(place)) !=
            std::string::npos);
      CHECK(replayed.status.message().find("wal-skip-corruption yes") != std::string::npos);
      CHECK(*fs.FileSize(PathOf(7)) == text.bytes.size());
    } else {
      CHECK(bit / 8 >= text.starts[2]);   // only a marker's bits lose nothing
      CHECK(replayed.sequences == UpTo(4));
    }
  }
}

TEST_CASE("what is damaged and was never synced is cut off with all that follows", "[wal]") {
  SegmentText first(1), second(2), third(3);
  first.Record(1).Marker(1).Record(2).Record(3);
  second.Record(4).Marker(1);
  third.Record(5);
  for (std::size_t bit = 8 * first.starts[2]; bit < 8 * first.starts[3]; bit += 5) {
    CAPTURE(bit);
    FaultFileSystem fs;
    for (const SegmentText* text : {&first, &second, &third}) text->Store(fs);
    REQUIRE(fs.FlipBit(PathOf(1), bit).ok());
    const Replayed replayed = Replay(fs, kFromTheStart);
    REQUIRE(replayed.status.message() == "");
    CHECK(replayed.sequences == UpTo(1));
    CHECK(replayed.summary.dropped_records == 3);
    CHECK(replayed.summary.max_segment_id == 3);
    CHECK(*fs.FileSize(PathOf(1)) == first.starts[2]);
    CHECK(*fs.ReadWholeFile(PathOf(2) + ".dropped") == second.bytes);
    CHECK(fs.ReadWholeFile(PathOf(1) + ".dropped")->size() == first.bytes.size() - first.starts[2]);
    const Replayed again = Replay(fs, kFromTheStart);
    CHECK(again.sequences == UpTo(1));
    CHECK(again.summary.max_segment_id == 3);
  }
}

TEST_CASE("of what was set aside the newest stay, and no id is used again", "[wal]") {
  FaultFileSystem fs;
  for (std::uint64_t id = 1; id <= 7; ++id) {
    SegmentText(id).Record(id).Store(fs);
    REQUIRE(fs.Rename(PathOf(id), PathOf(id) + ".dropped").ok());
  }
  SegmentText(9).Record(1).Store(fs);
  const Replayed replayed = Replay(fs, kFromTheStart);
  REQUIRE(replayed.status.message() == "");
  for (std::uint64_t id = 1; id <= 7; ++id) {
    CAPTURE(id);
    CHECK(fs.FileSize(PathOf(id) + ".dropped").has_value() == (id > 3));
  }
  CHECK(replayed.summary.max_segment_id == 9);
}

TEST_CASE("wal-skip-corruption goes on at the next good record", "[wal]") {
  FaultFileSystem fs;
  SegmentText text(1);
  text.Record(1).Record(2, 2).Record(4).Marker(4);
  text.Store(fs);
  SegmentText(2).Record(5).Store(fs);
  REQUIRE(fs.FlipBit(PathOf(1), 8 * (text.starts[1] + 30)).ok());
  CHECK(Replay(fs, kFromTheStart).status.code() == StatusCode::kCorruption);
  const Replayed skipped = Replay(fs, kSkip);
  REQUIRE(skipped.status.ok());
  CHECK(skipped.sequences == std::vector<SequenceNumber>{1, 4, 5});
  CHECK(skipped.summary.skipped_bytes == text.starts[2] - text.starts[1]);
}

TEST_CASE("skipped numbers are not given out again", "[wal]") {
  FaultFileSystem fs;
  SegmentText text(1);
  text.Record(1).Record(2).Marker(2);
  text.Store(fs);
  REQUIRE(fs.FlipBit(PathOf(1), 8 * text.starts[1] + 1).ok());
  const Replayed skipped = Replay(fs, kSkip);
  CHECK(skipped.sequences == UpTo(1));
  CHECK(skipped.summary.last_sequence == 2);
}

TEST_CASE("a log that ends before what was noted to be durable is refused", "[wal]") {
  FaultFileSystem fs;
  SegmentText text(1);
  text.Record(1).Record(2).Record(3).Marker(3);
  text.Store(fs);
  DurableNote note(fs, kDir);
  REQUIRE(note.Write(3).ok());
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(3));
  const auto kept = GENERATE(0, 1, 2);               // whole records
  const std::size_t cut = text.starts[static_cast<std::size_t>(kept)] + static_cast<std::size_t>(GENERATE(0, 5));
  REQUIRE(fs.Mutate(PathOf(1), [&](std::string& bytes) { bytes.resize(cut); }).ok());
  const Replayed refused = Replay(fs, kFromTheStart);
  CHECK(refused.status.code() == StatusCode::kCorruption);
  CHECK(refused.status.message().starts_with(PathOf(1) + ": "));
  CHECK(refused.status.message().find("offset ") != std::string::npos);
  CHECK(fs.FileSize(PathOf(1)).value_or(0) == cut);   // nothing was set aside
  SECTION("skipping goes on without it") {
    const Replayed skipped = Replay(fs, kSkip);
    CHECK(skipped.status.message() == "");
    CHECK(skipped.sequences == UpTo(static_cast<SequenceNumber>(kept)));
    CHECK(skipped.summary.last_sequence == 3);
    CHECK(skipped.summary.lost_writes);
    CHECK(Replay(fs, kSkip).sequences == skipped.sequences);   // had the start been cut short
    REQUIRE(note.Remove().ok());                               // as the engine does once the rest is in tables
    CHECK(Replay(fs, kFromTheStart).status.message() == "");
  }
  SECTION("a damaged note says nothing") {
    REQUIRE(fs.FlipBit(kDir + "/" + std::string(kDurableNoteName), 8 * 18).ok());
    CHECK(Replay(fs, kFromTheStart).status.message() == "");
  }
}

TEST_CASE("damage that costs nothing does not hide that the log ends before what was noted", "[wal]") {
  FaultFileSystem fs;
  SegmentText text(1);
  text.Record(1).Record(2).Marker(2).Record(3).Record(4).Record(5);
  text.Store(fs);
  REQUIRE(DurableNote(fs, kDir).Write(5).ok());
  REQUIRE(fs.FlipBit(PathOf(1), 8 * (text.starts[2] + 6)).ok());         // the marker
  const Replayed harmless = Replay(fs, kFromTheStart);
  CHECK(harmless.status.message() == "");
  CHECK(harmless.sequences == UpTo(5));
  CHECK(harmless.summary.skipped_bytes > 0);
  REQUIRE(fs.Mutate(PathOf(1), [&](std::string& bytes) { bytes.resize(text.starts[4]); }).ok());
  CHECK(Replay(fs, kFromTheStart).status.code() == StatusCode::kCorruption);
  const Replayed skipped = Replay(fs, kSkip);
  CHECK(skipped.sequences == UpTo(3));
  CHECK(skipped.summary.lost_writes);
  CHECK(skipped.summary.last_sequence == 5);
}

TEST_CASE("a note that the log has gone beyond changes nothing", "[wal]") {
  FaultFileSystem fs;
  SegmentText(1).Record(1).Record(2).Store(fs);
  REQUIRE(DurableNote(fs, kDir).Write(1).ok());
  REQUIRE(fs.Mutate(PathOf(1), [](std::string& bytes) { bytes.resize(bytes.size() - 1); }).ok());
  const Replayed torn = Replay(fs, kFromTheStart);   // the second was never closed over
  CHECK(torn.status.message() == "");
  CHECK(torn.sequences == UpTo(1));
}

TEST_CASE("a gap in the sequence numbers is damage at that place", "[wal]") {
  FaultFileSystem fs;
  SegmentText(1).Record(1).Store(fs);
  SECTION("proven by a marker: a lost segment is corruption") {
    SegmentText(3).Record(3).Marker(3).Store(fs);
    const Replayed replayed = Replay(fs, kFromTheStart);
    CHECK(replayed.status.code() == StatusCode::kCorruption);
    CHECK(replayed.status.message().find("wal_000003.log is gone") != std::string::npos);
    CHECK(Replay(fs, kSkip).sequences == std::vector<SequenceNumber>{1, 3});
  }
  SECTION("not proven: the tail of a power cut") {
    SegmentText(3).Record(3).Marker(1).Store(fs);
    const Replayed replayed = Replay(fs, kFromTheStart);
    CHECK(replayed.sequences == UpTo(1));
    CHECK(replayed.summary.dropped_records == 1);
  }
  SECTION("a marker alone tells of a lost record") {
    SegmentText(3).Marker(2).Store(fs);
    CHECK(Replay(fs, kFromTheStart).status.code() == StatusCode::kCorruption);
    CHECK(Replay(fs, kSkip).summary.last_sequence == 2);
  }
}

TEST_CASE("the first record of the floor segment may be lost too", "[wal]") {
  FaultFileSystem fs;
  SegmentText text(5);
  text.Record(101).Record(102).Marker(100);
  SECTION("never synced") {
    text.Store(fs);
    REQUIRE(fs.FlipBit(PathOf(5), 100).ok());
    for (const bool known : {true, false}) {
      CHECK(Replay(fs, {.flushed_sequence = 100, .flushed_sequence_known = known}, 5).sequences.empty());
    }
  }
  SECTION("synced") {
    text.Marker(102).Store(fs);
    REQUIRE(fs.FlipBit(PathOf(5), 100).ok());
    for (const bool known : {true, false}) {
      CHECK(Replay(fs, {.flushed_sequence = 100, .flushed_sequence_known = known}, 5).status.code() ==
            StatusCode::kCorruption);
    }
  }
  SECTION("already flushed by a flush that overtook an older one") {
    text.Store(fs);
    CHECK(Replay(fs, {.flushed_sequence = 101, .flushed_sequence_known = true}, 5).sequences == UpTo(102, 101));
  }
}

TEST_CASE("a WAL inside a value is not taken for records", "[wal]") {
  SegmentText inner(1);
  inner.Record(1).Record(2).Record(3).Marker(3);
  std::string bytes;
  EncodeLogRecord(&bytes, 1, 0, {1, 1, "kv" + inner.bytes});
  FaultFileSystem fs;
  for (std::size_t cut = 1; cut < 40; ++cut) {
    SegmentText(1).Store(fs, bytes.substr(0, bytes.size() - cut));
    const Replayed replayed = Replay(fs, kFromTheStart);
    CHECK(replayed.status.ok());
    CHECK(replayed.sequences.empty());
  }
}

TEST_CASE("replay of random bytes neither fails to end nor invents records", "[wal]") {
  const auto seed = GENERATE(range(0u, 8u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::string bytes(200'000, '\0');
  for (char& byte : bytes) byte = static_cast<char>(seed % 2 == 0 ? random() : random() % 3);
  FaultFileSystem fs;
  SegmentText(1).Store(fs, bytes);
  const Replayed replayed = Replay(fs, kFromTheStart);
  CHECK(replayed.status.ok());
  CHECK(replayed.sequences.empty());
}

namespace {

/// The third record of `first` is damaged.
void StoreBoth(FaultFileSystem& fs, SegmentText& first, SegmentText& second) {
  REQUIRE(fs.CreateDirectories(kDir).ok());
  REQUIRE(fs.SyncDirectory("").ok());
  REQUIRE(fs.SyncDirectory("db").ok());
  first.Store(fs);
  second.Store(fs);
  REQUIRE(fs.FlipBit(PathOf(1), 8 * first.starts[2]).ok());
}

}  // namespace

TEST_CASE("on a full disk the tail is dropped without a copy, and the start goes on", "[wal][space]") {
  SegmentText first(1), second(2);
  first.Record(1).Marker(1).Record(2).Record(3);
  second.Record(4);
  FaultFileSystem fs;
  StoreBoth(fs, first, second);
  const auto room = static_cast<std::uint64_t>(GENERATE(0, 1, 30));     // for none of the copy, or a part
  const bool no_names_either = GENERATE(false, true);
  fs.SetCapacity(first.bytes.size() + second.bytes.size() + room);
  if (no_names_either) fs.FailCall(1, Fault::kNoSpace, FaultSpan::kFromThenOn);
  const Replayed replayed = Replay(fs, kFromTheStart);
  REQUIRE(replayed.status.message() == "");
  CHECK(replayed.sequences == UpTo(1));
  CHECK(*fs.FileSize(PathOf(1)) == first.starts[2]);
  CHECK_FALSE(fs.Exists(PathOf(1) + ".dropped"));      // no half copy
  CHECK_FALSE(fs.Exists(PathOf(2)));
  CHECK(fs.Exists(PathOf(2) + ".dropped") == !no_names_either);
  fs.PowerCut(1, CutMode::kLost);
  const Replayed again = Replay(fs, kFromTheStart);
  REQUIRE(again.status.message() == "");
  CHECK(again.sequences == UpTo(1));
  CHECK(again.summary.dropped_bytes == 0);
}

TEST_CASE("on a full disk a tail behind lost writes stays where it is, and the start goes on", "[wal][space]") {
  SegmentText text(1);
  text.Record(1).Record(2).Marker(2).Record(3).Record(4);
  FaultFileSystem fs;
  text.Store(fs);
  for (const std::size_t record : {1u, 3u}) REQUIRE(fs.FlipBit(PathOf(1), 8 * (text.starts[record] + 30)).ok());
  fs.SetCapacity(text.bytes.size());
  const Replayed skipped = Replay(fs, kSkip);
  REQUIRE(skipped.status.message() == "");
  CHECK(skipped.summary.lost_writes);
  CHECK(*fs.FileSize(PathOf(1)) == text.bytes.size());
  CHECK_FALSE(fs.Exists(PathOf(1) + ".dropped"));
}

TEST_CASE("setting a tail aside survives a crash at any call", "[wal][crash]") {
  SegmentText first(1), second(2);
  first.Record(1).Marker(1).Record(2).Record(3);
  second.Record(4);
  bool all_done = false;
  for (std::uint64_t call = 1; !all_done; ++call) {
    for (const CutMode mode : {CutMode::kLost, CutMode::kKept, CutMode::kNamesKept, CutMode::kOutOfOrder}) {
      CAPTURE(call, static_cast<int>(mode));
      FaultFileSystem fs;
      StoreBoth(fs, first, second);
      fs.FailCall(call, Fault::kWriteError, FaultSpan::kFromThenOn);
      const Replayed replayed = Replay(fs, kFromTheStart);
      all_done = replayed.status.ok();
      fs.ClearFaults();
      fs.PowerCut(call, mode);
      const Replayed again = Replay(fs, kFromTheStart);
      REQUIRE(again.status.message() == "");
      REQUIRE(again.sequences == UpTo(1));
    }
  }
}

}  // namespace lsmkv::wal_test
