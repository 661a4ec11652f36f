// When a loop lets a moment pass before it looks at its sockets again.
//
// A loop that answers faster than its clients ask finds one or two requests a tick, and then each of them pays alone for what a
// tick shares: the epoll_wait, the write to the log, and the client's own cost of waking a server that has just fallen asleep.
// When many sessions send single requests at a high rate, kMoment later there are ten or twenty, and they are served together:
// with 50 connections without pipelining on one core, 2 requests a tick became 19, SET 20 % and GET 12 % more a second, and a SET
// a tenth less CPU. A few connections, or pipelines, lose by it (what waits is then all there is), and so they are left alone.
//
//   window of 1 ms or more:  sessions that sent something >= 32,  sends >= 64 per ms,  commands per send <= 2
//                            -> in the next window each tick that served fewer than 3/4 of those sessions is followed by a moment
//
// Source  interrupt coalescing in network cards, by rate; the "delay" of group commit (Hagmann 1987; commit_delay and
//         commit_siblings in PostgreSQL).
// Threads  its loop's.
#pragma once

#include <chrono>
#include <cstdint>

namespace lsmkv {

class TickPace {
 public:
  static constexpr std::chrono::microseconds kMoment{15};

  /// In a tick: a session has sent something, and `before` is when it last had (or 0).
  void Received(std::chrono::microseconds before) {
    ++sends_;
    ++tick_sends_;
    if (before < window_began_) ++sessions_;
  }
  /// `commands`: how many the loop has run so far.
  void Ended(std::chrono::microseconds now, std::uint64_t commands) {
    served_most_ = tick_sends_ * 4 >= crowd_ * 3;
    tick_sends_ = 0;
    if (now - window_began_ >= kWindow) [[unlikely]] BeginWindow(now, commands);
  }
  /// After a tick that has found work.
  bool MomentPays() const { return crowd_ != 0 && !served_most_; }

 private:
  static constexpr std::chrono::milliseconds kWindow{1};
  static constexpr std::uint64_t kCrowd = 32;
  static constexpr std::uint64_t kSendsPerMillisecond = 64;
  static constexpr std::uint64_t kCommandsPerSend = 2;

  void BeginWindow(std::chrono::microseconds now, std::uint64_t commands) {
    const auto took = static_cast<std::uint64_t>((now - window_began_).count());
    const bool often = sends_ * 1000 >= took * kSendsPerMillisecond;
    const bool single = commands - window_commands_ <= sends_ * kCommandsPerSend;
    crowd_ = sessions_ >= kCrowd && often && single ? sessions_ : 0;
    window_began_ = now;
    window_commands_ = commands;
    sends_ = 0;
    sessions_ = 0;
  }

  std::chrono::microseconds window_began_{0};
  std::uint64_t window_commands_ = 0;    // that had run when it began
  std::uint64_t sends_ = 0;              // in this window
  std::uint64_t sessions_ = 0;           // that sent them
  std::uint64_t tick_sends_ = 0;
  std::uint64_t crowd_ = 0;              // the sessions of the last window, when a moment pays; or 0
  bool served_most_ = false;             // of them, by the last tick
};

}  // namespace lsmkv
