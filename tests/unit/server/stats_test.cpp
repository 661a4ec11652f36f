#include "server/stats.h"

#include <catch2/catch.hpp>

#include "server/client_filter.h"
#include "server/pause_gate.h"

using namespace lsmkv;

TEST_CASE("errors are counted by their first word", "[stats]") {
  LoopStats stats(1);
  stats.CountError("-ERR no\r\n");
  stats.CountError("-ERR again\r\n");
  stats.CountError("-WRONGTYPE\r\n");
  StatsTotals totals;
  stats.AddTo(&totals);
  CHECK(totals.errors == std::map<std::string, std::uint64_t>{{"ERR", 2}, {"WRONGTYPE", 1}});
  CHECK(totals.error_replies == 3);
}

TEST_CASE("totals after a reset are what came after it", "[stats]") {
  LoopStats stats(2);
  stats.commands.Add(5);
  stats.by_command[1].calls.Add(3);
  stats.CountError("-ERR x\r\n");
  StatsTotals baseline;
  stats.AddTo(&baseline);
  stats.commands.Add(2);
  stats.by_command[1].calls.Add();
  StatsTotals totals;
  stats.AddTo(&totals);
  totals.Subtract(baseline);
  CHECK(totals.commands == 2);
  CHECK(totals.by_command[1].calls == 1);
  CHECK(totals.errors.empty());
}

TEST_CASE("made-up error codes do not fill the memory", "[stats]") {
  LoopStats stats(1);
  for (int i = 0; i < 1000; ++i) stats.CountError("-E" + std::to_string(i) + " x\r\n");
  StatsTotals totals;
  stats.AddTo(&totals);
  CHECK(totals.errors.size() == 128);
  CHECK(totals.error_replies == 1000);
}

TEST_CASE("CLIENT PAUSE holds what it says, and until then", "[pause]") {
  using namespace std::chrono_literals;
  PauseGate gate;
  CHECK_FALSE(gate.Holds(kWrite, 10ms));
  gate.Pause(10ms, 90, PauseMode::kWrite);
  CHECK(gate.Holds(kWrite | kFast, 99ms));
  CHECK_FALSE(gate.Holds(kReadOnly, 99ms));
  CHECK_FALSE(gate.Holds(kWrite, 100ms));
  gate.Pause(10ms, 40, PauseMode::kAll);   // does not end sooner than the first
  CHECK(gate.Holds(kReadOnly, 99ms));
  gate.Unpause();
  CHECK_FALSE(gate.Holds(kWrite, 10ms));
  gate.Pause(10ms, std::numeric_limits<std::int64_t>::max(), PauseMode::kAll);
  CHECK(gate.Holds(kReadOnly, 1'000'000h));
}

TEST_CASE("a client filter matches when every field it has does", "[client_filter]") {
  ClientState client;
  client.id = 7;
  client.address = "127.0.0.1:5000";
  client.created_ms = 10'000;
  const auto matches = [&](auto change) {
    ClientFilter filter;
    change(filter);
    return Matches(filter, client, 20'000);
  };
  CHECK(matches([](ClientFilter&) {}));
  CHECK(matches([](ClientFilter& f) { f.id = 7; }));
  CHECK_FALSE(matches([](ClientFilter& f) { f.id = 8; }));
  CHECK_FALSE(matches([](ClientFilter& f) { f.ids = {1, 2}; }));
  CHECK(matches([](ClientFilter& f) { f.address = "127.0.0.1:5000"; }));
  CHECK_FALSE(matches([](ClientFilter& f) { f.skip_id = 7; }));
  CHECK_FALSE(matches([](ClientFilter& f) { f.type = "pubsub"; }));
  CHECK(matches([](ClientFilter& f) { f.max_age_seconds = 10; }));
  CHECK_FALSE(matches([](ClientFilter& f) { f.max_age_seconds = 11; }));
}
