#include "server/sync_pace.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <utility>
#include <vector>

using namespace lsmkv;
using std::chrono::microseconds;
using namespace std::chrono_literals;

namespace {

/// Clients that each send one request, wait until a sync that began later has ended, and send the next `thinks` after that.
/// The loop looks every `tick` whether somebody has sent.
class Clients {
 public:
  Clients(std::size_t count, microseconds thinks, microseconds tick, microseconds sync)
      : thinks_(thinks), tick_(tick), sync_(sync), sends_at_(count), sent_at_(count, 0us), state_(count, State::kThinks) {
    for (std::size_t i = 0; i < count; ++i) sends_at_[i] = now_ + thinks * static_cast<int>(i) / static_cast<int>(count);
  }

  void For(microseconds time) {
    for (const microseconds end = now_ + time; now_ < end; now_ += tick_) Tick();
  }
  double held_a_sync() const { return static_cast<double>(held_) / static_cast<double>(syncs_); }
  microseconds longest_wait() const { return longest_wait_; }

 private:
  enum class State : std::uint8_t { kThinks, kHeld, kSyncing };

  void Tick() {
    if (syncing_ && now_ >= sync_ends_) End();
    bool found_work = false;
    for (std::size_t i = 0; i < state_.size(); ++i) {
      if (state_[i] != State::kThinks || sends_at_[i] > now_) continue;
      pace_.Received(std::exchange(sent_at_[i], now_), now_);
      state_[i] = State::kHeld;
      if (!due_) due_since_ = now_;
      due_ = found_work = true;
      pace_.Held();
    }
    if (due_ && !syncing_ && !pace_.SyncCanWait(found_work, now_, now_ - due_since_)) Begin();
    pace_.Ended(now_);
  }
  void Begin() {
    longest_wait_ = std::max(longest_wait_, now_ - due_since_);
    std::ranges::replace(state_, State::kHeld, State::kSyncing);
    held_ += static_cast<std::size_t>(std::ranges::count(state_, State::kSyncing));
    ++syncs_;
    pace_.Begun();
    due_ = false;
    syncing_ = true;
    sync_ends_ = now_ + sync_;
  }
  void End() {
    for (std::size_t i = 0; i < state_.size(); ++i) {
      if (state_[i] != State::kSyncing) continue;
      state_[i] = State::kThinks;
      sends_at_[i] = now_ + thinks_ * static_cast<int>(i % 101 + 1) / 101;
    }
    syncing_ = false;
  }

  SyncPace pace_;
  const microseconds thinks_, tick_, sync_;
  microseconds now_ = 5s;
  std::vector<microseconds> sends_at_, sent_at_;
  std::vector<State> state_;
  bool due_ = false;
  bool syncing_ = false;
  microseconds due_since_{0}, sync_ends_{0}, longest_wait_{0};
  std::size_t syncs_ = 0, held_ = 0;
};

}  // namespace

TEST_CASE("of a crowd that keeps sending half is held by a sync", "[sync_pace]") {
  Clients clients(200, 1600us, 10us, 200us);
  clients.For(100ms);
  CHECK(clients.held_a_sync() > 80);
  CHECK(clients.longest_wait() <= SyncPace::kLongest + 200us + 10us);
}

TEST_CASE("the sync of a few clients begins when nothing is left to do", "[sync_pace]") {
  SECTION("one") {
    Clients clients(1, 50us, 10us, 200us);
    clients.For(50ms);
    CHECK(clients.longest_wait() <= 10us);
  }
  SECTION("as many as are no crowd") {
    Clients clients(SyncPace::kCrowd - 1, 800us, 10us, 200us);
    clients.For(50ms);
    CHECK(clients.longest_wait() <= 200us + 10us);       // for the sync before
  }
}

TEST_CASE("a sync waits no longer than it may, whatever comes", "[sync_pace]") {
  SyncPace pace;
  microseconds now = 5s;
  std::vector<microseconds> sent(100, 0us);
  const auto all_send = [&](microseconds each) {
    for (microseconds& before : sent) {
      now += each;
      pace.Received(std::exchange(before, now), now);
      pace.Ended(now);
    }
  };
  for (int i = 0; i < 5; ++i) all_send(40us);
  pace.Held();
  CHECK(pace.SyncCanWait(true, now, 0us));
  CHECK(pace.SyncCanWait(false, now, SyncPace::kLongest - 1us));
  CHECK_FALSE(pace.SyncCanWait(true, now, SyncPace::kLongest));
  SECTION("nothing comes any more") { CHECK_FALSE(pace.SyncCanWait(false, now + SyncPace::kQuiet, 100us)); }
  SECTION("half of them are held") {
    for (int i = 1; i < 50; ++i) pace.Held();
    CHECK_FALSE(pace.SyncCanWait(true, now, 100us));
    pace.Begun();
    CHECK(pace.SyncCanWait(true, now, 100us));
  }
  SECTION("they come seldom now") {
    all_send(100us);
    all_send(100us);
    CHECK_FALSE(pace.SyncCanWait(false, now, 0us));
  }
  SECTION("moments last too long here") {
    for (int i = 0; i < 9; ++i) pace.Took(now, now + SyncPace::kLongest + 1us);
    all_send(40us);
    all_send(40us);
    CHECK_FALSE(pace.SyncCanWait(false, now, 0us));
  }
}
