#include "server/large_reads.h"

#include <algorithm>

namespace lsmkv {

std::uint64_t LargeReads::held_bytes() const {
  const MutexLock lock(mutex_);
  return held_bytes_;
}

std::uint64_t LargeReads::waiting() const {
  const MutexLock lock(mutex_);
  return queue_.size();
}

bool LargeReads::Admit(Turn* turn, std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  const std::uint64_t held = turn->holds() ? turn->bytes_ : 0;
  if (held > 0 && held + bytes > MostOfOneReply()) {
    turn->too_large_ = true;
    Release(turn);
    StopWaiting(turn);
    WakeFirst();
    return false;
  }
  const bool in_line = turn->overdue_ || held > 0 || queue_.empty() || queue_.front() == turn;
  if (in_line && (turn->overdue_ || Fits(held_bytes_ - held, held + bytes))) {
    const bool overdue = turn->overdue_;       // for all that its command asks for
    StopWaiting(turn);
    turn->overdue_ = overdue;
    turn->bytes_ = held + bytes;
    turn->holds_.store(true, std::memory_order_relaxed);
    held_bytes_ += bytes;
    WakeFirst();
    return true;
  }
  Release(turn);
  turn->bytes_ = 2 * held + bytes;               // more than it will ask for next, so that it need not begin again for each value
  if (!turn->waits()) {
    if (queue_.empty()) stuck_since_ = std::chrono::microseconds(0);
    turn->waits_.store(true, std::memory_order_relaxed);
    held > 0 ? queue_.push_front(turn) : queue_.push_back(turn);     // who has begun was there before those who wait
  }
  return false;
}

bool LargeReads::MayRun(Turn* turn, std::chrono::microseconds now) {
  const MutexLock lock(mutex_);
  if (turn->overdue_) return true;
  const bool is_first = queue_.front() == turn;
  if (is_first && Fits(held_bytes_, turn->bytes_)) return true;
  if (stuck_since_.count() == 0) stuck_since_ = now;
  if (now - stuck_since_ < (is_first ? kPatience : kPatience + kFirstAsks)) return false;
  turn->overdue_ = true;
  stuck_since_ = now;                          // the next one is as patient again
  return true;
}

// It stays overdue: its command goes on.
void LargeReads::KeepOnly(Turn* turn, std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  if (bytes >= turn->bytes_) return;
  held_bytes_ -= turn->bytes_ - bytes;
  turn->bytes_ = bytes;
  stuck_since_ = std::chrono::microseconds(0);
  WakeFirst();
}

void LargeReads::GiveBack(Turn* turn) {
  const MutexLock lock(mutex_);
  Release(turn);
  WakeFirst();
}

void LargeReads::Leave(Turn* turn) {
  const MutexLock lock(mutex_);
  Release(turn);
  StopWaiting(turn);
  WakeFirst();
}

void LargeReads::Release(Turn* turn) {
  if (!turn->holds()) return;
  held_bytes_ -= turn->bytes_;
  turn->bytes_ = 0;
  turn->overdue_ = false;
  turn->holds_.store(false, std::memory_order_relaxed);
  stuck_since_ = std::chrono::microseconds(0);
}

void LargeReads::StopWaiting(Turn* turn) {
  if (!turn->waits()) return;
  std::erase(queue_, turn);
  turn->waits_.store(false, std::memory_order_relaxed);
  turn->overdue_ = false;
}

void LargeReads::WakeFirst() {
  if (!queue_.empty() && Fits(held_bytes_, queue_.front()->bytes_)) queue_.front()->wake_();
}

}  // namespace lsmkv
