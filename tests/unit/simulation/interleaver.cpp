#include "interleaver.h"

#include <execinfo.h>
#include <sched.h>

#include <cstdlib>
#include <utility>

#include "base/thread.h"

namespace lsmkv::simulation {
namespace {

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

}  // namespace

// ---- who runs

Interleaver::Interleaver(std::uint64_t seed, const Limits& limits) : random_(Mix(seed + 0x9e3779b97f4a7c15ull)), limits_(limits) {
  constexpr std::int64_t kStepTimes[] = {0, 1, 10, 100, 1000};
  by_priority_ = random_() % 3 == 0;
  // Among priorities time stands still while anybody can run: else timers that end again and again would keep the lowest waiting for ever.
  step_time_ = microseconds(by_priority_ ? 0 : kStepTimes[random_() % std::size(kStepTimes)]);
  switch_one_in_ = 1u << (random_() % 7);
  if (random_() % 4 == 0) false_signal_one_in_ = 50;
  if (random_() % 3 == 0) stays_one_in_ = 2u << (random_() % 5);
  const std::uint64_t among = 100ull << (random_() % 9);
  for (std::uint64_t left = random_() % 10; left > 0; --left) demotions_.insert(random_() % among);
}

std::shared_ptr<Member> Interleaver::Add(const std::string& name) {
  auto member = std::make_shared<Member>(*this, name, next_index_++);
  member->priority = lowest_priority_ + 1 + random_() % 1'000'000;
  members_.push_back(member);
  return member;
}

void Interleaver::Count(const Member& self, Step step) {
  ++outcome_.steps;
  Note(self.index << 8 | static_cast<std::uint64_t>(step));
  now_ += step_time_;
  if (outcome_.steps > limits_.steps || now_ - kBegin > limits_.time) EndBadly(Outcome::End::kLivelock);
  if (next_deadline_ && now_ >= *next_deadline_) EndWaitsThatAreOver();
}

void Interleaver::Note(std::uint64_t what) { trace_ = Mix(trace_ ^ Mix(what)); }

void Interleaver::Point(Member& self, Step step) {
  Count(self, step);
  if (step == Step::kPoint && stays_one_in_ != 0 && Chance(stays_one_in_)) return Stay(self);
  if (GoesOn(self)) return;
  Member& next = *Choose();      // not null: this member can run
  HandOver(self, next);
}

/// As a thread that the system takes its processor from: the others get through whole flushes and merges meanwhile, which they hardly would by one
/// step after the other.
void Interleaver::Stay(Member& self) {
  constexpr unsigned kLongest = 17;           // powers of two of microseconds
  Block(self, Blocked::kSleep, nullptr, __builtin_return_address(0), now_ + microseconds(1ull << (random_() % kLongest)));
}

/// Without a look at the others, where that can be.
bool Interleaver::GoesOn(Member& self) {
  if (!by_priority_) return !Chance(switch_one_in_);
  if (demotions_.erase(outcome_.steps) > 0) self.priority = --lowest_priority_;
  return false;
}

Member* Interleaver::Choose() {
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
Member* Interleaver::NextRunnable() {
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

void Interleaver::HandOver(Member& self, Member& next) {
  if (&next == &self) return;
  ++outcome_.switches;
  next.baton.Post();
  self.baton.Wait();
}

void Interleaver::Block(Member& self, Blocked why, const void* waits_for, void* at, std::optional<microseconds> deadline) {
  self.blocked = why;
  self.waits_for = waits_for;
  self.waits_at = at;
  self.deadline = deadline;
  if (deadline && (!next_deadline_ || *deadline < *next_deadline_)) next_deadline_ = deadline;
  Member* const next = NextRunnable();
  if (next == nullptr) EndBadly(Outcome::End::kDeadlock);
  HandOver(self, *next);
}

void Interleaver::Unblock(Member& member) {
  member.blocked = Blocked::kNo;
  member.waits_for = nullptr;
  member.deadline.reset();
}

void Interleaver::EndWaitsThatAreOver() {
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

void Interleaver::EndAWaitForNothing() {
  choice_.clear();
  for (const auto& member : members_) {
    if (member->blocked == Blocked::kSignal) choice_.push_back(member.get());
  }
  if (choice_.empty()) return;
  Member& chosen = *choice_[random_() % choice_.size()];
  chosen.signalled = true;
  Unblock(chosen);
}

void Interleaver::Signal(const void* condition, bool all) {
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

void Interleaver::Leave(Member& self) {
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

std::string Interleaver::Report() const {
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

void Interleaver::EndBadly(Outcome::End end) {
  outcome_.end = end;
  outcome_.report = (end == Outcome::End::kDeadlock ? "deadlock" : "livelock") + std::string(" after ") + std::to_string(outcome_.steps) +
                    " steps and " + std::to_string((now_ - kBegin).count()) + " us:\n" + Report();
  over_.Post();
  Semaphore never;
  never.Wait();
}

Outcome Interleaver::Run(std::function<void()> body) {
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
  } else {
    static auto* const parked = new std::vector<Thread*>;        // never destroyed, and no leak to who looks for those
    parked->push_back(root);
  }
  return outcome_;
}

}  // namespace lsmkv::simulation
