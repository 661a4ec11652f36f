#include "server/loop.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <span>

#include "base/assert.h"
#include "base/log.h"
#include "keyspace/keyspace.h"
#include "server/client_filter.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int kTicksPerTurn = 256;
constexpr int kEventsPerTick = 256;
constexpr milliseconds kLinger{10};
constexpr milliseconds kCronPeriod{1000};

/// As Asio's parts, of which a loop is made, say that they cannot be made.
void ThrowUnless(bool done, const char* what) {
  if (!done) throw boost::system::system_error(errno, boost::system::system_category(), what);
}

int NewEpoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  ThrowUnless(fd >= 0, "epoll of a loop");
  return fd;
}

}  // namespace

Loop::Loop(std::size_t index, const ServerContext& context)
    : index_(index),
      context_(context),
      epoll_fd_(NewEpoll()),
      pin_disposer_(context.read_pool),
      stats_(CommandIndexCount()),
      watch_(index),
      io_(1),
      work_(boost::asio::make_work_guard(io_)),
      epoll_descriptor_(io_, epoll_fd_),
      sleep_timer_(io_),
      settings_cache_(context.config),
      events_(kEventsPerTick) {
  ReadClocks();
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;   // not a session
  ThrowUnless(mailbox_.wake_fd() >= 0 && ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, mailbox_.wake_fd(), &event) == 0, "mailbox of a loop");
  context_.engine.AddCommitListener(this);
}

Loop::~Loop() {
  LSMKV_ASSERT(!thread_.joinable());
  // The engine outlives the loops' threads and calls no listener that was removed (Join()).
}

void Loop::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Loop::Join() {
  if (!thread_.joinable()) return;
  thread_.join();
  context_.engine.RemoveCommitListener(this);
}

void Loop::Run() {
  ::pthread_setname_np(::pthread_self(), ("io-" + std::to_string(index_)).c_str());
  ::prctl(PR_SET_TIMERSLACK, 1UL);   // ns: LetRequestsGather() would last 50 us longer than it says
  RunAfter(kCronPeriod, [this] { Cron(); });
  boost::asio::post(io_, [this] { Turn(); });
  io_.run();
  context_.engine.ReleaseThreadView();
}

void Loop::Turn() {
  int timeout_ms = 0;
  for (int tick = 0; tick < kTicksPerTurn; ++tick) {
    const bool found_work = Tick(timeout_ms);
    if (ended_) return;
    if (!found_work && timeout_ms > 0) return Sleep();
    const bool sync_waits = sync_due_since_.count() != 0;
    if (sync_waits && !found_work) LetRequestsGather(&sync_pace_);
    if (!sync_waits && holding_.empty() && pace_.MomentPays()) LetRequestsGather(&pace_);
    timeout_ms = runnable_.empty() && !sync_waits ? LingerMillis() : 0;
    if (!found_work && timeout_ms == 0 && runnable_.empty() && !sync_waits) timeout_ms = 1;
  }
  boost::asio::post(io_, [this] { Turn(); });
}

template <typename Pace>
void Loop::LetRequestsGather(Pace* pace) {
  // Something is to be done whoever sends.
  if (more_is_ready_ || !runnable_.empty() || mailbox_.HasMail() || stopping_) return;
  const microseconds from = context_.clock.Monotonic();
  const timespec moment{0, std::chrono::nanoseconds(TickPace::kMoment).count()};
  ::nanosleep(&moment, nullptr);   // a signal ends it early, and that is all
  pace->Took(from, context_.clock.Monotonic());
  stats_.gatherings.Add();
}

// True when there was something to do.
bool Loop::Tick(int timeout_ms) {
  if (timeout_ms > 0) {
    mailbox_.BeforeSleep();
    if (HasNews()) timeout_ms = 0;
  }
  const int ready = ::epoll_wait(epoll_fd_, events_.data(), kEventsPerTick, timeout_ms);
  more_is_ready_ = ready == kEventsPerTick;
  mailbox_.AfterSleep();
  ReadClocks();
  watch_.Began(now_);
  if (!holding_.empty()) CheckDurable();   // first: mail may add replies that are not covered by what is held
  bool found_work = TakeMail();
  found_work |= RunDueTimers();
  if (!runnable_.empty()) {
    found_work = true;
    RunRunnable();
  }
  for (int i = 0; i < ready; ++i) {
    found_work = true;
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    if (event.data.ptr == nullptr) continue;
    auto* const session = static_cast<Session*>(event.data.ptr);
    if (session->OnEvents(event.events)) received_.push_back(session);
    if (received_.size() == Engine::kMostWarmed) RunReceived();
  }
  RunReceived();
  EndTick(found_work);
  return found_work;
}

