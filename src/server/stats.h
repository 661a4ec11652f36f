// What the server counts. Every loop has its own counters, written by that loop alone and summed when somebody asks, so
// that counting costs a plain add on a cache line nobody else writes.
//
// Threads  a Counter has one writer; readers on other threads see a value that was true a moment ago. The errors by
//          prefix are rarer and sit behind a leaf mutex of their loop.
// Resets   CONFIG RESETSTAT does not touch the counters (their loops write them); the server keeps the totals of that
//          moment and subtracts them (info_text.cpp).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cycle_clock.h"
#include "base/mutex.h"
#include "commands/latency_buckets.h"

namespace lsmkv {

/// One writer, any number of readers.
class Counter {
 public:
  void Add(std::uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void Subtract(std::uint64_t n = 1) { Add(~n + 1); }
  std::uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Of these the last ones are one to who asks, see LatencyBuckets: so many that none needs a bound when it is counted.
inline constexpr std::size_t kCountedBuckets = 60;

struct CommandCounters {
  Counter calls;
  Counter cycles;      ///< of the time stamp counter, see CycleClock
  Counter rejected;    ///< refused before the handler ran (arity, NOAUTH)
  Counter failed;      ///< the handler answered with an error
  std::array<Counter, kCountedBuckets> by_latency;   ///< calls, while latency-tracking is on
};
static_assert(sizeof(CommandCounters) == 512, "found by a shift");

/// Totals over all loops, or of one.
struct StatsTotals {
  struct Command {
    std::uint64_t calls = 0, cycles = 0, rejected = 0, failed = 0;
    LatencyBuckets by_latency{};
  };
  std::uint64_t commands = 0;
  std::uint64_t ticks = 0;
  std::uint64_t slow_ticks = 0;
  std::uint64_t gatherings = 0;
  std::uint64_t net_input_bytes = 0;
  std::uint64_t net_output_bytes = 0;
  std::uint64_t suspensions = 0;
  std::uint64_t parked = 0;
  std::uint64_t protocol_errors = 0;
  std::uint64_t query_buffer_disconnects = 0;
  std::uint64_t output_buffer_disconnects = 0;
  std::uint64_t memory_holds = 0;
  std::uint64_t large_reads_put_off = 0;
  std::uint64_t error_replies = 0;
  std::vector<Command> by_command;                  ///< by CommandSpec::index
  std::map<std::string, std::uint64_t> errors;      ///< by the reply's first word

  void Subtract(const StatsTotals& baseline);
};

class alignas(64) LoopStats {
 public:
  explicit LoopStats(std::size_t command_count) : by_command(command_count) {}

  Counter commands;
  Counter ticks;
  Counter slow_ticks;          ///< that clients felt (tick_watch.h)
  Counter gatherings;          ///< moments in which requests were let gather (tick_pace.h)
  Counter net_input_bytes;
  Counter net_output_bytes;
  Counter suspensions;
  Counter parked;
  Counter protocol_errors;
  Counter query_buffer_disconnects;
  Counter output_buffer_disconnects;
  Counter memory_holds;        ///< times a session was held (client_memory.h)
  Counter large_reads_put_off; ///< times a command had to wait for room for its reply (large_reads.h)
  Counter held_now;            ///< and how many are
  Counter error_replies;
  std::vector<CommandCounters> by_command;

  /// Counts an error reply; `reply` begins with "-CODE ...".
  void CountError(std::string_view reply) LSMKV_EXCLUDES(errors_mutex_);
  void AddTo(StatsTotals* totals) const LSMKV_EXCLUDES(errors_mutex_);

 private:
  mutable Mutex errors_mutex_;   // a leaf
  std::map<std::string, std::uint64_t, std::less<>> errors_ LSMKV_GUARDED_BY(errors_mutex_);
};

}  // namespace lsmkv
