// What a session holds, and what it does while all clients together hold too much (client_memory.h).
#include <algorithm>

#include "server/client_memory.h"
#include "server/loop.h"
#include "server/session.h"

namespace lsmkv {

std::uint64_t Session::MemoryBytes() const {
  return sizeof(Session) + input_.capacity() + replies_.capacity() + args_.capacity() * sizeof(args_[0]) + parser_.memory_bytes();
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
