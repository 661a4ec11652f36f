// When a loop lets a moment pass before it looks at its sockets again.
//
// A loop that answers faster than its clients ask finds one or two requests a tick, and then each of them pays alone for what a
// tick shares: the epoll_wait, the write to the log, and the client's own cost of waking a server that has just fallen asleep.
// When many sessions send single requests at a high rate, kMoment later there are ten or twenty, and they are served together:
// with 50 connections without pipelining on one core, 2 requests a tick became 19, SET 20 % and GET 12 % more a second, and a SET
// a tenth less CPU. A few connections, or pipelines, lose by it (what waits is then all there is), and so they are left alone.
//
//   window of 1 ms or more:  sessions that sent something >= 32,  sends >= 64 per ms,  commands per send <= 2,
//                            3 of 4 sends by sessions that had been silent for 100 us, so that it is not a few that send most
//                            -> in the next window each tick that served some, but fewer than 3/4 of those sessions is followed by a moment
//
// All of it is about the sessions of one loop: with several loops a crowd must be that much larger.
// Where a moment often lasts much longer than it should (coarse timers, a processor that others want) there is none for a second.
//
// Source  interrupt coalescing in network cards, by rate; the "delay" of group commit (Hagmann 1987; commit_delay and
//         commit_siblings in PostgreSQL).
// Threads  its loop's.
#pragma once

#include <chrono>
#include <cstdint>

#include "server/moment_watch.h"

namespace lsmkv {

class TickPace {
 public:
  static constexpr std::chrono::microseconds kMoment{15};

  /// In the tick of `now`: a session has sent something, and `before` is when it last had (or 0).
  void Received(std::chrono::microseconds before, std::chrono::microseconds now) {
    ++sends_;
    ++tick_sends_;
    if (before < window_began_) ++sessions_;
    if (now - before >= kSilence) ++unhurried_;
  }
  /// `commands`: how many the loop has run so far.
  void Ended(std::chrono::microseconds now, std::uint64_t commands) {
    served_some_ = tick_sends_ > 0 && tick_sends_ * 4 < crowd_ * 3;
    tick_sends_ = 0;
    if (now - window_began_ >= kWindow) [[unlikely]] BeginWindow(now, commands);
  }
  bool MomentPays() const { return crowd_ != 0 && served_some_; }
  /// A moment was taken from `from` to `to`.
  void Took(std::chrono::microseconds from, std::chrono::microseconds to) { watch_.Took(from, to); }

 private:
  static constexpr std::chrono::milliseconds kWindow{1};
  static constexpr std::uint64_t kCrowd = 32;
  static constexpr std::uint64_t kSendsPerMillisecond = 64;
  static constexpr std::uint64_t kCommandsPerSend = 2;
  static constexpr std::chrono::microseconds kSilence{100};
  static constexpr std::chrono::microseconds kOverslept{200};

  void BeginWindow(std::chrono::microseconds now, std::uint64_t commands) {
    const auto took = static_cast<std::uint64_t>((now - window_began_).count());
    const bool often = sends_ * 1000 >= took * kSendsPerMillisecond;
    const bool single = commands - window_commands_ <= sends_ * kCommandsPerSend;
    const bool many = sessions_ >= kCrowd && unhurried_ * 4 >= sends_ * 3;
    crowd_ = many && often && single && watch_.Fine(now) ? sessions_ : 0;
    window_began_ = now;
    window_commands_ = commands;
    sends_ = 0;
    sessions_ = 0;
    unhurried_ = 0;
  }

  std::chrono::microseconds window_began_{0};
  std::uint64_t window_commands_ = 0;    // that had run when it began
  std::uint64_t sends_ = 0;              // in this window
  std::uint64_t sessions_ = 0;           // that sent them
  std::uint64_t unhurried_ = 0;          // sends after a silence
  std::uint64_t tick_sends_ = 0;
  std::uint64_t crowd_ = 0;              // the sessions of the last window, when a moment pays; or 0
  bool served_some_ = false;             // and not most of them, by the last tick
  MomentWatch watch_{kOverslept};
};

}  // namespace lsmkv
