// Random histories with full disks, power cuts, kills, failed syncs and orderly ends in between: what durable_sequence() claimed is there, what a Commit() in
// everysec or no returned for survives a kill, and what recovery returns is always a prefix of what was written. Segments fall below the floor
// meanwhile, as with flushes, and their files become new segments.
#include "wal_fixture.h"

#include <cstdlib>
#include <random>

namespace lsmkv::wal_test {
namespace {

enum class End : std::uint8_t { kPowerCut, kKill, kFailedSync, kClose };

/// One life of the server: random work, then the end.
struct Life {
  SequenceNumber durable = 0;
  SequenceNumber written = 0;
  SequenceNumber appended = 0;
  std::uint64_t recycled = 0;
  bool torn = false;                // a write may have stopped half-way, and was not cut back
};

/// What a manifest would say: all before the floor segment is in tables, for good.
struct Tables {
  std::uint64_t floor = 0;
  SequenceNumber flushed = 0;
};

/// Rotates; or gives up what is before the current segment, as after a flush of it.
void RotateOrFlush(Wal& wal, std::mt19937_64& random, Tables* tables, std::map<std::uint64_t, SequenceNumber>* begins) {
  if (random() % 3 != 0) {
    if (random() % 2 == 0) Eventually([&] { return wal.RotationReady() || !wal.healthy(); });      // else often not, on a busy machine
    if (!wal.RotationReady()) return;
    const SequenceNumber before = wal.appended_sequence();
    (*begins)[wal.Rotate()] = before;
    return;
  }
  const auto begin = begins->empty() ? begins->end() : std::next(begins->begin(), static_cast<std::ptrdiff_t>(random() % begins->size()));
  if (begin == begins->end() || begin->first <= tables->floor) return;
  *tables = {begin->first, begin->second};
  static_cast<void>(wal.RemoveSegmentsBelow(tables->floor));
}

Life LiveAndDie(FaultFileSystem& fs, std::mt19937_64& random, std::uint64_t segment, SequenceNumber from, End end, Tables* tables) {
  constexpr WalFsync kModes[] = {WalFsync::kAlways, WalFsync::kEverySec, WalFsync::kNo};
  ManualClock clock;
  const std::uint64_t likely_bytes = random() % 4 == 0 ? 0 : 10'000;      // known: room for it is taken ahead, and files are kept
  const auto wal = OpenWal(fs, kModes[random() % 3], clock, segment, from, likely_bytes);
  Life life{from, from, from};
  std::map<std::uint64_t, SequenceNumber> begins{{segment, from}};     // of each segment, what was appended before it
  for (auto steps = random() % 60; steps > 0; --steps) {
    switch (random() % 16) {
      case 0: clock.Advance(std::chrono::milliseconds(random() % 1500)); break;
      case 1: static_cast<void>(wal->Sync()); break;
      case 2: case 14: case 15: RotateOrFlush(*wal, random, tables, &begins); break;
      case 3: wal->SetMode(kModes[random() % 3]); break;
      case 4: case 5: case 6: {
        const SequenceNumber before = wal->appended_sequence();
        const Result<SequenceNumber> wait_for = wal->Commit();
        if (wait_for && *wait_for == 0) life.written = before;
        break;
      }
      case 7: {
        const bool small = random() % 3 == 0;
        fs.SetCapacity(small ? random() % 60'000 : 1 << 30);
        life.torn = life.torn || small;
        break;
      }
      default: AppendOne(*wal, 1 + static_cast<std::uint32_t>(random() % 4), random() % 3000); break;
    }
  }
  fs.SetCapacity(1 << 30);
  life.durable = wal->durable_sequence();
  life.appended = wal->appended_sequence();
  life.recycled = wal->stats().recycler.recycled;
  constexpr CutMode kCuts[] = {CutMode::kLost,    CutMode::kKept,    CutMode::kNamesKept,
                               CutMode::kTorn512, CutMode::kTorn4096, CutMode::kOutOfOrder};
  if (end == End::kPowerCut) fs.PowerCut(random(), kCuts[random() % 6]);
  if (end == End::kFailedSync) {
    fs.FailCall(1 + random() % 3, Fault::kFailedSync);             // for once, and the process is killed for it
    for (int i = 0; i < 3 && wal->health().ok(); ++i) {
      AppendOne(*wal, 1, random() % 3000);
      static_cast<void>(wal->Sync());
    }
    life.durable = wal->durable_sequence();
    life.appended = wal->appended_sequence();
    fs.ClearFaults();
  }
  if (end == End::kKill || end == End::kFailedSync) {
    const bool in_a_write = end == End::kKill && random() % 2 == 0;
    fs.FailCall(in_a_write ? 2 : 1, Fault::kWriteError, FaultSpan::kFromThenOn);   // killed: not a write more
    if (in_a_write) fs.FailCall(1, Fault::kShortWrite);                            // or a part of one
    life.torn = life.torn || in_a_write;
  }
  const Status closed = wal->Close();
  if (closed.ok()) life.durable = life.written = life.appended;
  fs.ClearFaults();
  return life;
}

void MakeDirectory(FaultFileSystem& fs) {
  REQUIRE(fs.CreateDirectories(kDir).ok());
  REQUIRE(fs.SyncDirectory("").ok());
  REQUIRE(fs.SyncDirectory("db").ok());
}

/// Several lives over one directory. Returns how many segments were written over an older one's file.
std::uint64_t RunLives(unsigned seed) {
  std::mt19937_64 random(seed);
  FaultFileSystem fs;
  MakeDirectory(fs);
  SequenceNumber recovered = 0;
  std::uint64_t segment = 1;
  std::uint64_t recycled = 0;
  Tables tables;
  for (int life_number = 0; life_number < 8; ++life_number) {
    CAPTURE(life_number);
    const auto end = static_cast<End>(random() % 7 / 2);
    const Life life = LiveAndDie(fs, random, segment, recovered, end, &tables);
    recycled += life.recycled;
    const ReplayOptions options{.skip_corruption = false, .flushed_sequence = tables.flushed, .flushed_sequence_known = true};
    bool power_was_cut = end == End::kPowerCut;
    if (random() % 3 == 0) {   // recovery itself is cut short once
      const bool by_a_sync = random() % 4 == 0;
      if (by_a_sync) fs.FailCall(1 + random() % 3, Fault::kFailedSync);
      else fs.FailCall(1 + random() % 8, Fault::kWriteError, FaultSpan::kFromThenOn);
      static_cast<void>(Replay(fs, options, tables.floor));
      fs.ClearFaults();
      power_was_cut = power_was_cut || (end == End::kFailedSync && random() % 2 == 0);
      if (power_was_cut) fs.PowerCut(random(), CutMode::kOutOfOrder);
    }
    const Replayed replayed = Replay(fs, options, tables.floor);
    REQUIRE(replayed.status.message() == "");
    const SequenceNumber last = replayed.summary.last_sequence;
    REQUIRE(replayed.sequences == UpTo(replayed.last(), tables.flushed + 1));
    REQUIRE(last >= life.durable);
    REQUIRE(last <= life.appended);
    if (!power_was_cut) {
      REQUIRE(last >= life.written);
      if (!life.torn) REQUIRE(replayed.summary.dropped_bytes == 0);            // a clean end, also among an older segment's bytes
    }
    recovered = last;
    segment = std::max(replayed.summary.max_segment_id, tables.floor) + 1;
  }
  return recycled;
}

}  // namespace

TEST_CASE("a sync that goes well after a start is true of what the last process failed to sync", "[wal][crash]") {
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec, WalFsync::kNo);
  const CutMode cut = GENERATE(CutMode::kLost, CutMode::kKept, CutMode::kTorn4096, CutMode::kOutOfOrder);
  const bool rotates = GENERATE(false, true);
  const int starts = GENERATE(1, 2);
  CAPTURE(static_cast<int>(mode), static_cast<int>(cut), rotates, starts);
  FaultFileSystem fs;
  MakeDirectory(fs);
  {
    const auto wal = OpenWal(fs, mode);
    AppendMany(*wal, 50);
    REQUIRE(wal->Sync().ok());
    if (rotates) Eventually([&] { return wal->RotationReady(); });
    AppendOne(*wal, 1, 2 << 20);                            // more than is written anew at once
    if (rotates) wal->Rotate();
    AppendOne(*wal, 3);
    fs.FailSyncs("wal_0");
    CHECK_FALSE(wal->Sync().ok());
    fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);    // killed
    IgnoreError(wal->Close(), "killed");
  }
  fs.ClearFaults();
  SequenceNumber last = 0;
  for (int start = 0; start < starts; ++start) {
    const Replayed replayed = Replay(fs);
    REQUIRE(replayed.status.message() == "");
    REQUIRE(replayed.sequences == UpTo(replayed.last()));
    last = replayed.last();
    CHECK(last >= 51);
    const auto wal = OpenWal(fs, mode, Clock::System(), replayed.summary.max_segment_id + 1, last);
    AppendOne(*wal);
    REQUIRE(wal->Sync().ok());
    ++last;
    if (start + 1 == starts) fs.PowerCut(1, cut);
  }
  const Replayed replayed = Replay(fs);
  CHECK(replayed.status.message() == "");
  CHECK(replayed.sequences == UpTo(last));
  CHECK(replayed.summary.skipped_bytes == 0);
}