// The lookups of several sessions wait for main memory together, as those of one session's pipeline do.
void Loop::RunReceived() {
  if (received_.size() > 1 && context_.engine.WarmingPays()) WarmFirstKeys();
  for (Session* const session : received_) session->RunReceived();
  received_.clear();
}

void Loop::WarmFirstKeys() {
  std::array<UpcomingKey, Engine::kMostWarmed> keys;
  std::size_t count = 0;
  const std::uint32_t database = received_.front()->client().database;
  for (Session* const session : received_) {
    if (session->client().database != database) continue;
    if (const std::optional<UpcomingKey> key = session->FirstKey()) keys[count++] = *key;
  }
  if (count > 1) context_.keyspace.Warm(database, std::span(keys).first(count));
}

void Loop::ReadClocks() {
  now_ms_ = context_.clock.WallMillis();
  now_ = context_.clock.Monotonic();
  settings_ = &settings_cache_.Now();
}

int Loop::LingerMillis() const {
  milliseconds wait = kLinger;
  if (!timers_.empty()) wait = std::min(wait, std::chrono::ceil<milliseconds>(timers_.top().due - now_));
  return static_cast<int>(std::max<milliseconds::rep>(wait.count(), 0));
}

// Gives the thread to Asio until a socket, the mailbox or the next timer calls.
void Loop::Sleep() {
  context_.engine.ReleaseThreadView();
  mailbox_.BeforeSleep();
  if (HasNews()) {
    boost::asio::post(io_, [this] { Turn(); });
    return;
  }
  if (!timers_.empty()) {
    sleep_timer_.expires_after(std::max(timers_.top().due - now_, microseconds{0}));
    sleep_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error && !ended_) Turn();
    });
  }
  if (wait_armed_) return;   // the timer has woken us last time, and the wait is still there
  wait_armed_ = true;
  epoll_descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code&) {
    wait_armed_ = false;
    sleep_timer_.cancel();
    if (!ended_) Turn();
  });
}

// What a sleeping loop would miss; asked between BeforeSleep() and sleeping.
bool Loop::HasNews() const {
  return mailbox_.HasMail() || (!holding_.empty() && durable_news_.load(std::memory_order_seq_cst) != seen_news_);
}

bool Loop::TakeMail() {
  if (!mailbox_.HasMail()) return false;
  mailbox_.Take(&mail_);
  for (Session* const session : mail_.finished) session->JobFinished();
  for (const std::function<void()>& task : mail_.tasks) task();
  mail_.finished.clear();
  mail_.tasks.clear();
  return true;
}

void Loop::RunRunnable() {
  std::vector<Session*> sessions;
  sessions.swap(runnable_);
  for (Session* const session : sessions) {
    session->in_runnable_list = false;
    session->Continue();
  }
}

// ---- the end of a tick

TickCommit Loop::CommitTick(bool found_work) {
  TickCommit result;
  const bool soon = SyncCanWait(found_work);
  const microseconds start = context_.clock.Monotonic();
  const Result<SequenceNumber> commit = soon ? context_.engine.CommitSoon() : context_.engine.Commit();
  const microseconds took = context_.clock.Monotonic() - start;
  watch_.CommitTook(took);
  NoteLatency(LatencyEvent::kWalWrite, took);
  if (commit) {
    commit_failing_ = false;
    if (*commit != 0 && context_.engine.durable_sequence() < *commit) result.hold_for = *commit;
    if (!soon || result.hold_for == 0) {
      sync_due_since_ = microseconds(0);
      sync_pace_.Begun();
    } else if (sync_due_since_.count() == 0) {
      sync_due_since_ = now_;
    }
    return result;
  }
  if (!commit_failing_) LogError("server", "commit failed, writes get an error: {}", commit.error().message());
  // In the first tick that fails a read may have seen what is not written now; later ones see what they may see anyway.
  result.fail_reads_too = !commit_failing_;
  commit_failing_ = true;
  commit_error_ = WriteRefused(commit.error());
  result.error = commit_error_;
  return result;
}

