// Runs real code with real threads, but one at a time: at every place where threads can meet (a lock, a signal, a wait, a file-system
// call, a SwitchPoint()) the seed says who goes on. So a seed is an interleaving, and a failing seed fails again.
//
//   runnable ──chosen──► running ──Lock() of a held mutex, Wait(), Sleep(), Join()──► blocked ──Unlock(), Notify(), time, Leave()──► runnable
//
// Time is the simulation's: it goes on by a little with every step, as the seed says, and where all threads are blocked it jumps to
// the next end of a wait. When there is none either, that is a deadlock. Bounds on steps and on time find a livelock.
//
// How the next thread is chosen, by seed:
//   random walk   at each point, with a probability of the seed's between always and seldom, any runnable thread
//   priorities    each thread has one, the highest runnable runs; at a few random steps the running one becomes the lowest
// One in four seeds also ends waits without a signal now and then, as the system may.
//
// Invariants
//   1. One member runs; it alone touches the simulation. A semaphore each hands this over, so no member sees a race with another
//      (and ThreadSanitizer finds none: order in memory is not what this tests).
//   2. Nothing a decision depends on comes from outside: no address, no real time, no number of another run.
//   3. A simulation that ends badly leaves its threads parked for ever and is never freed.
//
// Source  the random walk and its places: loom and shuttle (for Rust), FoundationDB's simulator; priorities: "A Randomized Scheduler
//         with Probabilistic Guarantees of Finding Bugs" (Burckhardt et al., ASPLOS 2010).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"

namespace lsmkv::simulation {

struct Limits {
  std::uint64_t steps = 3'000'000;
  std::chrono::microseconds time = std::chrono::hours(10);
};

struct Outcome {
  enum class End : std::uint8_t { kWell, kDeadlock, kLivelock } end = End::kWell;
  std::string report;                    ///< when not kWell: each thread, what it waits for and what it holds
  std::uint64_t trace = 0;               ///< a hash of every decision and of everything noted
  std::uint64_t steps = 0;
  std::uint64_t switches = 0;
  std::chrono::microseconds time{0};     ///< simulated
  std::chrono::microseconds longest_wait{0};   ///< that nobody could run while a thread expected an answer
  bool ok() const { return end == End::kWell; }
};

/// Runs `body`, and every Thread that it makes, under the simulation; returns when all of them have ended, or none can go on.
/// Threads  one simulation at a time; `body` runs on a thread of its own, named "main". It must not throw.
Outcome Simulate(std::uint64_t seed, std::function<void()> body, const Limits& limits = {});

/// The running simulation's time; only on its threads.
class SimulatedClock final : public Clock {
 public:
  std::uint64_t WallMillis() const override;
  std::chrono::microseconds Monotonic() const override;
  /// Somebody sets the wall clock: from now on it shows so much more, or less. It never shows less than a year after 1970.
  void Jump(std::chrono::milliseconds by);

 private:
  std::chrono::milliseconds ahead_{0};
};

/// While it is there its thread expects to be served by others as soon as they can run: time that only passes counts as
/// Outcome::longest_wait. So a lost signal is found also where a timed wait makes up for it later.
class ExpectsAnswers {
 public:
  ExpectsAnswers();
  ~ExpectsAnswers();
  ExpectsAnswers(const ExpectsAnswers&) = delete;
  ExpectsAnswers& operator=(const ExpectsAnswers&) = delete;
};

/// What has happened so far, as Outcome::trace; only on a simulation's threads.
std::uint64_t TraceSoFar();

}  // namespace lsmkv::simulation
