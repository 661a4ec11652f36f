// The replies of one session between the handler that wrote them and the socket.
//
//   buffer:  | sent | free to go | held for S1 | held for S2 | this tick's, uncovered |
//            0      sent_        released_                   covered_                 size
//
// A handler appends at the end. When the tick's Commit() has returned, its replies are either released (they may go
// now) or held until the sequence number S is durable; a hold that fails is overwritten with errors.
//
// Invariants
//   1. sent_ <= released_ <= covered_ <= buffer size, and bytes leave in the order they were written.
//   2. Nothing beyond released_ is ever given to the socket: no reply overtakes its commit.
//   3. A hold knows how many replies it has, so that each of them can be replaced by exactly one error.
// Threads  the session's loop only.
// Source   "output commit" of DESIGN section 1; group commit as in RocksDB's write groups.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lsmkv/write_batch.h"
#include "resp/writer.h"

namespace lsmkv {

class ReplyQueue {
 public:
  ReplyQueue() = default;
  /// `disposer` outlives it.
  explicit ReplyQueue(resp::PinDisposer* disposer) : buffer_(disposer) {}

  /// Where handlers write. After each reply call CountReply().
  resp::OutputBuffer& buffer() { return buffer_; }
  void CountReply() { ++uncovered_replies_; }
  bool has_uncovered() const { return buffer_.size() > covered_; }

  /// This tick's replies may leave (once what was held before them may).
  void Release();
  /// This tick's replies wait until `sequence` is durable.
  void Hold(SequenceNumber sequence);
  /// This tick's replies become `error` (a whole RESP error), one for one, and may leave.
  void FailUncovered(std::string_view error);
  /// Lets go of what waited for `durable` or less. False when nothing became free.
  bool ReleaseUpTo(SequenceNumber durable);
  /// Replaces every held reply by `error`.
  void FailHeld(std::string_view error);

  bool holding() const { return !holds_.empty(); }
  std::size_t sendable_bytes() const { return released_ - sent_; }
  /// What may leave now, in order, as many pieces as `pieces` has room for. Returns how many.
  std::size_t Sendable(std::span<std::string_view> pieces) const { return buffer_.Gather(sent_, released_, pieces); }
  void Sent(std::size_t bytes);
  std::size_t unsent_bytes() const { return buffer_.size() - sent_; }
  std::size_t memory_bytes() const { return buffer_.memory_bytes(); }
  /// Gives memory back when there is nothing in it and it is more than `keep_bytes`.
  void Shrink(std::size_t keep_bytes);

 private:
  struct HeldRange {
    SequenceNumber sequence;
    std::size_t end;          ///< a place in the buffer
    std::uint64_t replies;
  };
  void DropSentPrefix();

  resp::OutputBuffer buffer_;
  std::size_t sent_ = 0;
  std::size_t released_ = 0;
  std::size_t covered_ = 0;
  std::uint64_t uncovered_replies_ = 0;
  std::vector<HeldRange> holds_;   // ascending sequence and end
};

}  // namespace lsmkv
