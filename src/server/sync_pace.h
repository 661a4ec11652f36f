// In `always`: when a loop begins the sync that replies wait for.
//
// A sync costs the processor as much as a dozen requests, however many it is for, and who comes a moment after it has begun waits for it
// and for the next one. So it is put off while requests keep coming. A loop finds nothing to do as soon as its clients are some
// microseconds behind it, and there a few connections' sync begins: all of them may be held. Of a crowd the others are still on their
// way: with 200 connections on one core it made syncs for 18 requests each. So for a crowd the loop waits some moments more, until
// half of it is held; the other half meanwhile waits for the sync before, or is being answered.
//
//   replies are held, and
//     a few connections     nothing is left to do, or kGather has passed
//     a crowd               half of it is held, or nothing has come for kQuiet, or kLongest has passed     --> sync
//
// A crowd are kCrowd sessions or more that sent something within kWindow.
//
// Source   commit_delay and commit_siblings in PostgreSQL; tick_pace.h.
// Threads  its loop's.
#pragma once

#include <chrono>
#include <cstddef>

#include "server/moment_watch.h"

namespace lsmkv {

class SyncPace {
 public:
  static constexpr std::chrono::microseconds kGather{200};
  static constexpr std::chrono::microseconds kQuiet{60};
  static constexpr std::chrono::microseconds kLongest{1000};
  static constexpr std::chrono::milliseconds kWindow{4};
  static constexpr std::size_t kCrowd = 64;

  /// In the tick of `now`: a session has sent something, and `before` is when it last had (or 0).
  void Received(std::chrono::microseconds before, std::chrono::microseconds now) {
    if (before < window_began_) ++sessions_;
    last_received_ = now;
  }
  /// The tick of `now` has ended.
  void Ended(std::chrono::microseconds now) {
    if (now - window_began_ < kWindow) [[likely]] return;
    const bool often = sessions_ >= kCrowd && now - window_began_ < 2 * kWindow;
    crowd_ = often && watch_.Fine(now) ? sessions_ : 0;
    window_began_ = now;
    sessions_ = 0;
  }
  void Held() { ++held_; }     ///< a session's reply waits for the next sync
  void Begun() { held_ = 0; }  ///< that sync
  /// A moment was taken from `from` to `to`.
  void Took(std::chrono::microseconds from, std::chrono::microseconds to) { watch_.Took(from, to); }

  /// @param found_work  the tick of `now` has found something to do.
  /// @param waited      since the first reply was held for it.
  bool SyncCanWait(bool found_work, std::chrono::microseconds now, std::chrono::microseconds waited) const {
    if (crowd_ == 0) return found_work && waited < kGather;
    return held_ * 2 < crowd_ && waited < kLongest && (found_work || now - last_received_ < kQuiet);
  }

 private:
  std::chrono::microseconds window_began_{0};
  std::chrono::microseconds last_received_{0};
  std::size_t sessions_ = 0;             // that sent something in this window
  std::size_t crowd_ = 0;                // in the last one, if they are one
  std::size_t held_ = 0;
  MomentWatch watch_{kLongest};
};

}  // namespace lsmkv
