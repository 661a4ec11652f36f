// Random histories with full disks, power cuts and kills in between: what durable_sequence() claimed is there, what a Commit() in
// everysec or no returned for survives a kill, and what recovery returns is always a prefix of what was written.
#include "wal_fixture.h"

#include <random>

namespace lsmkv::wal_test {
namespace {

constexpr ReplayOptions kFromTheStart{.skip_corruption = false, .flushed_sequence = 0, .flushed_sequence_known = true};

/// One life of the server: random work, then the end.
struct Life {
  SequenceNumber durable = 0;
  SequenceNumber written = 0;
  SequenceNumber appended = 0;
};

Life LiveAndDie(FaultFileSystem& fs, std::mt19937_64& random, std::uint64_t segment, SequenceNumber from, bool power_cut) {
  constexpr WalFsync kModes[] = {WalFsync::kAlways, WalFsync::kEverySec, WalFsync::kNo};
  ManualClock clock;
  const std::uint64_t likely_bytes = random() % 2 * 10'000;      // known: room for it is taken ahead
  const auto wal = OpenWal(fs, kModes[random() % 3], clock, segment, from, likely_bytes);
  Life life{from, from, from};
  for (auto steps = random() % 60; steps > 0; --steps) {
    switch (random() % 14) {
      case 0: clock.Advance(std::chrono::milliseconds(random() % 1500)); break;
      case 1: static_cast<void>(wal->Sync()); break;
      case 2: if (wal->RotationReady()) wal->Rotate(); break;
      case 3: wal->SetMode(kModes[random() % 3]); break;
      case 4: case 5: case 6: {
        const SequenceNumber before = wal->appended_sequence();
        const Result<SequenceNumber> wait_for = wal->Commit();
        if (wait_for && *wait_for == 0) life.written = before;
        break;
      }
      case 7: fs.SetCapacity(random() % 3 == 0 ? random() % 60'000 : 1 << 30); break;
      default: AppendOne(*wal, 1 + static_cast<std::uint32_t>(random() % 4), random() % 3000); break;
    }
  }
  fs.SetCapacity(1 << 30);
  life.durable = wal->durable_sequence();
  life.appended = wal->appended_sequence();
  constexpr CutMode kCuts[] = {CutMode::kLost,    CutMode::kKept,    CutMode::kNamesKept,
                               CutMode::kTorn512, CutMode::kTorn4096, CutMode::kOutOfOrder};
  if (power_cut) {
    fs.PowerCut(random(), kCuts[random() % 6]);
  } else {
    fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);   // killed: not a write more
  }
  static_cast<void>(wal->Close());
  fs.ClearFaults();
  return life;
}

}  // namespace

TEST_CASE("recovery finds all that was promised, and a prefix, after any kill or power cut", "[wal][crash]") {
  const auto seed = GENERATE(range(0u, 60u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDir).ok());
  REQUIRE(fs.SyncDirectory("").ok());
  REQUIRE(fs.SyncDirectory("db").ok());
  SequenceNumber recovered = 0;
  std::uint64_t segment = 1;
  for (int life_number = 0; life_number < 8; ++life_number) {
    CAPTURE(life_number);
    const bool power_cut = random() % 2 == 0;
    const Life life = LiveAndDie(fs, random, segment, recovered, power_cut);
    if (random() % 3 == 0) {   // recovery itself is cut short once
      fs.FailCall(1 + random() % 8, Fault::kWriteError, FaultSpan::kFromThenOn);
      static_cast<void>(Replay(fs, kFromTheStart));
      fs.ClearFaults();
      if (power_cut) fs.PowerCut(random(), CutMode::kOutOfOrder);
    }
    const Replayed replayed = Replay(fs, kFromTheStart);
    REQUIRE(replayed.status.message() == "");
    REQUIRE(replayed.sequences == UpTo(replayed.last()));
    REQUIRE(replayed.last() >= life.durable);
    REQUIRE(replayed.last() <= life.appended);
    if (!power_cut) REQUIRE(replayed.last() >= life.written);
    recovered = replayed.last();
    segment = replayed.summary.max_segment_id + 1;
  }
}

}  // namespace lsmkv::wal_test
