// One event loop: one thread, its io_context, its sessions.
//
// The sockets sit in one epoll instance of the loop's own (level triggered), and that instance's descriptor is what
// Asio waits for: Asio's reactor would need an epoll_ctl for every wait on every socket, this needs one for every time the
// loop falls asleep. One round is a *tick*:
//
//   take mail -> due timers -> epoll_wait -> ready sessions, a few at a time: one recv each, then each runs its whole commands
//   -> ONE engine.Commit() -> one send per session
//
//      .--------------------- work found, up to kTicksPerTurn --------------------.
//      v                                                                          |
//   Turn() --> tick --> nothing found --> epoll_wait a moment longer (kLinger) --> tick
//      ^                                        | still nothing
//      '--- async_wait / timer (Asio) <--- Sleep()
//
// While a crowd of clients sends single requests the loop lets some microseconds pass between ticks, so that they gather
// (tick_pace.h). In `always` the sync that replies wait for is put off a little, so that it is one for all that came (sync_pace.h).
// Lingering keeps a busy connection at epoll_wait + recv + WAL write + send a request; mail wakes a lingering or sleeping loop
// through an eventfd in the same epoll instance.
//
// Invariants
//   1. Replies written in a tick leave after that tick's Commit() and, in wal-fsync=always, when it is durable.
//   2. Nothing here waits for a disk, a lock that is held across one, or a client.
//   3. A session belongs to one loop for life; other threads reach it through the mailbox, by id.
// Threads  the loop's own, unless a method says "any thread".
// Source   group commit per tick: DESIGN section 3; io_context per thread: Asio's HTTP server 2 example.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "server/command_watch.h"
#include "server/context.h"
#include "server/mailbox.h"
#include "server/pool_disposer.h"
#include "server/session.h"
#include "server/stats.h"
#include "server/sync_pace.h"
#include "server/tick_pace.h"
#include "server/tick_watch.h"

namespace lsmkv {

class Loop final : public CommitListener {
 public:
  /// Throws boost::system::system_error when the system has no descriptors for it, as what it is made of does.
  Loop(std::size_t index, const ServerContext& context);
  ~Loop() override;

  // ---- any thread
  void Start();
  /// Answers what was read, closes every session, at `deadline` (monotonic) at the latest, then calls `done` and ends.
  void Stop(std::chrono::microseconds deadline, std::function<void()> done);
  void Join();
  bool Post(std::function<void()> task) { return mailbox_.Post(std::move(task)); }
  void Deliver(Session* session) { mailbox_.Deliver(session); }
  void OnDurable(SequenceNumber durable, const Status& status) override;
  const LoopStats& stats() const { return stats_; }
  std::size_t index() const { return index_; }
  std::uint64_t load() const { return load_.load(std::memory_order_relaxed); }
  /// Sessions whose command waits for a deferred reply, the engine or CLIENT PAUSE.
  std::uint64_t waiting() const { return waiting_.Get(); }
  void NoteWaiting() { waiting_.Add(); }
  void NoteWaitOver() { waiting_.Subtract(); }
  void AddLoad() { load_.fetch_add(1, std::memory_order_relaxed); }

  // ---- the loop's thread
  /// Takes over a connected socket. The listener has counted it in context.clients and AddLoad().
  void Adopt(int fd, ClientState client);
  Session* Find(std::uint64_t id);
  void Gather(const ClientFilter& filter, std::vector<ClientInfo>* out) const;
  std::size_t Kill(const ClientFilter& filter, std::uint64_t self_id);
  void RunAfter(std::chrono::microseconds delay, std::function<void()> task);
  /// Sessions held by CLIENT PAUSE go on.
  void ResumePaused();

  // ---- for sessions
  std::uint64_t now_ms() const { return now_ms_; }              ///< one reading of the wall clock a tick
  std::chrono::microseconds now() const { return now_; }        ///< and one of the monotonic one
  const Settings& settings() const { return *settings_; }
  LoopStats& counters() { return stats_; }
  resp::PinDisposer& pin_disposer() { return pin_disposer_; }
  int epoll_fd() const { return epoll_fd_; }
  bool stopping() const { return stopping_; }
  std::uint64_t command_start_cycles() const { return command_start_cycles_; }
  void set_command_start_cycles(std::uint64_t cycles) { command_start_cycles_ = cycles; }
  void MarkDirty(Session* session);
  void MarkRunnable(Session* session);
  void NoteCommandRun() { commands_ran_ = true; }
  void NoteReceived(std::chrono::microseconds before) {
    pace_.Received(before, now_);
    sync_pace_.Received(before, now_);
  }
  /// loop_memory.cpp: `session` reads nothing until GoOnReading().
  void HoldForMemory(Session* session);
  /// To be called by a session that has just closed itself.
  void Bury(Session* session);
  void ResumeWhenWritable();

