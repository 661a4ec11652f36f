#include "server/session.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "commands/client_transaction.h"
#include "keyspace/keyspace.h"
#include "resp/look_ahead.h"
#include "server/client_memory.h"
#include "server/command_watch.h"
#include "server/loop.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;

constexpr std::size_t kMaxGrowBytes = 1 << 20;      // at a time, for one big argument
constexpr std::size_t kKeptBytes = 64 << 10;        // of a buffer that has been blown up and is empty now
constexpr std::chrono::seconds kIdle{2};            // then an empty session gives all its buffers back
constexpr int kMaxDrainedReads = 64;

/// One system call: what may leave, unless it is in very many pieces. As send().
ssize_t SendPieces(int fd, const ReplyQueue& replies) {
  std::array<std::string_view, 32> pieces;
  const std::size_t count = replies.Sendable(pieces);
  if (count == 1) [[likely]] return ::send(fd, pieces[0].data(), pieces[0].size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  std::array<iovec, 32> vectors;
  for (std::size_t i = 0; i < count; ++i) vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  return ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

Session::Session(Loop& loop, const ServerContext& context, int fd, ClientState client)
    : loop_(loop),
      context_(context),
      client_(*this),
      fd_(fd),
      read_bytes_(kFirstReadBytes),
      replies_(&loop.pin_disposer()),
      job_replies_(&loop.pin_disposer()),
      large_read_(context.client_memory.large_reads(), [&loop, id = client.id] {
        loop.Post([&loop, id] {
          if (Session* const session = loop.Find(id)) session->ResumeLargeRead();
        });
      }) {
  static_cast<ClientState&>(client_) = std::move(client);
  client_.fd = fd;
  received_at_ = loop_.now();
  interest_ = EPOLLIN;
  epoll_event event{};
  event.events = interest_;
  event.data.ptr = this;
  if (::epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_ADD, fd_, &event) != 0) {
    LogWarning("server", "cannot watch client {}: errno {}", client_.address, errno);
    Close();
  }
  CountMemory();
}

Session::~Session() {
  context_.client_memory.Change(counted_bytes_, 0);
  if (favoured_) EndFavour();
  DisposeOfInput(std::exchange(large_bytes_, 0));
  EndTransaction(client_, context_.api);
  if (state_ != State::kClosed) ::close(fd_);
}

void Session::SetState(State state) {
  const auto blocked = [](State s) { return Waits(s) && s != State::kSuspended; };   // as INFO counts it
  if (blocked(state) != blocked(state_)) blocked(state) ? loop_.NoteWaiting() : loop_.NoteWaitOver();
  if (state == State::kParked && state_ != State::kParked) {
    parked_since_ = loop_.now();
    loop_.counters().parked.Add();
    parked_as_writer_ = (run_flags_ & kWrite) != 0 && !large_read_.waits();      // not by a queue of readers
    if (parked_as_writer_) context_.engine.StallBegins();
  } else if (state_ == State::kParked && state != State::kParked) {
    if (parked_as_writer_) {
      const microseconds stalled = loop_.now() - parked_since_;
      context_.engine.StallEnds(stalled);
      context_.command_watch.latency().Note(LatencyEvent::kWriteStall, stalled, loop_.now_ms() / 1000);
    }
  }
  state_ = state;
}

bool Session::OnEvents(std::uint32_t events) {
  if (state_ == State::kClosed) return false;
  const bool hung_up = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if ((events & EPOLLOUT) != 0) Flush();
  if (Reads()) return ((events & EPOLLIN) != 0 || hung_up) && Receive();
  if (state_ != State::kClosed) CannotRead(events, hung_up);
  return false;
}

void Session::CannotRead(std::uint32_t events, bool hung_up) {
  const bool sends_no_more = (events & EPOLLRDHUP) != 0;
  if (sends_no_more && !hung_up && state_ == State::kParked) {
    half_closed_ = true;   // it may well wait for its reply: the end of file is met when that has gone
    return UpdateInterest();
  }
  if (hung_up || sends_no_more) {
    // A command that has not begun goes away with its client; one that runs elsewhere is waited for (invariant 5).
    if (state_ != State::kSuspended && state_ != State::kDeferred) return Close();
    peer_gone_ = true;
    ::epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_DEL, fd_, nullptr);
    return;
  }
  UpdateInterest();   // it sends although nobody reads: stop being told
}

