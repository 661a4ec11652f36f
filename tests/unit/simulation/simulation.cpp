#include "simulation.h"

#include <execinfo.h>
#include <sched.h>
#include <semaphore.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "base/assert.h"
#include "base/simulated_thread.h"
#include "base/thread.h"

namespace lsmkv::simulation {
namespace {

using std::chrono::microseconds;

constexpr microseconds kBegin{1'000'000'000};
constexpr std::uint64_t kWallAtBegin = 1'700'000'000'000;

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

/// Keeps the threads that are made meanwhile on this processor: only one of them runs, and handing over is quicker there.
class OneProcessor {
 public:
  OneProcessor() {
    if (sched_getaffinity(0, sizeof before_, &before_) != 0) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(std::max(0, sched_getcpu())), &one);
    changed_ = sched_setaffinity(0, sizeof one, &one) == 0;
  }
  ~OneProcessor() {
    if (changed_) sched_setaffinity(0, sizeof before_, &before_);
  }

 private:
  cpu_set_t before_;
  bool changed_ = false;
};

std::uint64_t Mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// "program(+0x1234)", for addr2line.
std::string PlaceOf(void* address) {
  char** const names = backtrace_symbols(&address, 1);
  std::string place = names == nullptr ? "?" : names[0];
  std::free(static_cast<void*>(names));
  return place;
}

enum class Step : std::uint8_t { kLock, kTryLock, kWait, kNotify, kSleep, kPoint, kNewThread, kJoin, kLeave, kNote, kChosen };
enum class Blocked : std::uint8_t { kNo, kMutex, kSignal, kSleep, kJoin };

class Simulation;

struct Member final : SimulatedThread, std::enable_shared_from_this<Member> {
  Member(Simulation& owner, std::string thread_name, std::uint64_t number)
      : simulation(owner), name(std::move(thread_name)), index(number) {}

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

  Simulation& simulation;
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

class Simulation {
 public:
  Simulation(std::uint64_t seed, const Limits& limits);

  Outcome Run(std::function<void()> body);
  std::shared_ptr<Member> Add(const std::string& name);

