#include "server/command_watch.h"

#include "loop_fixture.h"

using namespace lsmkv;

namespace {

constexpr std::uint64_t kSecond = 1'000'000;

/// With a clock that has had time to become exact.
struct WatchBench {
  WatchBench() {
    while (clock.MicrosPerCycle() == 0 || CycleClock::Now() - begun < static_cast<std::uint64_t>(2000 / clock.MicrosPerCycle())) {}
  }
  std::uint64_t Cycles(std::uint64_t microseconds) const {
    return static_cast<std::uint64_t>(static_cast<double>(microseconds) / clock.MicrosPerCycle());
  }
  void Set(std::int64_t slower_than_us, std::uint64_t threshold_ms) {
    Settings settings = DefaultSettings();
    settings.slowlog_log_slower_than_us = slower_than_us;
    settings.latency_monitor_threshold_ms = threshold_ms;
    watch.Apply(settings);
  }
  bool Asks(std::uint64_t microseconds) const { return Cycles(microseconds) >= watch.slow_cycles(); }

  const std::uint64_t begun = CycleClock::Now();
  CycleClock clock;
  CommandWatch watch{clock};
  ClientState client;
};

const CommandSpec& Spec(std::string_view name) {
  bool unknown = false;
  return *FindCommand(std::span(&name, 1), &unknown);
}

/// Empty until the loop has kept one.
std::vector<SlowLog::Entry> WaitFor(SlowLog& log, std::size_t entries) {
  while (log.size() < entries) std::this_thread::yield();
  return log.Newest(100);
}

}  // namespace