bool Session::Receive() {
  if (HoldBack()) return false;
  const Settings& settings = loop_.settings();
  const std::size_t missing = std::min(parser_.wanted(), std::max(kMaxReadBytes, std::min(input_.size(), kMaxGrowBytes)));
  const std::size_t bound = ReadBound(missing);
  const std::size_t wanted = std::min(missing, bound);
  const std::size_t offered = std::min(std::max(wanted, read_bytes_), bound);
  if (input_.room() < std::max(wanted, offered / 2)) input_.Prepare(offered);
  char* const begin = input_.Prepare(1);
  const std::size_t room = std::min(input_.room(), bound);
  const ssize_t received = ::recv(fd_, begin, room, MSG_DONTWAIT);
  if (received < 0) {
    if (errno != EAGAIN && errno != EINTR) Close();
    return false;
  }
  if (received == 0) {
    CloseAfterReplies();
    return false;
  }
  const auto bytes = static_cast<std::size_t>(received);
  if (bytes == room) read_bytes_ = std::min(read_bytes_ * 4, kMaxReadBytes);
  input_.Received(bytes);
  received_bytes_ += bytes;
  loop_.NoteReceived(std::exchange(received_at_, loop_.now()));
  loop_.counters().net_input_bytes.Add(bytes);
  client_.last_active_ms = loop_.now_ms();
  parser_.limits().max_bulk_bytes = settings.proto_max_bulk_bytes;
  return true;
}

void Session::RunReceived() {
  RunCommands();
  const Settings& settings = loop_.settings();
  if (state_ != State::kClosed && settings.client_query_buffer_bytes != 0 &&
      input_.size() > settings.client_query_buffer_bytes) {
    LogWarning("server", "closing client {} ({}): its query buffer is over the limit", client_.id, client_.address);
    loop_.counters().query_buffer_disconnects.Add();
    Close();
  }
  CountMemory();
}

std::optional<UpcomingKey> Session::FirstKey() const {
  resp::CommandAhead first;
  if (state_ != State::kReady || resp::LookAhead(input_.unread(), std::span(&first, 1)) == 0) return std::nullopt;
  return UpcomingKey{first.key, first.only_key};
}

void Session::RunCommands() {
  loop_.set_command_start_cycles(CycleClock::Now());
  std::string error;
  while (state_ == State::kReady) {
    if (replies_.unsent_bytes() > SoftOutputBytes()) [[unlikely]] {
      output_full_ = true;   // Flush() continues; the events of the meantime are kept off by UpdateInterest()
      Dirty();
      return;
    }
    parser_.limits().authenticated = client_.authenticated;
    switch (parser_.Next(input_.unread(), args_, &command_bytes_, &error)) {
      case resp::ParseStatus::kComplete:
        if (warmed_commands_ > 0) {
          --warmed_commands_;
        } else if (input_.size() > command_bytes_ && context_.engine.WarmingPays()) {
          WarmCommandsBehind();
        }
        Dispatch(false);
        break;
      case resp::ParseStatus::kNeedMore:
        input_.Consume(command_bytes_);
        command_bytes_ = 0;
        if (draining_) CloseAfterReplies();
        return;
      case resp::ParseStatus::kError:
        return FailProtocol(error);
    }
  }
}

