// What a session holds, and what it does while all clients together hold too much (client_memory.h).
#include <algorithm>
#include <memory>
#include <utility>

#include "base/log.h"
#include "server/client_memory.h"
#include "server/loop.h"
#include "server/session.h"

namespace lsmkv {

std::uint64_t Session::MemoryBytes() const {
  return sizeof(Session) + input_.capacity() + replies_.memory_bytes() + args_.capacity() * sizeof(args_[0]) + parser_.memory_bytes() +
         client_.transaction_bytes + client_.name.capacity() + client_.lib_name.capacity() + client_.lib_version.capacity();
}

void Session::CountMemory() {
  const std::uint64_t now = MemoryBytes();
  if (now == counted_bytes_) return;
  context_.client_memory.Change(counted_bytes_, now);
  counted_bytes_ = now;
}

std::uint64_t Session::FairShare() const { return context_.client_memory.FairShare(context_.clients.load(std::memory_order_relaxed)); }

void Session::ShrinkEmptyBuffers(std::size_t keep_bytes) {
  if (state_ != State::kReady) return;
  input_.Shrink(keep_bytes);
  replies_.Shrink(keep_bytes);
  if (args_.capacity() * sizeof(args_[0]) > keep_bytes) resp::ArgVector().swap(args_);
  if (input_.empty()) parser_.Shrink();
  CountMemory();
}

// Before a read. True: it is held, and will be called when it may go on.
bool Session::HoldBack() {
  if (favoured_ || !context_.client_memory.tight()) [[likely]] return false;
  ShrinkEmptyBuffers(0);
  if (!context_.client_memory.tight() || MemoryBytes() <= FairShare()) return false;
  held_ = true;
  loop_.HoldForMemory(this);
  UpdateInterest();
  return true;
}

void Session::EndFavour() {
  favoured_ = false;
  context_.client_memory.EndFavourLarge(id());
}

bool Session::HoldsMoreThanAll() const {
  return context_.client_memory.IsFavouredLarge(id()) && MemoryBytes() > context_.client_memory.limit_bytes();
}

bool Session::MayRunLarge() {
  const std::uint64_t most = std::max<std::uint64_t>(1, loop_.settings().read_threads / 2);   // the others are for who reads
  if (large_bytes_ == 0 && !context_.client_memory.TryBeginLarge(WorkBytes(), most)) return false;
  large_bytes_ = WorkBytes();
  return true;
}

// Its job has been done: nobody needs its arguments any more.
void Session::LargeIsDone() {
  if (job_outcome_ == Outcome::kDeferred) {
    context_.client_memory.EndLarge(std::exchange(large_bytes_, 0));
    return;
  }
  args_.clear();
  input_.Consume(command_bytes_);
  command_bytes_ = 0;
  DisposeOfInput(std::exchange(large_bytes_, 0));
  CountMemory();
}

// Giving hundreds of megabytes back takes longer than a loop may be away. `large_bytes`: of a large command that ends with it, or 0.
void Session::DisposeOfInput(std::uint64_t large_bytes) {
  auto memory = std::make_shared<MappedMemory>(input_.TakeMapped());
  const auto dispose = [memory, &counted = context_.client_memory, large_bytes] {
    memory->Release();
    if (large_bytes != 0) counted.EndLarge(large_bytes);
  };
  const bool worth_it = memory->size() >= Engine::kLargeBatchBytes;
  if (!worth_it || !context_.read_pool.Submit(dispose)) dispose();
}

// Once a second: others cannot send their large commands because of one that does not go on. By the monotonic clock, so that nobody is
// closed because somebody has set the time.
bool Session::CloseIfInTheWay() {
  if (state_ != State::kReady || !context_.client_memory.IsInTheWay(id()) || loop_.now() < received_at_ + kLargeStall) return false;
  if (!HoldsMoreThanAll()) {
    EndFavour();
    return false;
  }
  LogWarning("server", "closing client {} ({}): it has sent {} bytes of a command and nothing for {} s, and others wait to send theirs "
             "(maxmemory-clients)", client_.id, client_.address, input_.size(), kLargeStall.count());
  loop_.counters().query_buffer_disconnects.Add();
  Close();
  return true;
}

// Once a second, and likewise: of a large reply it has taken nothing for a long time, and others wait for the memory.
bool Session::CloseIfTakesNothing() {
  if (job_running_ || !wants_write_ || loop_.now() < took_at_ + LargeReads::kPatience) return false;
  const bool holds_much = replies_.unsent_bytes() >= Engine::kLargeBatchBytes;      // an ECHO, KEYS, the documents of all commands
  if (!large_read_.IsInTheWay() && !(holds_much && context_.client_memory.tight())) return false;
  LogWarning("server", "closing client {} ({}): it has taken nothing of {} bytes of replies for {} s, and others wait for the memory "
             "(maxmemory-clients)", client_.id, client_.address, replies_.unsent_bytes(), LargeReads::kPatience.count());
  loop_.counters().output_buffer_disconnects.Add();
  Close();
  return true;
}

void Session::GoOnReading(bool favoured) {
  held_ = false;
  favoured_ = favoured;
  if (state_ != State::kClosed) UpdateInterest();
}

// How much may be read at once into the input buffer.
std::size_t Session::ReadBound(std::size_t wanted) const {
  if (favoured_ || !context_.client_memory.tight()) [[likely]] return std::max(wanted, kMaxReadBytes);
  const std::uint64_t share = FairShare();
  const std::uint64_t held = std::min(share, MemoryBytes());
  return std::clamp<std::size_t>(share - held, kFirstReadBytes, kMaxReadBytes);
}

std::size_t Session::SoftOutputBytes() const {
  constexpr std::uint64_t kSessionsToTight = 8;     // so many make it tight, none of them alone
  const std::uint64_t most = std::min<std::uint64_t>(kSoftOutputBytes, context_.client_memory.limit_bytes() / 2 / kSessionsToTight);
  return context_.client_memory.tight() ? std::min(most, FairShare()) : most;
}

}  // namespace lsmkv