TEST_CASE("what is asked about every command follows the two thresholds", "[command_watch]") {
  WatchBench w;
  w.Set(-1, 0);
  CHECK_FALSE(w.Asks(3600 * kSecond));
  w.Set(0, 0);
  CHECK(w.Asks(0));
  w.Set(10'000, 0);
  CHECK_FALSE(w.Asks(9'000));
  CHECK(w.Asks(10'000));
  w.Set(-1, 20);
  CHECK_FALSE(w.Asks(19'000));
  CHECK(w.Asks(20'000));
  w.Set(10'000, 5);
  CHECK(w.Asks(5'000));
  CHECK_FALSE(w.Asks(4'000));
  w.Set(INT64_MAX, INT64_MAX);
  CHECK_FALSE(w.Asks(3600 * kSecond));
}

TEST_CASE("a slow command goes where it was slow enough for", "[command_watch]") {
  WatchBench w;
  w.client.address = "here";
  w.Set(50'000, 20);
  w.watch.NoteSlow(Spec("keys"), {"keys", "*"}, w.client, w.Cycles(30'000), 7'999);
  CHECK(w.watch.slow_log().size() == 0);
  w.watch.NoteSlow(Spec("get"), {"get", "k"}, w.client, w.Cycles(60'000), 8'000);
  w.watch.NoteSlow(Spec("exec"), {}, w.client, w.Cycles(90'000), 9'000);
  REQUIRE(w.watch.slow_log().size() == 1);
  const SlowLog::Entry entry = w.watch.slow_log().Newest(1).front();
  CHECK(entry->args == std::vector<std::string>{"get", "k"});
  CHECK(entry->time_s == 8);
  CHECK(std::abs(static_cast<double>(entry->duration_us) - 60'000) < 600);
  CHECK(entry->client_address == "here");
  CHECK(w.watch.latency().Series(LatencyEvent::kFastCommand).samples.size() == 1);
  CHECK(w.watch.latency().Series(LatencyEvent::kCommand).samples.size() == 2);
  w.watch.NoteSlow(Spec("get"), {"get", "k"}, w.client, static_cast<std::uint64_t>(-5), 10'000);   // two cores' counters differ
  CHECK(w.watch.slow_log().size() == 1);
}

TEST_CASE("a command's time goes into its bucket, while latency-tracking is on", "[command_watch]") {
  WatchBench w;
  CHECK_FALSE(w.watch.tracks());
  w.Set(-1, 0);
  CHECK(w.watch.tracks());
  for (std::size_t bucket = 2; bucket + 1 < kLatencyBuckets; ++bucket) {
    CAPTURE(bucket);
    CHECK(w.watch.BucketOf(w.Cycles(BucketMicros(bucket) * 97 / 100)) == bucket);
    CHECK(w.watch.BucketOf(w.Cycles(BucketMicros(bucket) * 103 / 100 + 1)) == bucket + 1);
  }
  CHECK(w.watch.BucketOf(0) == 0);
  CHECK(w.watch.BucketOf(UINT64_MAX) < kCountedBuckets);
  Settings settings = DefaultSettings();
  settings.latency_tracking = false;
  w.watch.Apply(settings);
  CHECK_FALSE(w.watch.tracks());
  w.watch.Calibrate();
  CHECK_FALSE(w.watch.tracks());
}

TEST_CASE_METHOD(LoopFixture, "commands that ran are in the slow log, in their order, wherever they ran", "[command_watch]") {
  Settings settings = DefaultSettings();
  settings.slowlog_log_slower_than_us = 0;
  command_watch.Apply(settings);
  Client client = Connect();
  // On the loop, refused, in a pool, queued and run, and EXEC itself, which is not logged.
  client.Send("CLIENT SETNAME me\r\nGET\r\nKEYS *\r\nMULTI\r\nSET a 1\r\nAUTH pw\r\nEXEC\r\nPING\r\n");
  const std::vector<SlowLog::Entry> entries = WaitFor(command_watch.slow_log(), 6);
  std::vector<std::string> lines;
  for (const SlowLog::Entry& entry : entries) {
    std::string line;
    for (const std::string& arg : entry->args) line += (line.empty() ? "" : " ") + arg;
    lines.insert(lines.begin(), line);
    CHECK(entry->client_name == "me");
  }
  CHECK(lines == std::vector<std::string>{"CLIENT SETNAME me", "KEYS *", "MULTI", "SET a 1", "AUTH (redacted)", "PING"});
  CHECK(entries.front()->id == 5);
  CHECK(entries.back()->id == 0);
}

TEST_CASE_METHOD(LoopFixture, "a large command, and one whose client has gone, are in the slow log too", "[command_watch]") {
  Settings settings = DefaultSettings();
  settings.slowlog_log_slower_than_us = 0;
  command_watch.Apply(settings);
  Client client = Connect();
  constexpr std::size_t kBytes = Engine::kLargeBatchBytes + 100;
  client.SendAll("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$" + std::to_string(kBytes) + "\r\n" + std::string(kBytes, 'x') + "\r\n");
  CHECK(client.Receive(5) == "+OK\r\n");
  const SlowLog::Entry large = WaitFor(command_watch.slow_log(), 1).front();
  CHECK(large->args == std::vector<std::string>{"SET", "k", std::string(128, 'x') + "... (" + std::to_string(kBytes - 128) + " more bytes)"});

  engine.hold_compactions = true;
  Client impatient = Connect();
  impatient.Send("LSM COMPACT\r\n");
  while (engine.compactions == 0) std::this_thread::yield();
  loop.Post([this] {
    ClientFilter filter;
    filter.id = last_id;
    loop.Kill(filter, 0);
  });
  CHECK(impatient.IsClosedByServer());
  CHECK(command_watch.slow_log().size() == 1);
  engine.hold_compactions = false;
  CHECK(WaitFor(command_watch.slow_log(), 2).front()->args == std::vector<std::string>{"LSM", "COMPACT"});
}

TEST_CASE_METHOD(LoopFixture, "a loop's histograms count every command once", "[command_watch]") {
  command_watch.Apply(DefaultSettings());
  Client client = Connect();
  client.Send("SET a 1\r\nMULTI\r\nSET a 2\r\nEXEC\r\nSET a 3\r\n");
  client.Receive(5 + 5 + 9 + 4 + 5 + 5);
  StatsTotals totals;
  loop.stats().AddTo(&totals);
  const auto& set = totals.by_command[Spec("set").index];
  std::uint64_t counted = 0;
  for (const std::uint64_t count : set.by_latency) counted += count;
  CHECK(counted == 3);
  StatsTotals since = totals;
  since.Subtract(totals);
  CHECK(since.by_command[Spec("set").index].by_latency == LatencyBuckets{});
}

TEST_CASE_METHOD(LoopFixture, "writers that waited, and loops that were busy, are events", "[command_watch]") {
  Settings settings = DefaultSettings();
  settings.latency_monitor_threshold_ms = 100;
  command_watch.Apply(settings);
  Client client = Connect();
  client.Send("PING\r\n");
  client.Receive(7);
  clock.Hold();
  engine.admission = Admission::Kind::kStop;
  client.Send("SET a 1\r\n");
  while (!engine.somebody_waits()) std::this_thread::yield();
  clock.Pass(250ms);
  engine.MakeWritable();
  CHECK(client.Receive(5) == "+OK\r\n");
  const LatencySeries stalls = command_watch.latency().Series(LatencyEvent::kWriteStall);
  REQUIRE(stalls.samples.size() == 1);
  CHECK(stalls.max_ms == 250);

  loop.Post([this] { clock.Pass(400ms); });
  while (command_watch.latency().Series(LatencyEvent::kEventLoop).max_ms < 400) std::this_thread::yield();      // the tick of above may count as well
  CHECK(command_watch.latency().Series(LatencyEvent::kEventLoop).max_ms == 400);
  CHECK(command_watch.latency().Series(LatencyEvent::kCommand).samples.empty());
}
