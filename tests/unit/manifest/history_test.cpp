#include "engine/manifest/history.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <string>
#include <vector>

#include "fs/fault_file_system.h"

using namespace lsmkv;

namespace {

HistoryEvent Event(const char* kind, std::uint64_t bytes) {
  HistoryEvent event;
  event.kind = kind;
  event.out.bytes = bytes;
  return event;
}

}  // namespace

TEST_CASE("what flushes and merges wrote is known across restarts, as far as the history goes back", "[history]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("db").ok());
  std::uint64_t since_ms = 0;
  {
    HistoryLog history(fs, "db", Clock::System());
    CHECK(history.totals().since_ms == 0);
    history.Add(Event("flush", 100));
    history.Add(Event("merge", 250));
    history.Add(Event("move", 9999));
    history.Add(Event("flush", 20));
    CHECK(history.totals().flushed_bytes == 120);
    CHECK(history.totals().merged_bytes == 250);
    since_ms = history.totals().since_ms;
    CHECK(since_ms > 0);
  }
  HistoryLog history(fs, "db", Clock::System());
  CHECK(history.totals().flushed_bytes == 120);
  CHECK(history.totals().merged_bytes == 250);
  CHECK(history.totals().since_ms == since_ms);
  // The first flush falls out when there is no room for it any more.
  for (std::size_t i = 0; i < HistoryLog::kMostLines - 3; ++i) history.Add(Event("merge", 1));
  CHECK(history.totals().flushed_bytes == 20);
  CHECK(history.totals().merged_bytes == 250 + HistoryLog::kMostLines - 3);
  CHECK(history.Last(HistoryLog::kMostLines * 2).size() == HistoryLog::kMostLines);
}

TEST_CASE("lines that say something else count for nothing", "[history]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("db").ok());
  {
    auto file = fs.NewWritableFile("db/history.jsonl");
    REQUIRE(file);
    REQUIRE((*file)->Append("{\"kind\":7,\"out\":{\"bytes\":1}}\n[1]\n{\"at\":\"yesterday\",\"kind\":\"flush\"}\n"
                            "{\"kind\":\"flush\",\"out\":{\"bytes\":-1}}\nnonsense\n").ok());
  }
  const HistoryLog history(fs, "db", Clock::System());
  CHECK(history.totals().flushed_bytes == 0);
  CHECK(history.totals().merged_bytes == 0);
  CHECK(history.totals().since_ms == 0);
}

TEST_CASE("a line tells everything about its event", "[history]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("db").ok());
  HistoryLog history(fs, "db", Clock::System());
  HistoryEvent event;
  event.kind = "merge";
  event.reason = "L0 has \"4\" sstables";
  event.in = {{0, {4, 5}, 120, 1000}, {1, {3}, 80, 900}};
  event.out = {1, {7}, 150, 1500};
  event.duration = std::chrono::microseconds(812'500);
  event.pieces = 3;
  history.Add(event);
  const std::string line = history.Last(1).at(0);
  CHECK(line.substr(line.find(",\"kind\"")) ==
        R"(,"kind":"merge","reason":"L0 has \"4\" sstables","in":[{"level":0,"count":2,"tables":[4,5],"entries":120,"bytes":1000},)"
        R"({"level":1,"count":1,"tables":[3],"entries":80,"bytes":900}],"out":{"level":1,"count":1,"tables":[7],"entries":150,"bytes":1500},)"
        R"("ms":812.5,"pieces":3})");
}

TEST_CASE("long lines are kept as far as they fit, and the file is seldom written anew and never ignored", "[history]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("db").ok());
  constexpr std::uint64_t kLineBytes = 20'000;
  constexpr std::uint64_t kEvents = 1000;
  HistoryEvent event = Event("flush", 1);
  event.reason = std::string(kLineBytes, 'x');
  std::vector<std::string> last;
  {
    HistoryLog history(fs, "db", Clock::System());
    for (std::uint64_t i = 0; i < kEvents; ++i) {
      history.Add(event);
      REQUIRE(*fs.FileSize("db/history.jsonl") <= HistoryLog::kMostFileBytes + 2 * kLineBytes);
    }
    last = history.Last(kEvents);
    CHECK(last.size() > HistoryLog::kMostLineBytes / (2 * kLineBytes));
    CHECK(last.size() * kLineBytes <= HistoryLog::kMostLineBytes);
    CHECK(history.totals().flushed_bytes == last.size());
    CHECK(fs.calls(Fault::kFailedRename) <= 2 + kEvents * kLineBytes / HistoryLog::kMostLineBytes);
  }
  const HistoryLog history(fs, "db", Clock::System());
  CHECK(history.Last(kEvents) == last);
}
