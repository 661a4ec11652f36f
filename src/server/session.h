// One connection: its input, the command it runs, its replies.
//
//                 .---- read pool / admin pool ----> kSuspended --- job done ----.
//                 |---- DeferredReply -------------> kDeferred --- Complete() ---|
//    kReady <-----+---- AdmitWrite says wait ------> kParked ----- time is up ---+----> kReady
//      |          '---- CLIENT PAUSE --------------> kPaused ----- pause ends ---'
//      |
//      '--- QUIT, kill, end of file, protocol error ---> kClosing --- replies gone ---> kClosed
//
// Invariants
//   1. Commands run in the order they arrived, one at a time, and their replies leave in that order.
//   2. While a command waits (any state but kReady) nothing is read, parsed or moved: its arguments, views into input_, stay.
//   3. A reply leaves only after the Commit() of the tick it was written in (reply_queue.h).
//   4. Above SoftOutputBytes() of unsent replies no further command runs until the socket has taken them: what a client that
//      does not read can make the server hold is bounded by that, one reply, and one input buffer. What all clients
//      together can make it hold is bounded as client_memory.h says.
//   5. A session that a pool thread or a DeferredReply still knows is not destroyed, only closed.
// Between MULTI and EXEC commands are queued instead of run (session_transaction.cpp). That costs others one branch a command.
//
// Threads  the loop's, but for RunOnPool(), which has command_, args_, client_ and job_replies_ to itself while kSuspended; the
//          loop may read client_ meanwhile (CLIENT LIST), so only commands that run on loops change it. EXEC and WATCH, which run in
//          a pool at times, get a copy there, which is taken over when they come back.
// Source   Redis networking.c for what a client sees.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands/command.h"

#include "resp/parser.h"
#include "server/context.h"
#include "server/input_buffer.h"
#include "server/large_reads.h"
#include "server/reply_queue.h"

namespace lsmkv {

class Loop;
class Session;

/// A ClientState that knows its session, so that ServerApi can get from one to the other.
struct SessionClient : ClientState {
  explicit SessionClient(Session& owner) : session(owner) {}
  Session& session;
};

/// What became of a tick's Commit().
struct TickCommit {
  SequenceNumber hold_for = 0;       ///< not 0: replies wait until this is durable
  std::string_view error;            ///< not empty: the replies to writes become this
  bool fail_reads_too = false;
};

class Session {
 public:
  enum class State : std::uint8_t { kReady, kSuspended, kDeferred, kParked, kPaused, kClosing, kClosed };

  /// Takes the socket over. `client` has its addresses and times already.
  Session(Loop& loop, const ServerContext& context, int fd, ClientState client);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// True when it has received something: RunReceived() must follow in the same tick.
  [[nodiscard]] bool OnEvents(std::uint32_t events);
  /// Runs the whole commands that are there.
  void RunReceived();
  /// What the first of them asks for, when that can be told at a glance.
  std::optional<UpcomingKey> FirstKey() const;
  /// The tick's Commit() has returned: lets the replies go, or holds them.
  void EndTick(const TickCommit& commit);
  /// What was held up to `durable` may leave. False when nothing more is held.
  bool OnDurable(SequenceNumber durable);
  void OnDurableFailed(std::string_view error);
  /// The pool's job is done.
  void JobFinished();
  void CompleteDeferred(std::function<void(resp::Writer&)> write);
  /// It may be the turn of its large read.
  void ResumeLargeRead();
  /// Goes on with the command it was parked or paused with, when it still is and `ticket` is that stay's.
  void Resume(std::uint64_t ticket);
  /// Goes on with what is in the input buffer (the socket has taken the replies).
  void Continue();
  /// Answers what was read already and then closes; reads nothing more.
  void Drain();
  void Close();
  void CloseAfterReplies();

  // While all clients together hold too much (client_memory.h).
  /// Gives back what is more than `keep_bytes` of buffers that hold nothing.
  void ShrinkEmptyBuffers(std::size_t keep_bytes);
  /// It was held and is no more. `favoured`: it is not held again before a command is complete.
  void GoOnReading(bool favoured);
  void EndFavour();
  bool favoured() const { return favoured_; }
  /// It is the favoured large one, with more than all clients together may hold: another like it would be too much.
  bool HoldsMoreThanAll() const;
  std::uint64_t received_bytes() const { return received_bytes_; }
  /// Of the command that has begun to arrive, at least.
  std::size_t missing_bytes() const { return parser_.wanted(); }

  /// Once a second: idle timeout, output limits, memory given back. True when the session was closed.
  bool Cron(const Settings& settings);

  ClientInfo Describe() const;
  State state() const { return state_; }
  std::uint64_t id() const { return client_.id; }
  Loop& loop() { return loop_; }
  const ClientState& client() const { return client_; }
  std::uint64_t ticket() const { return ticket_; }
  bool stopped() const { return stopped_; }
  bool holding() const { return replies_.holding(); }
  /// A handler has taken a DeferredReply; on the thread that runs the command.
  void ExpectDeferred() { awaits_deferred_ = true; }
  /// False while a pool thread or a DeferredReply may still come back to it.
  bool MayBeDestroyed() const { return !job_running_ && !awaits_deferred_; }

  bool in_dirty_list = false;      // the loop's marks
  bool in_runnable_list = false;
  bool in_holding_list = false;
  bool in_held_list = false;
  bool counted_closed = false;

 private:
  static constexpr std::size_t kSoftOutputBytes = 1 << 20;
  static constexpr std::size_t kFirstReadBytes = 4 << 10;
  static constexpr std::size_t kMaxReadBytes = 64 << 10;     // more per tick would be unfair to the loop's other sessions

