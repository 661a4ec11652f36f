#include "server/tick_pace.h"

#include <catch2/catch.hpp>

#include <utility>
#include <vector>

using namespace lsmkv;
using std::chrono::microseconds;
using namespace std::chrono_literals;

namespace {

/// Clients in turn: in every tick the next few of them send.
class Crowd {
 public:
  explicit Crowd(std::size_t sessions) : last_sent_(sessions, 0us) {}

  void Tick(std::size_t senders, std::uint64_t commands_each, microseconds took) {
    for (std::size_t i = 0; i < senders; ++i) {
      pace_.Received(std::exchange(last_sent_[next_], now_), now_);
      next_ = (next_ + 1) % last_sent_.size();
      commands_ += commands_each;
    }
    now_ += took;
    pace_.Ended(now_, commands_);
  }
  void For(microseconds time, std::size_t senders, std::uint64_t commands_each, microseconds took) {
    for (const microseconds end = now_ + time; now_ < end;) Tick(senders, commands_each, took);
  }
  bool MomentPays() const { return pace_.MomentPays(); }
  void Moment(microseconds took) {
    pace_.Took(now_, now_ + took);
    now_ += took;
  }
  void OneSends(std::size_t session) {
    pace_.Received(std::exchange(last_sent_[session], now_), now_);
    ++commands_;
  }

 private:
  TickPace pace_;
  std::vector<microseconds> last_sent_;
  std::size_t next_ = 0;
  std::uint64_t commands_ = 0;
  microseconds now_ = 5s;
};

}  // namespace

TEST_CASE("single requests of many clients at a high rate are let gather", "[tick_pace]") {
  Crowd crowd(50);
  CHECK_FALSE(crowd.MomentPays());
  crowd.For(3ms, 2, 1, 14us);
  CHECK(crowd.MomentPays());
  crowd.For(3ms, 20, 1, 120us);        // as they come then
  CHECK(crowd.MomentPays());
}

TEST_CASE("nobody waits for a crowd that is not there", "[tick_pace]") {
  SECTION("few clients, as fast as can be") {
    Crowd crowd(31);
    crowd.For(5ms, 1, 1, 7us);
    CHECK_FALSE(crowd.MomentPays());
  }
  SECTION("one client") {
    Crowd crowd(1);
    crowd.For(5ms, 1, 1, 4us);
    CHECK_FALSE(crowd.MomentPays());
  }
  SECTION("many that send seldom") {
    Crowd crowd(1000);
    crowd.For(50ms, 1, 1, 16us);       // 62 a millisecond
    CHECK_FALSE(crowd.MomentPays());
  }
  SECTION("pipelines") {
    Crowd crowd(50);
    crowd.For(5ms, 4, 3, 14us);
    CHECK_FALSE(crowd.MomentPays());
  }
}

TEST_CASE("a tick that has served most of the crowd goes on at once", "[tick_pace]") {
  Crowd crowd(50);
  crowd.For(3ms, 5, 1, 30us);
  REQUIRE(crowd.MomentPays());
  crowd.Tick(38, 1, 100us);
  CHECK_FALSE(crowd.MomentPays());
  crowd.Tick(37, 1, 100us);
  CHECK(crowd.MomentPays());
  crowd.Tick(0, 0, 1us);               // nor does one that has served nobody wait
  CHECK_FALSE(crowd.MomentPays());
}

TEST_CASE("a few that send most of it do not wait for the many that send little", "[tick_pace]") {
  Crowd crowd(40);
  for (int i = 0; i < 500; ++i) {
    crowd.OneSends(static_cast<std::size_t>(i) % 2);       // two in turn, each 40 us after its last
    crowd.Tick(i % 2 == 0 ? 1 : 0, 1, 20us);               // and all in turn
    CHECK_FALSE(crowd.MomentPays());
  }
}

TEST_CASE("where a moment often lasts too long there is none for a second", "[tick_pace]") {
  Crowd crowd(50);
  const auto seconds_with = [&crowd](int good_for_each_bad) {
    crowd.For(3ms, 5, 1, 30us);
    REQUIRE(crowd.MomentPays());
    for (int i = 0; i < 40; ++i) {
      crowd.Moment(1ms);
      for (int good = 0; good < good_for_each_bad; ++good) crowd.Moment(18us);
    }
    crowd.For(3ms, 5, 1, 30us);
    return crowd.MomentPays();
  };
  CHECK(seconds_with(9));
  CHECK_FALSE(seconds_with(6));
  crowd.For(950ms, 5, 1, 30us);
  CHECK_FALSE(crowd.MomentPays());
  crowd.For(100ms, 5, 1, 30us);
  CHECK(crowd.MomentPays());
}

TEST_CASE("when the crowd goes the moments end within a window", "[tick_pace]") {
  Crowd crowd(50);
  crowd.For(3ms, 5, 1, 30us);
  REQUIRE(crowd.MomentPays());
  crowd.For(2ms, 1, 1, 50us);          // the rate has fallen
  CHECK_FALSE(crowd.MomentPays());
  crowd.For(3ms, 5, 1, 30us);
  REQUIRE(crowd.MomentPays());
  crowd.Tick(1, 1, 10s);               // it slept
  CHECK_FALSE(crowd.MomentPays());
}