TEST_CASE("only what no marker vouches for is written again at a start, and a disk that fails at that is no start", "[wal]") {
  struct Case { const char* what; std::string log; bool written; };          // digits are records, letters markers: 'b' vouches for 2
  const auto c = GENERATE(values<Case>({{"nothing", "", false}, {"all synced", "123c", false}, {"synced twice", "1a23c", false},
                                        {"one behind", "123c4", true}, {"the last sync began before", "1a234b", true}, {"never synced", "12", true}}));
  CAPTURE(c.what);
  FaultFileSystem fs;
  SegmentText segment(1);
  for (const char part : c.log) {
    if (part < 'a') segment.Record(static_cast<SequenceNumber>(part - '0'));
    else segment.Marker(static_cast<SequenceNumber>(part - 'a' + 1));
  }
  segment.Store(fs);
  const std::uint64_t appends = fs.calls(Fault::kShortWrite);
  if (c.written) {
    fs.FailCall(1, Fault::kShortWrite);
    CHECK(Replay(fs).status.code() == StatusCode::kIoError);
  }
  CHECK(Replay(fs).status.ok());
  CHECK(fs.calls(Fault::kShortWrite) == appends + (c.written ? 2 : 0));
  CHECK(*fs.ReadWholeFile(PathOf(1)) == segment.bytes);
  const std::uint64_t calls = fs.calls(Fault::kWriteError);
  CHECK(Replay(fs, {.read_only = true}).status.ok());
  CHECK(fs.calls(Fault::kWriteError) == calls);
}

TEST_CASE("recovery finds all that was promised, and a prefix, after any kill or power cut", "[wal][crash][recycle]") {
  std::uint64_t recycled = 0;
  const unsigned first = std::getenv("LSMKV_FIRST_SEED") == nullptr ? 0 : static_cast<unsigned>(std::atoi(std::getenv("LSMKV_FIRST_SEED")));
  const unsigned seeds = std::getenv("LSMKV_SEEDS") == nullptr ? 60 : static_cast<unsigned>(std::atoi(std::getenv("LSMKV_SEEDS")));
  for (unsigned seed = first; seed < first + seeds; ++seed) {
    CAPTURE(seed);
    recycled += RunLives(seed);
  }
  CHECK(recycled > seeds);       // else this shows nothing of what comes after an old segment's bytes
}

}  // namespace lsmkv::wal_test