  bool Reads() const { return state_ == State::kReady && !output_full_ && !draining_ && !held_; }
  static constexpr std::chrono::microseconds kLargeRecheck{5'000};
  static constexpr std::chrono::seconds kLargeStall{3};

  static bool Waits(State state) { return state >= State::kSuspended && state <= State::kPaused; }
  bool HasArguments() const { return Waits(state_); }
  void SetState(State state);
  bool Receive();
  void CannotRead(std::uint32_t events, bool hung_up);
  void RunCommands();
  void WarmCommandsBehind();
  void FinishCommand();

  // session_command.cpp: one command
  void Dispatch(bool admitted);
  bool Refused();
  void RefuseCommand(std::string_view error);
  bool MustWait(bool admitted);
  void Run(RunsOn where);
  void Park(std::chrono::microseconds delay, bool stopped);
  void WaitForLargeRead();
  void RunOnLoop();
  void Suspend(ThreadPool& pool);
  void RunOnPool();
  bool MayRunAgain() const;
  void GiveUpOnPool(ClientState& client, resp::Writer& writer);
  void HandleOutcome(Outcome outcome, std::size_t reply_begin);
  void FinishReply(std::size_t reply_begin);
  template <typename Write>
  void Reject(Write write);
  void CountRun(std::size_t reply_begin, bool failed_reply);
  [[gnu::cold, gnu::noinline]] void NoteSlow(std::uint64_t cycles);

  // session_transaction.cpp: between MULTI and EXEC
  void DispatchInMulti(bool admitted);
  void QueueCommand();
  bool QueueIsTooLong(std::uint64_t more_bytes);
  std::string RefusalInMulti(std::string_view error);
  void CountRanCommands();
  /// Of the command that runs, with what EXEC runs.
  std::size_t WorkBytes() const { return command_bytes_ + exec_bytes_; }

  // session_memory.cpp
  std::uint64_t MemoryBytes() const;
  void CountMemory();
  std::uint64_t FairShare() const;
  bool HoldBack();
  bool MayRunLarge();
  void LargeIsDone();
  void DisposeOfInput(std::uint64_t large_bytes);
  bool CloseIfInTheWay();
  bool CloseIfTakesNothing();
  std::size_t ReadBound(std::size_t wanted) const;
  std::size_t SoftOutputBytes() const;

  void Flush();
  void FailProtocol(const std::string& message);
  void UpdateInterest();
  void Dirty();

  Loop& loop_;
  const ServerContext& context_;
  SessionClient client_;
  const int fd_;
  State state_ = State::kReady;
  bool output_full_ = false;        // invariant 4
  bool wants_write_ = false;        // the socket took only a part
  bool wrote_ = false;              // a write ran in this tick
  bool close_after_reply_ = false;  // of the command that runs or waits
  bool draining_ = false;
  bool held_ = false;               // reads nothing: all clients together hold too much
  bool favoured_ = false;           // reads on although they do
  bool peer_gone_ = false;
  bool half_closed_ = false;        // the client has said that it sends no more
  bool job_running_ = false;
  bool awaits_deferred_ = false;
  bool stopped_ = false;            // kParked because writers are stopped, not slowed
  bool was_skipping_ = false;       // CLIENT REPLY SKIP applies to the command that runs
  std::size_t warmed_commands_ = 0; // in the input behind the present one: their keys have been looked at
  std::uint32_t interest_ = 0;      // of the epoll registration
  std::uint64_t ticket_ = 0;        // of this stay in kParked or kPaused
  std::optional<std::chrono::microseconds> over_soft_limit_since_;   // the output buffer
  std::chrono::microseconds parked_since_{0};
  bool parked_as_writer_ = false;                // parked since then because the tree is behind
  std::size_t read_bytes_;          // how much room to offer to recv
  std::uint64_t received_bytes_ = 0;
  std::chrono::microseconds received_at_{0};     // the last of them, or since when it is here; loop_.now()
  std::chrono::microseconds finished_at_{0};     // when the last command ended that had run elsewhere
  std::chrono::microseconds took_at_{0};         // when the socket last took some of a reply, or began not to take one
  std::uint64_t counted_bytes_ = 0; // of what it holds, in context_.client_memory
  std::uint64_t large_bytes_ = 0;   // of the large command that runs, likewise; 0: none

  InputBuffer input_;
  resp::Parser parser_;
  resp::ArgVector args_;
  std::size_t command_bytes_ = 0;           // of the command in args_
  const CommandSpec* command_ = nullptr;    // the one that runs or waits, or the last one
  std::uint32_t run_flags_ = 0;             // its CommandFlags, with those of what EXEC runs
  std::size_t exec_bytes_ = 0;              // of what EXEC runs; 0: it is not EXEC
  ReplyQueue replies_;

  // A job's, from Suspend() to JobFinished().
  std::unique_ptr<SessionClient> job_client_;   // what the command may change while the loop looks at client_
  resp::OutputBuffer job_replies_;
  LargeReads::Turn large_read_;                 // of what a job has read, until its reply has left
  Outcome job_outcome_ = Outcome::kDone;
  std::uint64_t job_cycles_ = 0;
  std::vector<std::string> job_slow_args_;      // of a large command, whose arguments do not outlast its job
  std::optional<std::function<void(resp::Writer&)>> deferred_;
  std::uint64_t deferred_since_cycles_ = 0;     // when the command of a DeferredReply began
};

}  // namespace lsmkv
