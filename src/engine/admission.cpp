#include "engine/admission.h"

#include <algorithm>
#include <cmath>

namespace lsmkv {

Admission WriteAdmission::AdmitSlowly(std::uint64_t bytes) {
  MutexLock lock(mutex_);
  switch (state_.load(std::memory_order_relaxed)) {
    case State::kFree: return {};
    case State::kStopped: return {Admission::Kind::kStop, {}};
    case State::kSlowed: break;
  }
  const std::chrono::microseconds now = clock_.Monotonic();
  next_free_ = std::max(next_free_, now - kCredit) + std::chrono::microseconds(static_cast<std::int64_t>(static_cast<double>(bytes) * 1e6 / rate_));
  next_free_ = std::min(next_free_, now + kLongestDelay);
  const std::chrono::microseconds wait = next_free_ - now;
  if (wait < kWorthParking) return {};
  return {Admission::Kind::kDelay, wait};
}

void WriteAdmission::OnWritable(std::function<void()> resume) {
  {
    MutexLock lock(mutex_);
    if (!closed_ && state_.load(std::memory_order_relaxed) == State::kStopped) {
      waiters_.push_back(std::move(resume));
      return;
    }
  }
  resume();
}

void WriteAdmission::WaitWhileStopped() {
  MutexLock lock(mutex_);
  while (!closed_ && state_.load(std::memory_order_relaxed) == State::kStopped) resumed_.Wait(mutex_);
}

void WriteAdmission::LearnRateLocked(std::uint64_t written_bytes) {
  constexpr std::chrono::microseconds kInterval{500'000};
  const std::chrono::microseconds now = clock_.Monotonic();
  if (now - measured_at_ < kInterval || written_bytes < measured_bytes_) return;      // less: a thread that looked long ago
  if (measured_at_.count() != 0) {
    const double seconds = std::chrono::duration<double>(now - measured_at_).count();
    const double rate = static_cast<double>(written_bytes - measured_bytes_) / seconds;
    steady_rate_ = rate + (steady_rate_ - rate) * std::exp2(-seconds / kSteadyHalfLifeSeconds);
    if (state_.load(std::memory_order_relaxed) == State::kFree) {
      free_rate_ = std::max({kLeastFreeRate, rate, free_rate_ * std::exp2(-seconds / kHalfLifeSeconds)});
    }
  }
  measured_at_ = now;
  measured_bytes_ = written_bytes;
}

double WriteAdmission::RateLocked(const WriteDebt& debt) const {
  const double left = 1 - std::clamp(debt.tree, 0.0, 1.0);
  const double steady_rate = steady_rate_ * kSteadyShare * std::min(left / (1 - kSteadyDebt), 1.0);
  const double memtables_left = 1 - std::clamp(debt.memtables, 0.0, 1.0);
  return std::max(kLeastRate, std::min(std::max(free_rate_ * left * left, steady_rate), free_rate_ * memtables_left * memtables_left));
}

void WriteAdmission::SetPressure(const WriteDebt& debt, bool stopped, std::uint64_t written_bytes) {
  std::vector<std::function<void()>> waiters;
  {
    MutexLock lock(mutex_);
    LearnRateLocked(written_bytes);
    debt_ = stopped ? 1 : debt.largest();
    rate_ = RateLocked(debt);
    const State state = closed_ ? State::kFree : stopped ? State::kStopped : debt.largest() > 0 ? State::kSlowed : State::kFree;
    state_.store(state, std::memory_order_relaxed);
    if (state != State::kStopped) waiters.swap(waiters_);
  }
  ResumeAll(std::move(waiters));
}

double WriteAdmission::debt() const {
  MutexLock lock(mutex_);
  return debt_;
}

double WriteAdmission::limit() const {
  MutexLock lock(mutex_);
  return slowed() ? rate_ : 0;
}

void WriteAdmission::Close() {
  std::vector<std::function<void()>> waiters;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    state_.store(State::kFree, std::memory_order_relaxed);
    waiters.swap(waiters_);
  }
  ResumeAll(std::move(waiters));
}

void WriteAdmission::ResumeAll(std::vector<std::function<void()>> waiters) {
  resumed_.NotifyAll();
  for (const auto& resume : waiters) resume();
}

void WriteAdmission::StallEnds(std::chrono::microseconds duration) {
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  const auto micros = static_cast<std::uint64_t>(duration.count());
  stalls_.fetch_add(1, std::memory_order_relaxed);
  stall_micros_.fetch_add(micros, std::memory_order_relaxed);
  std::uint64_t longest = longest_stall_micros_.load(std::memory_order_relaxed);
  while (micros > longest && !longest_stall_micros_.compare_exchange_weak(longest, micros, std::memory_order_relaxed)) {
  }
}

}  // namespace lsmkv