bool Loop::SyncCanWait(bool found_work) const {
  const microseconds waited = sync_due_since_.count() == 0 ? microseconds(0) : now_ - sync_due_since_;
  return sync_pace_.SyncCanWait(found_work, now_, waited);
}

void Loop::BeginSync() {
  sync_due_since_ = microseconds(0);
  sync_pace_.Begun();
  IgnoreError(context_.engine.Commit().status(), "the listener tells those who are held, and the next tick's tells the others");
}

void Loop::EndTick(bool found_work) {
  stats_.ticks.Add();
  if (commands_ran_ || !dirty_.empty()) {
    const TickCommit commit = CommitTick(found_work);
    commands_ran_ = false;
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
      Session* const session = dirty_[i];
      session->in_dirty_list = false;
      session->EndTick(commit);
      if (commit.hold_for != 0 && !session->in_holding_list && session->holding()) {
        session->in_holding_list = true;
        holding_.push_back(session);
        if (sync_due_since_.count() != 0) sync_pace_.Held();
      }
    }
    dirty_.clear();
    awaits_durable_.store(!holding_.empty(), std::memory_order_seq_cst);
  }
  if (sync_due_since_.count() != 0 && !SyncCanWait(found_work)) BeginSync();
  context_.engine.ReleaseStaleThreadView();     // a loop that only writes would keep an old view's memtables
  if (!graveyard_.empty()) EmptyGraveyard();
  const microseconds end = context_.clock.Monotonic();
  watch_.Ended(end, &stats_);
  NoteLatency(LatencyEvent::kEventLoop, end - now_);
  pace_.Ended(end, stats_.commands.Get());
  sync_pace_.Ended(end);
  if (stopping_ && open_sessions_ == 0) FinishDrain();
}

void Loop::CheckDurable() {
  seen_news_ = durable_news_.load(std::memory_order_seq_cst);
  if (wal_broken_.load(std::memory_order_acquire)) {
    std::string error;
    {
      MutexLock lock(broken_mutex_);
      error = broken_error_;
    }
    const SequenceNumber durable = context_.engine.durable_sequence();
    for (Session* const session : holding_) {
      if (session->OnDurable(durable)) session->OnDurableFailed(error);
      session->in_holding_list = false;
    }
    holding_.clear();
  } else {
    const SequenceNumber durable = context_.engine.durable_sequence();
    if (durable == checked_durable_) return;
    checked_durable_ = durable;
    std::erase_if(holding_, [durable](Session* session) {
      session->in_holding_list = session->OnDurable(durable);
      return !session->in_holding_list;
    });
  }
  awaits_durable_.store(!holding_.empty(), std::memory_order_seq_cst);
}

void Loop::OnDurable(SequenceNumber /*durable*/, const Status& status) {
  if (!status.ok()) {
    MutexLock lock(broken_mutex_);
    broken_error_ = WriteRefused(status);
  }
  wal_broken_.store(!status.ok(), std::memory_order_release);   // a full disk passes
  durable_news_.fetch_add(1, std::memory_order_seq_cst);
  if (awaits_durable_.load(std::memory_order_seq_cst) || !status.ok()) mailbox_.Wake();
}

// ---- timers

void Loop::RunAfter(microseconds delay, std::function<void()> task) {
  timers_.push({now_ + std::max(delay, microseconds{0}), timer_order_++, std::move(task)});
}

bool Loop::RunDueTimers() {
  bool ran = false;
  while (!timers_.empty() && timers_.top().due <= now_) {
    const std::function<void()> task = std::move(const_cast<Timer&>(timers_.top()).task);   // about to be popped
    timers_.pop();
    task();
    ran = true;
  }
  return ran;
}

void Loop::Cron() {
  for (const auto& [id, session] : sessions_) session->Cron(*settings_);
  RunAfter(kCronPeriod, [this] { Cron(); });
}

}  // namespace lsmkv