  /// A step of the running member; others may run before it goes on.
  void Point(Member& self, Step step);
  void Count(const Member& self, Step step);
  void Note(std::uint64_t what) { trace_ = Mix(trace_ ^ Mix(what)); }
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

// ---- who runs

Simulation::Simulation(std::uint64_t seed, const Limits& limits) : random_(Mix(seed + 0x9e3779b97f4a7c15ull)), limits_(limits) {
  constexpr std::int64_t kStepTimes[] = {0, 1, 10, 100, 1000};
  by_priority_ = random_() % 3 == 0;
  // Among priorities time stands still while anybody can run: else timers that end again and again would keep the lowest waiting for ever.
  step_time_ = microseconds(by_priority_ ? 0 : kStepTimes[random_() % std::size(kStepTimes)]);
  switch_one_in_ = 1u << (random_() % 7);
  if (random_() % 4 == 0) false_signal_one_in_ = 50;
  const std::uint64_t among = 100ull << (random_() % 9);
  for (std::uint64_t left = random_() % 10; left > 0; --left) demotions_.insert(random_() % among);
}

std::shared_ptr<Member> Simulation::Add(const std::string& name) {
  auto member = std::make_shared<Member>(*this, name, next_index_++);
  member->priority = lowest_priority_ + 1 + random_() % 1'000'000;
  members_.push_back(member);
  return member;
}

void Simulation::Count(const Member& self, Step step) {
  ++outcome_.steps;
  Note(self.index << 8 | static_cast<std::uint64_t>(step));
  now_ += step_time_;
  if (outcome_.steps > limits_.steps || now_ - kBegin > limits_.time) EndBadly(Outcome::End::kLivelock);
  if (next_deadline_ && now_ >= *next_deadline_) EndWaitsThatAreOver();
}

void Simulation::Point(Member& self, Step step) {
  Count(self, step);
  if (GoesOn(self)) return;
  Member& next = *Choose();      // not null: this member can run
  HandOver(self, next);
}

/// Without a look at the others, where that can be.
bool Simulation::GoesOn(Member& self) {
  if (!by_priority_) return !Chance(switch_one_in_);
  if (demotions_.erase(outcome_.steps) > 0) self.priority = --lowest_priority_;
  return false;
}

Member* Simulation::Choose() {
  if (false_signal_one_in_ != 0 && Chance(false_signal_one_in_)) EndAWaitForNothing();
  choice_.clear();
  for (const auto& member : members_) {
    if (member->blocked == Blocked::kNo) choice_.push_back(member.get());
  }
  if (choice_.empty()) return nullptr;
  Member* const chosen = by_priority_ ? *std::ranges::max_element(choice_, {}, &Member::priority) : choice_[random_() % choice_.size()];
  Note(chosen->index << 8 | static_cast<std::uint64_t>(Step::kChosen));
  return chosen;
}

/// Lets time pass when nobody can run without. Null: never again.
Member* Simulation::NextRunnable() {
  while (true) {
    if (Member* const next = Choose()) return next;
    std::optional<microseconds> first;
    for (const auto& member : members_) {
      if (member->deadline && (!first || *member->deadline < *first)) first = member->deadline;
    }
    if (!first) return nullptr;
    const bool expected = std::ranges::any_of(members_, [](const auto& member) { return member->expects_answers > 0; });
    if (expected) outcome_.longest_wait = std::max(outcome_.longest_wait, *first - now_);
    now_ = std::max(now_, *first);
    EndWaitsThatAreOver();
  }
}

void Simulation::HandOver(Member& self, Member& next) {
  if (&next == &self) return;
  ++outcome_.switches;
  next.baton.Post();
  self.baton.Wait();
}

void Simulation::Block(Member& self, Blocked why, const void* waits_for, void* at, std::optional<microseconds> deadline) {
  self.blocked = why;
  self.waits_for = waits_for;
  self.waits_at = at;
  self.deadline = deadline;
  if (deadline && (!next_deadline_ || *deadline < *next_deadline_)) next_deadline_ = deadline;
  Member* const next = NextRunnable();
  if (next == nullptr) EndBadly(Outcome::End::kDeadlock);
  HandOver(self, *next);
}

void Simulation::Unblock(Member& member) {
  member.blocked = Blocked::kNo;
  member.waits_for = nullptr;
  member.deadline.reset();
}

void Simulation::EndWaitsThatAreOver() {
  next_deadline_.reset();
  for (const auto& member : members_) {
    if (!member->deadline) continue;
    if (*member->deadline <= now_) {
      Unblock(*member);
    } else if (!next_deadline_ || *member->deadline < *next_deadline_) {
      next_deadline_ = member->deadline;
    }
  }
}

void Simulation::EndAWaitForNothing() {
  choice_.clear();
  for (const auto& member : members_) {
    if (member->blocked == Blocked::kSignal) choice_.push_back(member.get());
  }
  if (choice_.empty()) return;
  Member& chosen = *choice_[random_() % choice_.size()];
  chosen.signalled = true;
  Unblock(chosen);
}

void Simulation::Signal(const void* condition, bool all) {
  choice_.clear();
  for (const auto& member : members_) {
    if (member->blocked == Blocked::kSignal && member->waits_for == condition) choice_.push_back(member.get());
  }
  if (choice_.empty()) return;
  const std::size_t only = random_() % choice_.size();
  for (std::size_t i = 0; i < choice_.size(); ++i) {
    if (!all && i != only) continue;
    choice_[i]->signalled = true;
    Unblock(*choice_[i]);
  }
}

void Simulation::Leave(Member& self) {
  Count(self, Step::kLeave);
  self.ended = true;
  UnblockAll([&](const Member& other) { return other.blocked == Blocked::kJoin && other.waits_for == &self; });
  const std::shared_ptr<Member> keep = self.shared_from_this();
  std::erase(members_, keep);
  if (members_.empty()) return over_.Post();
  Member* const next = NextRunnable();
  if (next == nullptr) EndBadly(Outcome::End::kDeadlock);
  ++outcome_.switches;
  next->baton.Post();
}

// ---- the whole

std::string Simulation::Report() const {
  std::string report;
  for (const auto& member : members_) {
    report += "  " + member->name + "-" + std::to_string(member->index) + ": ";
    const auto owner_of = [this](const void* mutex) {
      for (const auto& other : members_) {
        if (std::ranges::find(other->held, mutex) != other->held.end()) return other->name + "-" + std::to_string(other->index);
      }
      return std::string("nobody");
    };
    switch (member->blocked) {
      case Blocked::kNo: report += "can run"; break;
      case Blocked::kMutex: report += "waits for a mutex that " + owner_of(member->waits_for) + " holds"; break;
      case Blocked::kSignal: report += "waits for a signal"; break;
      case Blocked::kSleep: report += "sleeps"; break;
      case Blocked::kJoin: report += "waits for " + static_cast<const Member*>(member->waits_for)->name + " to end"; break;
    }
    if (member->deadline) report += ", for another " + std::to_string((*member->deadline - now_).count()) + " us";
    if (member->waits_at != nullptr) report += ", in " + PlaceOf(member->waits_at);
    if (!member->held.empty()) report += "; holds " + std::to_string(member->held.size());
    report += "\n";
  }
  return report;
}

void Simulation::EndBadly(Outcome::End end) {
  outcome_.end = end;
  outcome_.report = (end == Outcome::End::kDeadlock ? "deadlock" : "livelock") + std::string(" after ") + std::to_string(outcome_.steps) +
                    " steps and " + std::to_string((now_ - kBegin).count()) + " us:\n" + Report();
  over_.Post();
  Semaphore never;
  never.Wait();
}

Outcome Simulation::Run(std::function<void()> body) {
  const OneProcessor one;
  const std::shared_ptr<Member> first = Add("main");
  auto* const root = new Thread(Thread::InSimulation(first, std::move(body)));   // freed if it ends well: invariant 3
  first->baton.Post();
  over_.Wait();
  outcome_.time = now_ - kBegin;
  outcome_.trace = trace_;
  if (outcome_.ok()) {
    root->Join();
    delete root;
  }
  return outcome_;
}

// ---- what a thread asks

void Member::Lock(std::mutex& mutex) {
  simulation.Point(*this, Step::kLock);
  while (!mutex.try_lock()) simulation.Block(*this, Blocked::kMutex, &mutex, __builtin_return_address(0));
  held.push_back(&mutex);
}

bool Member::TryLock(std::mutex& mutex) {
  simulation.Point(*this, Step::kTryLock);
  if (!mutex.try_lock()) return false;
  held.push_back(&mutex);
  return true;
}

void Member::Unlock(std::mutex& mutex) {
  std::erase(held, &mutex);
  mutex.unlock();
  simulation.UnblockAll([&](const Member& other) { return other.waits_for == &mutex; });
}

bool Member::Wait(const void* condition, std::mutex& mutex, std::optional<microseconds> time) {
  void* const at = __builtin_return_address(0);
  simulation.Point(*this, Step::kWait);   // who signals without the mutex may do so just before the wait begins
  Unlock(mutex);
  signalled = false;
  std::optional<microseconds> until;
  if (time) until = simulation.now() + std::max(*time, microseconds(0));
  simulation.Block(*this, Blocked::kSignal, condition, at, until);
  while (!mutex.try_lock()) simulation.Block(*this, Blocked::kMutex, &mutex, at);
  held.push_back(&mutex);
  return signalled;
}

void Member::Notify(const void* condition, bool all) {
  simulation.Point(*this, Step::kNotify);
  simulation.Signal(condition, all);
}

void Member::Sleep(microseconds time) {
  simulation.Count(*this, Step::kSleep);
  simulation.Block(*this, Blocked::kSleep, nullptr, __builtin_return_address(0), simulation.now() + std::max(time, microseconds(0)));
}

void Member::SwitchPoint() { simulation.Point(*this, Step::kPoint); }

void Member::Note(std::uint64_t what) { simulation.Note(what << 8 | static_cast<std::uint64_t>(Step::kNote)); }

std::shared_ptr<SimulatedThread> Member::NewThread(const std::string& thread_name) {
  simulation.Count(*this, Step::kNewThread);
  return simulation.Add(thread_name);
}

void Member::Leave() { simulation.Leave(*this); }

void Member::Join(const SimulatedThread& other) {
  const auto& member = static_cast<const Member&>(other);
  simulation.Point(*this, Step::kJoin);
  while (!member.ended) simulation.Block(*this, Blocked::kJoin, &member, __builtin_return_address(0));
}

Member& Self() {
  LSMKV_ASSERT(SimulatedThread::Current() != nullptr);
  return static_cast<Member&>(*SimulatedThread::Current());
}
const Simulation& Here() { return Self().simulation; }

}  // namespace

Outcome Simulate(std::uint64_t seed, std::function<void()> body, const Limits& limits) {
  auto* const simulation = new Simulation(seed, limits);
  const Outcome outcome = simulation->Run(std::move(body));
  if (outcome.ok()) delete simulation;     // invariant 3
  return outcome;
}

std::uint64_t SimulatedClock::WallMillis() const {
  return kWallAtBegin + static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(Here().now() - kBegin).count());
}
microseconds SimulatedClock::Monotonic() const { return Here().now(); }

ExpectsAnswers::ExpectsAnswers() { ++Self().expects_answers; }
ExpectsAnswers::~ExpectsAnswers() { --Self().expects_answers; }

std::uint64_t TraceSoFar() { return Here().trace(); }

}  // namespace lsmkv::simulation
