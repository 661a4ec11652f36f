// The check of a log that is in use: what it must find, and what it must not take for damage.
#include "wal_fixture.h"

#include <functional>
#include <optional>

#include "engine/wal/aside_file.h"
#include "engine/wal/log_check.h"

using namespace lsmkv;
using namespace lsmkv::wal_test;

namespace {

SegmentText& Head(SegmentText& segment, std::uint64_t id) {
  segment.starts.push_back(segment.bytes.size());
  EncodeLogRecord(&segment.bytes, id, segment.bytes.size(), {0, 0, LogHeadOperations()});
  return segment;
}

/// Two closed segments and an open one, in which 9 is written and not known to be durable.
struct Log {
  Log() {
    REQUIRE(fs.CreateDirectories(kDir).ok());
    Head(first, 3).Record(1, 2).Marker(2).Record(3).Record(4).Marker(4).Store(fs);
    Head(second, 4).Record(5).Marker(5).Record(6).Marker(6).Store(fs);
    Head(third, 6).Record(7, 2).Marker(8).Record(9).Store(fs);
    extent.durable_sequence = 8;
    extent.open = {{6, third.bytes.size()}};
  }

  LogCheckSummary Check(const std::function<void()>& on_read = {}) {
    damage.clear();
    LogCheckHooks hooks;
    hooks.on_read = [&](std::uint64_t) {
      if (on_read) on_read();
      return true;
    };
    hooks.on_damage = [&](std::uint64_t segment, const Status& status) {
      segments.push_back(segment);
      damage.push_back(status.message());
    };
    hooks.given_up_below = [&] { return given_up_below; };
    return CheckLog(fs, kDir, beginning, extent, hooks);
  }

  FaultFileSystem fs;
  SegmentText first{3}, second{4}, third{6};
  LogBeginning beginning{3, 0};
  LogExtent extent;
  std::uint64_t given_up_below = 0;
  std::vector<std::string> damage;
  std::vector<std::uint64_t> segments;
};

}  // namespace

TEST_CASE("a check of a whole log reads what is vouched for, and finds nothing", "[wal][log_check]") {
  Log log;
  const LogCheckSummary summary = log.Check();
  CHECK(log.damage.empty());
  CHECK(summary.segments == 3);
  CHECK(summary.records == 6);                // not the one that is not durable
  CHECK(summary.gone == 0);
  const std::uint64_t read = log.first.bytes.size() + log.second.bytes.size() + log.third.starts[2];
  CHECK(summary.bytes == read);               // closed ones wholly, the open one up to its last durable record
  log.beginning = {3, 1};                     // the first batch is in tables, in part
  CHECK((log.Check(), log.damage.empty()));
  log.beginning = {3, std::nullopt};
  CHECK((log.Check(), log.damage.empty()));
}

TEST_CASE("any bit of what is vouched for is missed when it is turned over, and no other", "[wal][log_check]") {
  Log log;
  for (const std::uint64_t id : {3u, 4u, 6u}) {
    const std::uint64_t bytes = log.fs.FileSize(PathOf(id)).value_or(0);
    const std::uint64_t vouched = id == 6 ? log.third.starts[2] : bytes;
    for (std::uint64_t bit = 0; bit < 8 * bytes; ++bit) {
      CAPTURE(id, bit);
      REQUIRE(log.fs.FlipBit(PathOf(id), bit).ok());
      log.Check();
      CHECK(log.damage.size() == (bit < 8 * vouched ? 1 : 0));
      if (!log.damage.empty()) {
        CHECK(log.damage[0].starts_with(PathOf(id) + ": offset "));
        CHECK(log.segments.back() == id);
      }
      REQUIRE(log.fs.FlipBit(PathOf(id), bit).ok());
    }
  }
}

TEST_CASE("a segment that is cut short or gone is missed, wherever it lies", "[wal][log_check]") {
  for (const std::uint64_t id : {3u, 4u, 6u}) {
    CAPTURE(id);
    Log cut;
    const SegmentText& segment = id == 3 ? cut.first : id == 4 ? cut.second : cut.third;
    REQUIRE(cut.fs.Truncate(PathOf(id), segment.starts[1]).ok());
    cut.Check();
    REQUIRE(cut.damage.size() == 1);
    CHECK(cut.damage[0].starts_with(PathOf(id) + ": offset "));
    Log gone;
    REQUIRE(gone.fs.RemoveFile(PathOf(id)).ok());
    gone.Check();
    CHECK(gone.damage.size() == 1);
    Log all_zeros;
    REQUIRE(all_zeros.fs.Mutate(PathOf(id), [](std::string& bytes) { bytes.assign(bytes.size(), '\0'); }).ok());
    all_zeros.Check();
    CHECK(all_zeros.damage.size() == 1);
  }
}