// Pipelined commands wait for main memory together rather than one after the other. The present one has its waits still before
// it, and they hide a part of those behind it.
void Session::WarmCommandsBehind() {
  std::array<resp::CommandAhead, Engine::kMostWarmed> ahead;
  warmed_commands_ = resp::LookAhead(input_.unread().substr(command_bytes_), ahead);
  if (warmed_commands_ == 0) return;
  std::array<UpcomingKey, Engine::kMostWarmed> keys;
  for (std::size_t i = 0; i < warmed_commands_; ++i) keys[i] = {ahead[i].key, ahead[i].only_key};
  context_.keyspace.Warm(client_.database, std::span(keys).first(warmed_commands_));
}

void Session::FinishCommand() {
  input_.Consume(command_bytes_);
  command_bytes_ = 0;
  exec_bytes_ = 0;
  args_.clear();
  if (favoured_) EndFavour();
  if (large_read_.waits() || replies_.unsent_bytes() == 0) large_read_.Leave();     // it did not need it after all, or nobody will
  SetState(State::kReady);
  if (peer_gone_) return Close();
  if (close_after_reply_) CloseAfterReplies();
}

void Session::Continue() {
  if (state_ != State::kReady) return;
  output_full_ = false;
  RunCommands();
  if (state_ != State::kClosed) UpdateInterest();
}

void Session::FailProtocol(const std::string& message) {
  loop_.counters().protocol_errors.Add();
  LogDebug("server", "client {} ({}): {}", client_.id, client_.address, message);
  const std::size_t begin = replies_.buffer().size();
  resp::Writer(replies_.buffer(), client_.protocol).Error("ERR " + message);
  loop_.counters().CountError(replies_.buffer().From(begin));
  replies_.CountReply();
  CloseAfterReplies();
}

void Session::Dirty() { loop_.MarkDirty(this); }

void Session::EndTick(const TickCommit& commit) {
  if (state_ == State::kClosed) return;
  if (!commit.error.empty() && (wrote_ || commit.fail_reads_too)) {
    replies_.FailUncovered(commit.error);
  } else if (commit.hold_for != 0) {
    replies_.Hold(commit.hold_for);
  } else {
    replies_.Release();
  }
  wrote_ = false;
  Flush();
}

bool Session::OnDurable(SequenceNumber durable) {
  if (state_ == State::kClosed) return false;
  if (replies_.ReleaseUpTo(durable)) Flush();
  return state_ != State::kClosed && replies_.holding();
}

void Session::OnDurableFailed(std::string_view error) {
  if (state_ == State::kClosed) return;
  replies_.FailHeld(error);
  Flush();
}

void Session::Flush() {
  const std::size_t sendable = replies_.sendable_bytes();
  if (sendable > 0) {
    const ssize_t sent = SendPieces(fd_, replies_);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return Close();
    const std::size_t taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    loop_.counters().net_output_bytes.Add(taken);
    if (taken > 0 || !wants_write_) took_at_ = loop_.now();
    wants_write_ = taken < sendable;
    replies_.Sent(taken);
  } else {
    wants_write_ = false;
  }
  const OutputBufferLimit& limit = loop_.settings().client_output_buffer[static_cast<std::size_t>(ClientClass::kNormal)];
  if (limit.hard_bytes != 0 && replies_.unsent_bytes() > limit.hard_bytes) {
    LogWarning("server", "closing client {} ({}): its output buffer is over the limit", client_.id, client_.address);
    loop_.counters().output_buffer_disconnects.Add();
    return Close();
  }
  if (replies_.unsent_bytes() == 0) {
    if (!job_running_ && !large_read_.waits()) large_read_.Leave();     // these were others' replies, if it waits
    if (state_ == State::kClosing) return Close();
    replies_.Shrink(kSoftOutputBytes);
    if (output_full_) loop_.MarkRunnable(this);
  }
  if (wants_write_ || output_full_ || (interest_ & EPOLLOUT) != 0) UpdateInterest();
  CountMemory();
  if (context_.client_memory.tight()) [[unlikely]] ShrinkEmptyBuffers(0);
}

