// One command of a session: may it run, where does it run, and what becomes of its reply.
#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/assert.h"
#include "base/log.h"
#include "commands/client_transaction.h"
#include "commands/replies.h"
#include "server/client_memory.h"
#include "server/command_watch.h"
#include "server/loop.h"
#include "server/session.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;

// OnWritable() may come late or, when the engine closes, for the last time: a stopped writer asks again by itself.
constexpr microseconds kStoppedRecheck{100'000};
constexpr std::chrono::milliseconds kPauseRecheck{3'600'000};
constexpr microseconds kLargeReadRecheck{200'000};     // it is woken; this is for its patience
constexpr std::size_t kKeptJobBytes = 64 << 10;

/// A browser can be made to send a request whose body is commands; its first line or a header gives it away.
/// Source: Redis, "Cross protocol scripting".
bool LooksLikeHttp(const resp::ArgVector& args) {
  return !args.empty() && (EqualsIgnoringCase(args[0], "post") || EqualsIgnoringCase(args[0], "host:"));
}

}  // namespace

template <typename Write>
void Session::Reject(Write write) {
  was_skipping_ = client_.reply_mode == ReplyMode::kSkipping;
  const std::size_t begin = replies_.buffer().size();
  resp::Writer writer(replies_.buffer(), client_.protocol);
  write(writer);
  loop_.counters().CountError(replies_.buffer().From(begin));
  FinishReply(begin);
}

// `admitted`: it has waited for the engine's admission already.
void Session::Dispatch(bool admitted) {
  if (!admitted && Refused()) return;
  if (client_.in_multi()) [[unlikely]] return DispatchInMulti(admitted);
  if (MustWait(admitted)) return;
  Run(command_->runs_on);
}

void Session::Run(RunsOn where) {
  was_skipping_ = client_.reply_mode == ReplyMode::kSkipping;
  if ((run_flags_ & kWrite) != 0) wrote_ = true;
  switch (where) {
    case RunsOn::kLoop: return RunOnLoop();
    case RunsOn::kReadPool: return Suspend(context_.read_pool);
    case RunsOn::kAdminPool: return Suspend(context_.admin_pool);
    case RunsOn::kUpkeepPool: return Suspend(context_.upkeep_pool);
  }
}

bool Session::Refused() {
  bool unknown_subcommand = false;
  const CommandSpec* const found = FindCommand(args_, &unknown_subcommand);
  if (found == nullptr || found->handler == nullptr) {
    if (LooksLikeHttp(args_)) {
      LogWarning("server", "client {} speaks HTTP, perhaps on behalf of a web page; closed", client_.address);
      Close();
      return true;
    }
    if (client_.in_multi()) RefuseTransaction(client_, context_.api);
    Reject([&](resp::Writer& reply) {
      if (found != nullptr || unknown_subcommand) return ReplyUnknownSubcommand(reply, args_);
      ReplyUnknownCommand(reply, args_);
    });
    return true;
  }
  command_ = found;
  run_flags_ = found->flags;
  if (!ArityFits(*found, args_.size())) {
    RefuseCommand(WrongArity(*found));
    return true;
  }
  if (!client_.authenticated && (found->flags & kNoAuth) == 0) {
    RefuseCommand(kNoAuthentication);
    return true;
  }
  return false;
}

/// Before it runs.
void Session::RefuseCommand(std::string_view error) {
  loop_.counters().by_command[command_->index].rejected.Add();
  const std::string text = RefusalInMulti(error);
  Reject([&](resp::Writer& reply) { reply.Error(text); });
}

bool Session::MustWait(bool admitted) {
  if (context_.pause.Holds(run_flags_, loop_.now())) [[unlikely]] {
    SetState(State::kPaused);
    ++ticket_;
    const std::chrono::milliseconds wait = context_.pause.until() - std::chrono::floor<std::chrono::milliseconds>(loop_.now());
    loop_.RunAfter(std::min(wait, kPauseRecheck), [&loop = loop_, id = id(), ticket = ticket_] {
      if (Session* const session = loop.Find(id)) session->Resume(ticket);
    });
    return true;
  }
  if (admitted || (run_flags_ & kWrite) == 0) return false;
  const Admission admission = context_.engine.AdmitWrite(WorkBytes());
  if (admission.kind == Admission::Kind::kGo) [[likely]] return false;
  const bool stopped = admission.kind == Admission::Kind::kStop;
  Park(stopped ? kStoppedRecheck : admission.delay, stopped);
  return true;
}

void Session::Park(microseconds delay, bool stopped) {
  SetState(State::kParked);
  stopped_ = stopped;
  ++ticket_;
  loop_.RunAfter(delay, [&loop = loop_, id = id(), ticket = ticket_] {
    if (Session* const session = loop.Find(id)) session->Resume(ticket);
  });
  if (stopped) loop_.ResumeWhenWritable();
}

void Session::Resume(std::uint64_t ticket) {
  if (ticket != ticket_ || (state_ != State::kParked && state_ != State::kPaused)) return;
  loop_.set_command_start_cycles(CycleClock::Now());
  const bool was_parked = state_ == State::kParked;
  if (was_parked && stopped_ && MustWait(false)) return;   // still stopped: parked again, or slowed now
  SetState(State::kReady);
  Dispatch(was_parked);
  if (state_ == State::kReady) RunCommands();
  if (state_ != State::kClosed) UpdateInterest();
}

void Session::RunOnLoop() {
  const std::size_t begin = replies_.buffer().size();
  resp::Writer writer(replies_.buffer(), client_.protocol);
  CommandContext context{args_, *command_, writer, client_, context_.keyspace, context_.api, loop_.now_ms(), false};
  const Outcome outcome = command_->handler(context);
  loop_.NoteCommandRun();
  if (outcome == Outcome::kWouldBlock) {
    replies_.buffer().Truncate(begin);
    return Suspend(context_.read_pool);
  }
  HandleOutcome(outcome, begin);
}

void Session::Suspend(ThreadPool& pool) {
  // In this order: who waits for its turn to read does not keep others from running large commands.
  if (large_read_.waits() && !large_read_.MayRun(loop_.now())) [[unlikely]] return Park(kLargeReadRecheck, false);
  if (WorkBytes() >= Engine::kLargeBatchBytes && !MayRunLarge()) [[unlikely]] return Park(kLargeRecheck, false);
  large_read_.Begin();
  if (ChangesClientOnPool(*command_)) job_client_ = std::make_unique<SessionClient>(client_);
  SetState(State::kSuspended);
  job_running_ = true;
  loop_.counters().suspensions.Add();
  if (pool.Submit([this] { RunOnPool(); })) return;
  job_running_ = false;
  job_client_.reset();
  if (large_bytes_ != 0) context_.client_memory.EndLarge(std::exchange(large_bytes_, 0));
  Reject([](resp::Writer& reply) { reply.Error("ERR the server is shutting down"); });
}

// On a pool thread; the loop leaves args_, command_ and the job's members alone until Deliver().
void Session::RunOnPool() {
  const std::uint64_t begin = CycleClock::Now();
  {
    resp::Writer writer(job_replies_, client_.protocol);
    ClientState& client = job_client_ ? *job_client_ : client_;
    CommandContext context{args_,           *command_,     writer, client, context_.keyspace, context_.api,
                           context_.clock.WallMillis(), true};
    if (MayRunAgain()) context.large_values = &large_read_;
    job_outcome_ = command_->handler(context);
    if (job_outcome_ == Outcome::kWouldBlock) GiveUpOnPool(client, writer);
    large_read_.End(job_replies_.size());
  }
  if (large_bytes_ != 0) job_slow_args_ = SlowArguments(*command_, args_);
  context_.engine.ReleaseThreadView();
  job_cycles_ = CycleClock::Now() - begin;
  loop_.Deliver(this);   // last: from here on the session is the loop's again
}

/// It changes nothing before it has read all that it replies with.
bool Session::MayRunAgain() const {
  if (IsExec(*command_)) return client_.transaction != nullptr && !client_.transaction->has_other_effects;
  return (command_->flags & (kReadOnly | kWrite)) != 0;
}

// It has changed nothing. If it waits for room it will be run again.
void Session::GiveUpOnPool(ClientState& client, resp::Writer& writer) {
  job_replies_.Clear();
  if (large_read_.waits()) return;
  std::string error = "ERR the command could not get what it waited for";
  if (large_read_.too_large()) {
    error = "ERR the values of this reply have more than the " + std::to_string(context_.client_memory.large_reads().MostOfOneReply()) +
            " bytes that one reply may hold in memory; ask for fewer at a time, or raise maxmemory-clients";
  }
  if (IsExec(*command_)) {
    EndTransaction(client, context_.api);
    error = ExecRefused(error);
  }
  writer.Error(error);
  job_outcome_ = Outcome::kDone;
}

void Session::JobFinished() {
  job_running_ = false;
  if (job_outcome_ == Outcome::kWouldBlock) [[unlikely]] return WaitForLargeRead();
  if (large_bytes_ != 0) [[unlikely]] LargeIsDone();
  loop_.NoteCommandRun();   // what it wrote is committed by this tick, whether or not its client is still there
  if (state_ == State::kClosed) {
    // Who asked has gone, perhaps for that very reason.
    if (job_cycles_ >= context_.command_watch.slow_cycles()) NoteSlow(job_cycles_);
    return loop_.Bury(this);
  }
  if (job_client_) [[unlikely]] {
    static_cast<ClientState&>(client_) = std::move(*job_client_);
    job_client_.reset();
  }
  finished_at_ = loop_.now();
  loop_.set_command_start_cycles(CycleClock::Now() - job_cycles_);
  if ((run_flags_ & kWrite) != 0) wrote_ = true;
  const std::size_t begin = replies_.buffer().size();
  if (begin == 0) {
    replies_.buffer().Swap(job_replies_);
  } else {
    replies_.buffer().Append(std::move(job_replies_));
  }
  job_replies_.Clear();
  if (job_replies_.capacity() > kKeptJobBytes) job_replies_.Release();
  HandleOutcome(job_outcome_, begin);
  if (state_ == State::kReady) RunCommands();
  if (state_ != State::kClosed) UpdateInterest();
}

// It has changed nothing and written nothing: it runs again when the others hold less.
void Session::WaitForLargeRead() {
  job_outcome_ = Outcome::kDone;
  job_client_.reset();
  if (large_bytes_ != 0) context_.client_memory.EndLarge(std::exchange(large_bytes_, 0));    // others may run theirs meanwhile
  if (state_ == State::kClosed) return loop_.Bury(this);
  if (peer_gone_) return Close();
  loop_.counters().large_reads_put_off.Add();
  Park(large_read_.MayRun(loop_.now()) ? microseconds(0) : kLargeReadRecheck, false);
  UpdateInterest();
}

void Session::ResumeLargeRead() {
  if (state_ == State::kParked && large_read_.waits()) Resume(ticket_);
}

void Session::HandleOutcome(Outcome outcome, std::size_t reply_begin) {
  switch (outcome) {
    case Outcome::kRanTransaction:
      CountRanCommands();
      CountRun(reply_begin, true);
      return FinishReply(reply_begin);
    case Outcome::kCloseAfterReply:
      close_after_reply_ = true;
      [[fallthrough]];
    case Outcome::kDone:
    case Outcome::kWouldBlock:
      LSMKV_INVARIANT(outcome != Outcome::kWouldBlock);
      CountRun(reply_begin, true);
      return FinishReply(reply_begin);
    case Outcome::kNoReply:
      replies_.buffer().Truncate(reply_begin);
      CountRun(reply_begin, false);
      return FinishReply(reply_begin);
    case Outcome::kDeferred:
      deferred_since_cycles_ = loop_.command_start_cycles();
      replies_.buffer().Truncate(reply_begin);
      SetState(State::kDeferred);
      if (deferred_) {   // completed before the handler had returned
        std::function<void(resp::Writer&)> write = std::move(*deferred_);
        deferred_.reset();
        CompleteDeferred(std::move(write));
      }
      return;
  }
}

void Session::CompleteDeferred(std::function<void(resp::Writer&)> write) {
  awaits_deferred_ = false;
  if (state_ == State::kClosed) return loop_.Bury(this);
  if (state_ == State::kSuspended) {
    deferred_ = std::move(write);
    return;
  }
  if (state_ != State::kDeferred) return;
  loop_.NoteCommandRun();
  if ((run_flags_ & kWrite) != 0) wrote_ = true;
  const std::size_t begin = replies_.buffer().size();
  resp::Writer writer(replies_.buffer(), client_.protocol);
  write(writer);
  finished_at_ = loop_.now();
  loop_.set_command_start_cycles(deferred_since_cycles_);
  CountRun(begin, true);
  FinishReply(begin);
  if (state_ == State::kReady) RunCommands();
  if (state_ != State::kClosed) UpdateInterest();
}

// `failed_reply`: there is a reply to look at.
void Session::CountRun(std::size_t reply_begin, bool failed_reply) {
  LoopStats& stats = loop_.counters();
  CommandCounters& counters = stats.by_command[command_->index];
  const std::uint64_t now = CycleClock::Now();
  const std::uint64_t took = now - loop_.command_start_cycles();
  loop_.set_command_start_cycles(now);
  stats.commands.Add();
  counters.calls.Add();
  counters.cycles.Add(took);
  const CommandWatch& watch = context_.command_watch;
  if (watch.tracks()) counters.by_latency[watch.BucketOf(took)].Add();
  if (took >= watch.slow_cycles()) [[unlikely]] NoteSlow(took);
  if (!failed_reply) return;
  const std::string_view reply = replies_.buffer().From(reply_begin);
  if (!reply.empty() && reply.front() == '-') [[unlikely]] {
    counters.failed.Add();
    stats.CountError(reply);
  }
}

void Session::NoteSlow(std::uint64_t cycles) {
  std::vector<std::string> args;
  if ((command_->flags & kSkipSlowlog) == 0) args = args_.empty() ? std::move(job_slow_args_) : SlowArguments(*command_, args_);
  context_.command_watch.NoteSlow(*command_, std::move(args), client_, cycles, context_.clock.WallMillis());
}

// CLIENT REPLY decides whether what stands from `reply_begin` on is sent; then the command is over.
void Session::FinishReply(std::size_t reply_begin) {
  if (client_.reply_mode != ReplyMode::kOn) [[unlikely]] {
    if (client_.reply_mode == ReplyMode::kOff || was_skipping_) replies_.buffer().Truncate(reply_begin);
    if (client_.reply_mode == ReplyMode::kSkipping && was_skipping_) client_.reply_mode = ReplyMode::kOn;
    if (client_.reply_mode == ReplyMode::kSkipNext) client_.reply_mode = ReplyMode::kSkipping;
  }
  if (replies_.buffer().size() > reply_begin) {
    replies_.CountReply();
    Dirty();
  }
  FinishCommand();
}

}  // namespace lsmkv