TEST_CASE("several damaged places of a log are all told", "[wal][log_check]") {
  Log log;
  REQUIRE(log.fs.FlipBit(PathOf(3), 8 * (log.first.starts[1] + 20)).ok());
  REQUIRE(log.fs.FlipBit(PathOf(3), 8 * (log.first.starts[4] + 20)).ok());
  REQUIRE(log.fs.FlipBit(PathOf(4), 8 * (log.second.starts[2] + 1)).ok());
  log.Check();
  CHECK(log.damage.size() == 3);
}

TEST_CASE("what lies behind the end of a segment is nobody's", "[wal][log_check]") {
  Log log;
  // The open one goes over an older one's file; of a closed one a killed process did not cut off what followed.
  log.third.Store(log.fs, log.third.bytes + std::string(24, '\0') + log.first.bytes);
  log.second.Store(log.fs, log.second.bytes + std::string(100, '\0') + log.first.bytes);
  log.Check();
  CHECK(log.damage.empty());
}

TEST_CASE("what a segment turns into after it was given up is no damage", "[wal][log_check]") {
  enum class Turn { kGone, kOverwritten };
  const auto turn = GENERATE(Turn::kGone, Turn::kOverwritten);
  const bool said = GENERATE(true, false);
  CAPTURE(static_cast<int>(turn), said);
  Log log;
  // So long that the first segment is paid for before the second is opened, and in its middle.
  SegmentText large(3);
  Head(large, 3);
  for (SequenceNumber first = 1; first <= 4; ++first) {
    EncodeLogRecord(&large.bytes, 3, large.bytes.size(), {first, 1, OperationsOf(first, 1, 3 << 20)});
  }
  large.Store(log.fs);
  int reads = 0;
  const LogCheckSummary summary = log.Check([&] {
    if (++reads != 2) return;                 // in the first segment
    if (said) log.given_up_below = 5;
    if (turn == Turn::kOverwritten)
      REQUIRE(log.fs.Mutate(PathOf(3), [](std::string& bytes) { bytes.assign(bytes.size(), 'x'); }).ok());
    REQUIRE(log.fs.Rename(PathOf(3), kDir + "/" + SpareFileName(3)).ok());
    REQUIRE(log.fs.RemoveFile(PathOf(4)).ok());
  });
  CHECK(reads >= 2);
  CHECK(log.damage.empty() == said);          // else: a test of the test: without its word it is damage
  if (said) CHECK(summary.gone == (turn == Turn::kOverwritten ? 2 : 1));
}

TEST_CASE("a batch beside the log is read with the log", "[wal][log_check]") {
  Log log;
  const std::string operations(3 << 20, 'o');
  const Result<AsideRef> aside = WriteAside(log.fs, kDir, 12, operations);
  REQUIRE(aside);
  SegmentText named(4);
  Head(named, 4).Record(5);
  EncodeLogRecord(&named.bytes, 4, named.bytes.size(), {6, 1, EncodeAside(*aside, 1)});
  named.Store(log.fs);
  const std::string path = kDir + "/" + AsideFileName(12);
  const LogCheckSummary summary = log.Check();
  CHECK(summary.asides == 1);
  CHECK(summary.bytes > operations.size());
  CHECK(log.damage.empty());
  REQUIRE(log.fs.FlipBit(path, 8 * 2'000'000 + 3).ok());
  log.Check();
  REQUIRE(log.damage.size() == 1);
  CHECK(log.damage[0].starts_with(path + ": offset 0: "));
  CHECK(log.damage[0].find("sequence numbers 6 to 6") != std::string::npos);
  REQUIRE(log.fs.Truncate(path, 100).ok());
  CHECK((log.Check(), log.damage.size()) == 1);
  REQUIRE(log.fs.RemoveFile(path).ok());
  CHECK((log.Check(), log.damage.size()) == 1);
  log.given_up_below = 5;
  CHECK((log.Check(), log.damage.empty()));
}

TEST_CASE("a check ends when it is told to", "[wal][log_check]") {
  Log log;
  LogCheckHooks hooks{[](std::uint64_t) { return false; }, [](std::uint64_t, const Status&) {}, [] { return std::uint64_t{0}; }};
  CHECK(CheckLog(log.fs, kDir, log.beginning, log.extent, hooks).stopped);
}
