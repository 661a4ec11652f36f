#include "server/tick_watch.h"

#include <catch2/catch.hpp>

using namespace lsmkv;
using namespace std::chrono_literals;

TEST_CASE("a tick that clients felt is counted, one that they did not feel is not", "[tick_watch]") {
  LoopStats stats(0);
  TickWatch watch(0);
  std::chrono::microseconds now = 5s;
  const auto tick = [&](std::chrono::microseconds took) {
    watch.Began(now);
    watch.CommitTook(took / 2);
    now += took;
    watch.Ended(now, &stats);
  };
  tick(0us);
  tick(49'999us);
  CHECK(stats.slow_ticks.Get() == 0);
  tick(50ms);
  tick(3s);
  tick(1us);
  CHECK(stats.slow_ticks.Get() == 2);
}
