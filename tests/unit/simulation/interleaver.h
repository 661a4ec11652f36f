// What a simulation is made of; for simulation.cpp and interleaver.cpp alone. The idea and the invariants: simulation.h.
#pragma once

#include <semaphore.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/simulated_thread.h"
#include "simulation.h"

namespace lsmkv::simulation {

using std::chrono::microseconds;

inline constexpr microseconds kBegin{1'000'000'000};

/// POSIX's: std::binary_semaphore of this library spins before it sleeps, which on one processor keeps the other from running.
class Semaphore {
 public:
  Semaphore() { sem_init(&semaphore_, 0, 0); }
  void Post() { sem_post(&semaphore_); }
  void Wait() {
    while (sem_wait(&semaphore_) != 0) LSMKV_ASSERT(errno == EINTR);
  }

 private:
  sem_t semaphore_;
};

enum class Step : std::uint8_t { kLock, kTryLock, kWait, kNotify, kSleep, kPoint, kNewThread, kJoin, kLeave, kNote, kChosen };
enum class Blocked : std::uint8_t { kNo, kMutex, kSignal, kSleep, kJoin };

class Interleaver;

/// Touched by the running member alone (invariant 1), whosever it is.
struct Member final : SimulatedThread, std::enable_shared_from_this<Member> {
  Member(Interleaver& owner, std::string thread_name, std::uint64_t number)
      : interleaver(owner), name(std::move(thread_name)), index(number) {}

  void Lock(std::mutex& mutex) override;
  bool TryLock(std::mutex& mutex) override;
  void Unlock(std::mutex& mutex) override;
  bool Wait(const void* condition, std::mutex& mutex, std::optional<microseconds> time) override;
  void Notify(const void* condition, bool all) override;
  void Sleep(microseconds time) override;
  void SwitchPoint() override;
  void Note(std::uint64_t what) override;
  std::shared_ptr<SimulatedThread> NewThread(const std::string& thread_name) override;
  void Enter() override { baton.Wait(); }
  void Leave() override;
  void Join(const SimulatedThread& other) override;

  Interleaver& interleaver;
  const std::string name;
  const std::uint64_t index;
  std::uint64_t priority = 0;
  Semaphore baton;
  Blocked blocked = Blocked::kNo;
  const void* waits_for = nullptr;              // a mutex, a condition or a member
  void* waits_at = nullptr;                     // in the program, for people
  std::optional<microseconds> deadline;
  bool signalled = false;
  bool ended = false;
  int expects_answers = 0;
  std::vector<const std::mutex*> held;
};

class Interleaver {
 public:
  Interleaver(std::uint64_t seed, const Limits& limits);

  Outcome Run(std::function<void()> body);
  std::shared_ptr<Member> Add(const std::string& name);

  /// A step of the running member; others may run before it goes on.
  void Point(Member& self, Step step);
  void Count(const Member& self, Step step);
  void Note(std::uint64_t what);
  void Block(Member& self, Blocked why, const void* waits_for, void* at, std::optional<microseconds> deadline = {});
  void Unblock(Member& member);
  void Leave(Member& self);
  template <typename Matches>
  void UnblockAll(const Matches& matches) {
    for (const auto& member : members_) {
      if (member->blocked != Blocked::kNo && matches(*member)) Unblock(*member);
    }
  }
  void Signal(const void* condition, bool all);

  microseconds now() const { return now_; }
  std::uint64_t trace() const { return trace_; }

 private:
  bool Chance(std::uint32_t one_in) { return one_in <= 1 || random_() % one_in == 0; }
  bool GoesOn(Member& self);
  void Stay(Member& self);
  Member* Choose();
  Member* NextRunnable();
  void HandOver(Member& self, Member& next);
  void EndWaitsThatAreOver();
  void EndAWaitForNothing();
  void EndBadly(Outcome::End end);
  std::string Report() const;

  std::mt19937_64 random_;
  const Limits limits_;
  // The ways of the seed.
  bool by_priority_ = false;
  std::uint32_t switch_one_in_ = 1;
  std::uint32_t false_signal_one_in_ = 0;       // 0: never
  std::uint32_t stays_one_in_ = 0;              // points without a mutex at which a thread stays for a while; 0: never
  microseconds step_time_{0};
  std::set<std::uint64_t> demotions_;           // at these steps
  std::uint64_t lowest_priority_ = 1'000'000;

  std::vector<std::shared_ptr<Member>> members_;   // those that have not ended, oldest first
  std::vector<Member*> choice_;                    // Choose()'s own; keeps its memory
  std::uint64_t next_index_ = 0;
  microseconds now_ = kBegin;
  std::optional<microseconds> next_deadline_;      // never later than the first one
  Outcome outcome_;
  std::uint64_t trace_ = 0;
  Semaphore over_;
};

}  // namespace lsmkv::simulation