void Session::UpdateInterest() {
  if (peer_gone_) return;
  std::uint32_t wanted = wants_write_ ? EPOLLOUT : 0u;
  if (Reads()) wanted |= EPOLLIN;
  if ((state_ == State::kParked || state_ == State::kPaused) && !half_closed_) wanted |= EPOLLRDHUP;
  if (wanted == interest_) return;
  epoll_event event{};
  event.events = wanted;
  event.data.ptr = this;
  if (::epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_MOD, fd_, &event) != 0) return Close();
  interest_ = wanted;
}

void Session::Drain() {
  if (state_ == State::kClosed || state_ == State::kClosing) return;
  draining_ = true;
  if (state_ == State::kReady && !output_full_) RunCommands();
  if (state_ != State::kClosed) UpdateInterest();
}

void Session::CloseAfterReplies() {
  if (state_ == State::kClosed) return;
  if (HasArguments()) {
    close_after_reply_ = true;
    return;
  }
  SetState(State::kClosing);
  if (replies_.unsent_bytes() == 0) return Close();
  Dirty();
  UpdateInterest();
}

void Session::Close() {
  if (state_ == State::kClosed) return;
  if (state_ == State::kClosing) {
    // Bytes nobody has read would make close() send a reset, which may overtake our last reply.
    char scratch[4096];
    for (int i = 0; i < kMaxDrainedReads && ::recv(fd_, scratch, sizeof(scratch), MSG_DONTWAIT) > 0; ++i) {}
  }
  SetState(State::kClosed);
  if (favoured_) EndFavour();
  if (!job_running_) large_read_.Leave();
  ::close(fd_);
  client_.fd = -1;
  loop_.Bury(this);
}

bool Session::Cron(const Settings& settings) {
  if (state_ == State::kClosed) return false;
  const microseconds now = loop_.now();   // the wall clock may jump
  const microseconds idle = now - std::max({received_at_, took_at_, finished_at_});
  const bool may_be_idle = (state_ == State::kReady && !held_) || state_ == State::kClosing;     // held: not its client's doing
  if (settings.timeout_seconds != 0 && may_be_idle && idle > std::chrono::seconds(settings.timeout_seconds)) {
    LogDebug("server", "closing idle client {} ({})", client_.id, client_.address);
    Close();
    return true;
  }
  if (CloseIfInTheWay() || CloseIfTakesNothing()) return true;
  const OutputBufferLimit& limit = settings.client_output_buffer[static_cast<std::size_t>(ClientClass::kNormal)];
  if (limit.soft_bytes == 0 || replies_.unsent_bytes() <= limit.soft_bytes) {
    over_soft_limit_since_.reset();
  } else if (!over_soft_limit_since_) {
    over_soft_limit_since_ = now;
  } else if (now - *over_soft_limit_since_ > std::chrono::seconds(limit.soft_seconds)) {
    LogWarning("server", "closing client {} ({}): its output buffer is over the soft limit for {} s", client_.id,
               client_.address, limit.soft_seconds);
    loop_.counters().output_buffer_disconnects.Add();
    Close();
    return true;
  }
  if (state_ == State::kReady) {
    const std::size_t keep = idle > kIdle || context_.client_memory.tight() ? 0 : kKeptBytes;
    ShrinkEmptyBuffers(keep);
    if (keep == 0) read_bytes_ = kFirstReadBytes;
  }
  return false;
}

ClientInfo Session::Describe() const {
  ClientInfo info;
  info.state = client_;
  if (command_ != nullptr) info.state.last_command = command_->name;
  info.input_buffer_bytes = input_.size();
  info.input_buffer_free_bytes = input_.capacity() - input_.size();
  info.output_buffer_bytes = replies_.unsent_bytes();
  info.total_memory_bytes = MemoryBytes();
  info.state.transaction.reset();   // not for others
  info.queue_bytes = client_.transaction_bytes;
  info.watched_key_changed = client_.transaction != nullptr && client_.transaction->watches.touched();
  info.closing = state_ == State::kClosing || state_ == State::kClosed || close_after_reply_;
  info.loop = loop_.index();
  return info;
}

}  // namespace lsmkv
