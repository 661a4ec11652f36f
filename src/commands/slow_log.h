// The slow log: the commands that ran for at least `slowlog-log-slower-than` microseconds, the newest `slowlog-max-len` of them.
//
// An entry is small whatever the command was: its arguments are cut as Redis cuts them, and what is secret among them is not kept.
// Ids begin at 0 and go on for as long as the server runs, over Clear(): a tool that has seen one knows what is new.
//
// Invariants
//   1. Ids are unique, and in the order in which entries are kept, whichever loop they come from.
//   2. No password is in an entry (SlowArguments()).
// Threads  any; a leaf mutex, which nobody takes for a command that was not slow.
// Source   Redis 7.0, slowlog.c, for what a client sees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"

namespace lsmkv {

struct CommandSpec;

struct SlowCommand {
  std::uint64_t id = 0;
  std::uint64_t time_s = 0;                     ///< of the wall clock, when it was over
  std::uint64_t duration_us = 0;
  std::vector<std::string> args;                ///< as SlowArguments() has them
  std::string client_address;
  std::string client_name;
};

class SlowLog {
 public:
  using Entry = std::shared_ptr<const SlowCommand>;

  /// Its id is given here.
  void Add(SlowCommand command) LSMKV_EXCLUDES(mutex_);
  /// Newest first, at most so many.
  std::vector<Entry> Newest(std::size_t count) const LSMKV_EXCLUDES(mutex_);
  std::size_t size() const LSMKV_EXCLUDES(mutex_);
  void Clear() LSMKV_EXCLUDES(mutex_);
  /// From now on; what is too much goes at once.
  void SetCapacity(std::size_t entries) LSMKV_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;                         // a leaf
  std::deque<Entry> entries_ LSMKV_GUARDED_BY(mutex_);   // newest first
  std::size_t capacity_ LSMKV_GUARDED_BY(mutex_) = 0;
  std::uint64_t next_id_ LSMKV_GUARDED_BY(mutex_) = 0;
};

/// The arguments for an entry: 32 at most, of 128 bytes each and a word on how much more there was; passwords become "(redacted)".
std::vector<std::string> SlowArguments(const CommandSpec& spec, std::span<const std::string_view> args);

}  // namespace lsmkv
