#include "engine/wal/durable_note.h"

#include <algorithm>
#include <random>

#include "wal_fixture.h"

using namespace lsmkv;
using namespace lsmkv::wal_test;

namespace {

const std::string kNote = kDir + "/" + std::string(kDurableNoteName);

}  // namespace

TEST_CASE("a note says the last that was written to it, whatever failed before", "[wal][note]") {
  const auto seed = GENERATE(range(0u, 20u));
  std::mt19937_64 random(seed);
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDir).ok());
  REQUIRE(fs.SyncDirectory(".").ok());
  DurableNote note(fs, kDir);
  SequenceNumber written = 0;
  for (SequenceNumber sequence = 1; sequence < 400; ++sequence) {
    if (random() % 10 == 0) fs.FailCall(1 + random() % 3, random() % 2 == 0 ? Fault::kWriteError : Fault::kNoSpace);
    const bool ok = note.Write(sequence).ok();
    fs.ClearFaults();
    if (ok) written = sequence;
    const SequenceNumber read = DurableNote::Read(fs, kDir);
    REQUIRE(read >= written);
    REQUIRE(read <= sequence);
  }
}

TEST_CASE("what a note says survives a power cut, and is never more than was written", "[wal][note]") {
  const auto seed = GENERATE(range(0u, 60u));
  std::mt19937_64 random(seed);
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDir).ok());
  REQUIRE(fs.SyncDirectory("db").ok());
  REQUIRE(fs.SyncDirectory(".").ok());
  SequenceNumber written = 0;
  SequenceNumber tried = 0;
  {
    DurableNote note(fs, kDir);
    const SequenceNumber last = 1 + random() % 20;
    while (tried < last)
      if (note.Write(++tried).ok()) written = tried;
    fs.FailCall(1 + random() % 2, Fault::kWriteError, FaultSpan::kFromThenOn);
    (void)note.Write(++tried);
  }
  fs.ClearFaults();
  fs.PowerCut(seed, static_cast<CutMode>(seed % (static_cast<unsigned>(CutMode::kOutOfOrder) + 1)));
  const SequenceNumber read = DurableNote::Read(fs, kDir);
  CHECK(read >= written);
  CHECK(read <= tried);
}

TEST_CASE("a note does not grow without end", "[wal][note]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDir).ok());
  DurableNote note(fs, kDir);
  for (SequenceNumber sequence = 1; sequence < 3000; ++sequence) REQUIRE(note.Write(sequence).ok());
  CHECK(DurableNote::Read(fs, kDir) == 2999);
  CHECK(fs.FileSize(kNote).value_or(0) <= DurableNote::kMostBytes);
}

TEST_CASE("of a note that was cut or changed the other lines are believed", "[wal][note]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDir).ok());
  {
    DurableNote note(fs, kDir);
    for (SequenceNumber sequence = 1; sequence <= 3; ++sequence) REQUIRE(note.Write(sequence).ok());
  }
  const std::uint64_t line = fs.FileSize(kNote).value_or(0) / 3;
  SECTION("cut") {
    REQUIRE(fs.Mutate(kNote, [&](std::string& bytes) { bytes.resize(bytes.size() - 1); }).ok());
    CHECK(DurableNote::Read(fs, kDir) == 2);
  }
  SECTION("each bit of the last line") {
    for (std::uint64_t bit = 16 * line; bit < 24 * line; ++bit) {
      REQUIRE(fs.FlipBit(kNote, bit).ok());
      REQUIRE(DurableNote::Read(fs, kDir) == 2);
      REQUIRE(fs.FlipBit(kNote, bit).ok());
    }
  }
  SECTION("removed") {
    DurableNote note(fs, kDir);
    REQUIRE(note.Remove().ok());
    REQUIRE(note.Remove().ok());
    CHECK(DurableNote::Read(fs, kDir) == 0);
  }
}

TEST_CASE("while the log is written its note is renewed every few seconds, so that a killed server's log is not cut short unnoticed",
          "[wal][note]") {
  FaultFileSystem fs;
  ManualClock clock;
  {
    auto wal = Wal::Open(fs, kDir, WalFsync::kEverySec, 1, 0, clock);
    REQUIRE(wal.has_value());
    const auto append = [&](SequenceNumber sequence) {
      (*wal)->Append(sequence, 1, OperationsOf(sequence, 1));
      REQUIRE((*wal)->Commit());
    };
    append(1);
    clock.Advance(std::chrono::seconds(1));
    Eventually([&] { return (*wal)->durable_sequence() == 1; });
    CHECK(DurableNote::Read(fs, kDir) == 0);             // not with every sync
    for (SequenceNumber sequence = 2; DurableNote::Read(fs, kDir) < 2; ++sequence) {
      clock.Advance(Wal::kNotePeriod);
      append(sequence);                                   // rings; and the second has passed
      Eventually([&] { return (*wal)->durable_sequence() == sequence; });
    }
    fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);      // it dies here
  }
  fs.ClearFaults();
  CHECK(Replay(fs).last() >= 2);
  const std::uint64_t bytes = fs.FileSize(PathOf(1)).value_or(0);
  REQUIRE(fs.Mutate(PathOf(1), [&](std::string& text) { text.resize(std::min<std::uint64_t>(bytes, 60)); }).ok());
  CHECK(Replay(fs).status.code() == StatusCode::kCorruption);
}
