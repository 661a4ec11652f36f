// What all clients together make the server hold (input that has not been run, replies that have not been sent) against
// their part of the memory budget, and what happens above it.
//
// Nobody is closed. While the sum is over half of the limit (*tight*)
//   1. a session whose own part is larger than the fair share, a quarter of the limit divided by the clients, is *held*:
//      nothing is read from it, and its client feels that as a full socket;
//   2. replies pile up to the fair share only, before a session runs no further command until its socket has taken them;
//   3. buffers that hold nothing are given back at once;
//   4. on each loop one held session at a time is *favoured*: it goes on until its command is whole, however large. The one
//      that lacks least goes first, and one whose client sends nothing loses the favour. So there is always one that gets
//      done and gives its memory back: clients in the middle of large arguments do not wait for each other for ever.
// Held sessions go on when the sum has fallen to three eighths of the limit.
//
// So the sum stays below the limit: half of it, and what those below their fair share may still read, in buffers that grow by
// half. Beyond it there are only the favoured command of each loop, replies of commands that were running, and the first
// kilobytes of each client when there are too many clients for the limit.
// Threads  loops add and subtract what changed in a session, which is seldom; anyone may look.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace lsmkv {

class ClientMemory {
 public:
  static constexpr std::uint64_t kLeastShareBytes = 4 << 10;

  explicit ClientMemory(std::uint64_t limit_bytes = UINT64_MAX) : limit_bytes_(limit_bytes) {}

  void SetLimit(std::uint64_t bytes) { limit_bytes_.store(bytes, std::memory_order_relaxed); }
  /// A session holds `after` now and held `before`.
  void Change(std::uint64_t before, std::uint64_t after) { bytes_.fetch_add(after - before, std::memory_order_relaxed); }

  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  std::uint64_t limit_bytes() const { return limit_bytes_.load(std::memory_order_relaxed); }
  bool tight() const { return bytes() > limit_bytes() / 2; }
  bool relieved() const { return bytes() <= limit_bytes() / 8 * 3; }
  std::uint64_t FairShare(std::uint64_t clients) const {
    return std::max(limit_bytes() / 4 / std::max<std::uint64_t>(clients, 1), kLeastShareBytes);
  }

 private:
  std::atomic<std::uint64_t> bytes_{0};        // relaxed, both: a sum and a bound, not a hand-over
  std::atomic<std::uint64_t> limit_bytes_;
};

}  // namespace lsmkv
