#include "engine/manifest/history.h"

#include <catch2/catch.hpp>

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