 private:
  struct Timer {
    std::chrono::microseconds due;
    std::uint64_t order;
    std::function<void()> task;
    bool operator>(const Timer& other) const { return due != other.due ? due > other.due : order > other.order; }
  };

  void Run();
  void Turn();
  bool Tick(int timeout_ms);
  template <typename Pace>
  void LetRequestsGather(Pace* pace);
  void Sleep();
  int LingerMillis() const;
  bool TakeMail();
  bool HasNews() const;
  bool RunDueTimers();
  void RunRunnable();
  void RunReceived();
  void WarmFirstKeys();
  void EndTick(bool found_work);
  TickCommit CommitTick(bool found_work);
  bool SyncCanWait(bool found_work) const;
  void NoteLatency(LatencyEvent event, std::chrono::microseconds took) {
    context_.command_watch.latency().Note(event, took, now_ms_ / 1000);
  }
  void BeginSync();
  void CheckDurable();
  void EmptyGraveyard();
  void Cron();
  void ForgetHeld(Session* session);
  void ArmReview();
  void ReviewHeld();
  void ResumeHeld(Session* session, bool favoured);
  void FavourOne();
  void BeginDrain(std::chrono::microseconds deadline, std::function<void()> done);
  void FinishDrain();
  void ReadClocks();

  const std::size_t index_;
  const ServerContext& context_;
  const int epoll_fd_;
  PoolDisposer pin_disposer_;
  Mailbox mailbox_;
  LoopStats stats_;
  TickWatch watch_;
  TickPace pace_;
  SyncPace sync_pace_;
  std::atomic<std::uint64_t> load_{0};           // sessions, those on their way here included
  Counter waiting_;
  std::atomic<bool> wal_broken_{false};          // release by the WAL thread, acquire by the loop
  std::atomic<std::uint64_t> durable_news_{0};   // calls of OnDurable; these two: seq_cst, as Mailbox's asleep_
  std::atomic<bool> awaits_durable_{false};
  Mutex broken_mutex_;                           // a leaf
  std::string broken_error_ LSMKV_GUARDED_BY(broken_mutex_);

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::posix::stream_descriptor epoll_descriptor_;
  boost::asio::steady_timer sleep_timer_;
  bool wait_armed_ = false;
  bool stopping_ = false;
  bool ended_ = false;
  std::function<void()> when_done_;

  std::uint64_t now_ms_ = 0;
  std::chrono::microseconds now_{0};
  SettingsCache settings_cache_;
  const Settings* settings_ = nullptr;
  std::uint64_t command_start_cycles_ = 0;
  bool commands_ran_ = false;                    // in this tick
  bool commit_failing_ = false;                  // the last Commit() failed
  std::chrono::microseconds sync_due_since_{0};  // replies are held for a sync that was put off to gather more; or 0
  bool asked_for_writable_ = false;
  std::string commit_error_;
  SequenceNumber checked_durable_ = 0;           // holding_ has been looked through for this one
  std::uint64_t seen_news_ = 0;
  std::size_t open_sessions_ = 0;

  std::vector<epoll_event> events_;
  bool more_is_ready_ = false;                   // events_ did not hold all that there was
  Mailbox::Contents mail_;
  std::vector<Session*> received_;               // of a tick, to be run; as many as are looked up together
  std::vector<Session*> dirty_;
  std::vector<Session*> runnable_;
  std::vector<Session*> holding_;
  std::vector<Session*> held_;                   // for memory
  bool review_armed_ = false;
  std::uint64_t favoured_id_ = 0;
  std::uint64_t favoured_received_ = 0;          // when it was last seen to get on
  std::chrono::microseconds favoured_at_{0};
  std::chrono::microseconds last_sweep_{0};
  std::vector<std::uint64_t> graveyard_;         // ids
  std::unordered_map<std::uint64_t, std::unique_ptr<Session>> sessions_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::uint64_t timer_order_ = 0;
  std::thread thread_;
};

}  // namespace lsmkv
