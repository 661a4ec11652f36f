#include "commands/latency_buckets.h"
#include "commands/latency_report.h"

#include "commands/command_bench.h"

namespace lsmkv {

using namespace std::chrono_literals;
using enum LatencyEvent;

TEST_CASE("the monitor keeps the longest of each second, from the threshold on", "[latency]") {
  LatencyMonitor monitor;
  monitor.Note(kCommand, 10s, 1);
  CHECK(monitor.Series(kCommand).samples.empty());   // off
  monitor.SetThreshold(10);
  CHECK(monitor.threshold_ms() == 10);
  monitor.Note(kCommand, 9'999us, 5);
  CHECK(monitor.Series(kCommand).samples.empty());
  monitor.Note(kCommand, 10ms, 5);
  monitor.Note(kCommand, 30ms, 5);
  monitor.Note(kCommand, 20ms, 5);
  monitor.Note(kCommand, 15ms, 7);
  monitor.Note(kWalSync, 12ms, 7);
  CHECK(monitor.Series(kCommand).samples == std::deque<LatencySample>{{5, 30}, {7, 15}});
  CHECK(monitor.Series(kCommand).max_ms == 30);
  monitor.SetThreshold(0);
  monitor.Note(kCommand, 10s, 9);
  CHECK(monitor.Series(kCommand).samples.size() == 2);
  CHECK(monitor.Reset(kCommand));
  CHECK_FALSE(monitor.Reset(kCommand));
  CHECK(monitor.Series(kCommand).max_ms == 0);
  CHECK(monitor.Series(kWalSync).samples.size() == 1);
}

TEST_CASE("160 samples of an event are kept, and the maximum of all", "[latency]") {
  LatencyMonitor monitor;
  monitor.SetThreshold(1);
  for (std::uint64_t second = 0; second < 200; ++second) monitor.Note(kEventLoop, second == 0 ? 9s : 1ms, second);
  const LatencySeries series = monitor.Series(kEventLoop);
  CHECK(series.samples.size() == 160);
  CHECK(series.samples.front() == LatencySample{40, 1});
  CHECK(series.max_ms == 9000);
}

TEST_CASE("a percentile is the upper end of the bucket that holds it", "[latency]") {
  LatencyBuckets buckets{};
  buckets[0] = 1;
  for (const double percentile : {0.0, 50.0, 100.0}) CHECK(MicrosAtPercentile(buckets, percentile) == Approx(1.031));
  buckets[3] = 98;
  buckets[10] = 1;
  CHECK(MicrosAtPercentile(buckets, 0) == Approx(1.031));
  CHECK(MicrosAtPercentile(buckets, 1) == Approx(1.031));
  CHECK(MicrosAtPercentile(buckets, 2) == Approx(8.255));
  CHECK(MicrosAtPercentile(buckets, 99) == Approx(8.255));
  CHECK(MicrosAtPercentile(buckets, 99.9) == Approx(1056.767));
  buckets = {};
  buckets[kLatencyBuckets - 1] = 1ull << 40;
  CHECK(MicrosAtPercentile(buckets, 100) == Approx(2'216'203'124.735));
}

TEST_CASE("every event has its name", "[latency]") {
  for (std::size_t i = 0; i < kLatencyEvents; ++i) {
    const auto event = static_cast<LatencyEvent>(i);
    CHECK(FindLatencyEvent(NameOf(event)) == event);
  }
  CHECK_FALSE(FindLatencyEvent("Command").has_value());
}

TEST_CASE("LATENCY's replies about events", "[latency]") {
  CommandBench bench;
  LatencyMonitor& monitor = bench.server.latency_monitor();
  CHECK(bench.Run({"latency", "latest"}) == "*0\r\n");
  CHECK(bench.Run({"latency", "doctor"}).find("is off") != std::string::npos);
  monitor.SetThreshold(10);
  CHECK(bench.Run({"latency", "doctor"}).find("Nothing took 10 ms") != std::string::npos);
  monitor.Note(kFastCommand, 40ms, 900);
  monitor.Note(kFastCommand, 20ms, 910);
  monitor.Note(kCommand, 11ms, 920);
  CHECK(bench.Run({"latency", "latest"}) ==
        "*2\r\n*4\r\n$7\r\ncommand\r\n:920\r\n:11\r\n:11\r\n*4\r\n$12\r\nfast-command\r\n:910\r\n:20\r\n:40\r\n");
  CHECK(bench.Run({"latency", "history", "fast-command"}) == "*2\r\n*2\r\n:900\r\n:40\r\n*2\r\n:910\r\n:20\r\n");
  CHECK(bench.Run({"latency", "history", "nosuch"}) == "*0\r\n");
  CHECK(bench.Run({"latency", "history"}) == "-ERR wrong number of arguments for 'latency|history' command\r\n");
  CHECK(bench.Run({"latency", "graph", "nosuch"}) == "-ERR No samples available for event 'nosuch'\r\n");
  CHECK(bench.Run({"latency", "graph", "wal-sync"}) == "-ERR No samples available for event 'wal-sync'\r\n");
  const std::string doctor = bench.Run({"latency", "doctor"});
  CHECK(doctor.find("fast-command: 2 seconds with spikes since 100s ago, the last 90s ago; 30 ms on average, 40 ms at worst") != std::string::npos);
  CHECK(bench.Run({"latency", "reset", "fast-command", "nosuch", "wal-sync"}) == ":1\r\n");
  CHECK(bench.Run({"latency", "reset"}) == ":1\r\n");
  CHECK(bench.Run({"latency", "reset"}) == ":0\r\n");
}

TEST_CASE("LATENCY GRAPH draws the samples in their order, each as high as it was long", "[latency]") {
  const LatencySeries series{{{100, 800}, {160, 200}, {200, 1}}, 900};
  CHECK(LatencyGraph(kCommand, series, 220) ==
        "command - high 800 ms, low 1 ms (all time high 900 ms)\n" + std::string(80, '-') +
            "\n#  \n#  \n#  \n#  \n#  \n#  \n## \n###\n\nfrom 2m ago to 20s ago\n");
}

TEST_CASE("LATENCY HISTOGRAM counts up, and leaves empty buckets out", "[latency]") {
  CommandBench bench;
  CHECK(bench.Run({"latency", "histogram"}) == "*0\r\n");
  const auto index_of = [](std::vector<std::string_view> words) {
    bool unknown = false;
    return FindCommand(words, &unknown)->index;
  };
  LatencyBuckets& get = bench.server.latencies[index_of({"get"})];
  get[0] = 5;
  get[5] = 2;
  get[kLatencyBuckets - 1] = 1;
  bench.server.latencies[index_of({"config", "get"})][1] = 1;
  const std::string get_reply = "$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:8\r\n$14\r\nhistogram_usec\r\n*6\r\n:1\r\n:5\r\n:33\r\n:7\r\n:2216203124\r\n:8\r\n";
  const std::string config_reply = "$10\r\nconfig|get\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n*2\r\n:2\r\n:1\r\n";
  CHECK(bench.Run({"latency", "histogram"}) == "*4\r\n" + config_reply + get_reply);
  CHECK(bench.Run({"latency", "histogram", "GET", "set", "nosuch", "nosuch|get"}) == "*2\r\n" + get_reply);
  CHECK(bench.Run({"latency", "histogram", "config"}) == "*2\r\n" + config_reply);
  CHECK(bench.Run({"latency", "histogram", "Config|Get", "config|set"}) == "*2\r\n" + config_reply);
  bench.client.protocol = 3;
  CHECK(bench.Run({"latency", "histogram", "config|get"}) ==
        "%1\r\n$10\r\nconfig|get\r\n%2\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n%1\r\n:2\r\n:1\r\n");
}

}  // namespace lsmkv
