#include "simulation.h"

#include <algorithm>
#include <utility>

#include "interleaver.h"

namespace lsmkv::simulation {
namespace {

constexpr std::chrono::milliseconds kWallAtBegin{1'700'000'000'000};

Member& Self() {
  LSMKV_ASSERT(SimulatedThread::Current() != nullptr);
  return static_cast<Member&>(*SimulatedThread::Current());
}
const Interleaver& Here() { return Self().interleaver; }

}  // namespace

// ---- what a thread asks

void Member::Lock(std::mutex& mutex) {
  interleaver.Point(*this, Step::kLock);
  while (!mutex.try_lock()) interleaver.Block(*this, Blocked::kMutex, &mutex, __builtin_return_address(0));
  held.push_back(&mutex);
}

bool Member::TryLock(std::mutex& mutex) {
  interleaver.Point(*this, Step::kTryLock);
  if (!mutex.try_lock()) return false;
  held.push_back(&mutex);
  return true;
}

void Member::Unlock(std::mutex& mutex) {
  std::erase(held, &mutex);
  mutex.unlock();
  interleaver.UnblockAll([&](const Member& other) { return other.waits_for == &mutex; });
}

bool Member::Wait(const void* condition, std::mutex& mutex, std::optional<microseconds> time) {
  void* const at = __builtin_return_address(0);
  interleaver.Point(*this, Step::kWait);   // who signals without the mutex may do so just before the wait begins
  Unlock(mutex);
  signalled = false;
  std::optional<microseconds> until;
  if (time) until = interleaver.now() + std::max(*time, microseconds(0));
  interleaver.Block(*this, Blocked::kSignal, condition, at, until);
  while (!mutex.try_lock()) interleaver.Block(*this, Blocked::kMutex, &mutex, at);
  held.push_back(&mutex);
  return signalled;
}

void Member::Notify(const void* condition, bool all) {
  interleaver.Point(*this, Step::kNotify);
  interleaver.Signal(condition, all);
}

void Member::Sleep(microseconds time) {
  interleaver.Count(*this, Step::kSleep);
  interleaver.Block(*this, Blocked::kSleep, nullptr, __builtin_return_address(0), interleaver.now() + std::max(time, microseconds(0)));
}

void Member::SwitchPoint() { interleaver.Point(*this, Step::kPoint); }

void Member::Note(std::uint64_t what) { interleaver.Note(what << 8 | static_cast<std::uint64_t>(Step::kNote)); }

std::shared_ptr<SimulatedThread> Member::NewThread(const std::string& thread_name) {
  interleaver.Count(*this, Step::kNewThread);
  return interleaver.Add(thread_name);
}

void Member::Leave() { interleaver.Leave(*this); }

void Member::Join(const SimulatedThread& other) {
  const auto& member = static_cast<const Member&>(other);
  interleaver.Point(*this, Step::kJoin);
  while (!member.ended) interleaver.Block(*this, Blocked::kJoin, &member, __builtin_return_address(0));
}

// ---- what a test asks

Outcome Simulate(std::uint64_t seed, std::function<void()> body, const Limits& limits) {
  auto* const interleaver = new Interleaver(seed, limits);
  const Outcome outcome = interleaver->Run(std::move(body));
  if (outcome.ok()) delete interleaver;     // invariant 3
  return outcome;
}

std::uint64_t SimulatedClock::WallMillis() const {
  const std::chrono::milliseconds passed = std::chrono::duration_cast<std::chrono::milliseconds>(Here().now() - kBegin);
  return static_cast<std::uint64_t>((kWallAtBegin + passed + ahead_).count());
}
void SimulatedClock::Jump(std::chrono::milliseconds by) {
  constexpr std::chrono::milliseconds kLeast = std::chrono::hours(24 * 365);
  const auto shown = std::chrono::milliseconds(static_cast<std::int64_t>(WallMillis()));
  ahead_ += std::max(by, kLeast - shown);
}
microseconds SimulatedClock::Monotonic() const { return Here().now(); }

ExpectsAnswers::ExpectsAnswers() { ++Self().expects_answers; }
ExpectsAnswers::~ExpectsAnswers() { --Self().expects_answers; }

std::uint64_t TraceSoFar() { return Here().trace(); }

}  // namespace lsmkv::simulation
