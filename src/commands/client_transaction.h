// What one connection has of MULTI and WATCH: the commands that wait for EXEC, and the keys it watches.
//
//            MULTI                     a command: QUEUED, or an error, which makes EXEC refuse
//   outside -------> queueing ---------------.
//      ^                ^ '------------------'
//      '--- EXEC, DISCARD, RESET ---'                WATCH, UNWATCH: outside; UNWATCH can be queued, too
//
// EXEC is a command like others: it runs on the loop if it can be done there (RunsOnLoop()), and is run again in a pool from its
// start if that turns out to wait. That is safe for what commands do to keys (keyspace/transaction.h) and to their ClientState, which is
// put back. Whatever else has an effect must run once only, so commands that are neither reads, writes nor "fast" (CONFIG SET,
// CLIENT PAUSE, ...) take their EXEC to a pool at once, where nothing ever answers kWouldBlock.
//
// Commands are queued as the session has them: small ones are copied, of large ones the memory they arrived in is kept.
//
// Threads  the session's loop, or the pool thread that runs its EXEC or WATCH. Only `watches` is touched by others: their marks.
// Source   Redis 7, multi.c, for what a client sees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_memory.h"
#include "commands/command.h"
#include "keyspace/watched_keys.h"

namespace lsmkv {

/// One command that waits for EXEC.
struct QueuedCommand {
  const CommandSpec* spec;
  std::unique_ptr<char[]> copy;                  // of the arguments; null: they lie in `mapped`
  MappedMemory mapped;
  std::vector<std::string_view> args;

  std::uint64_t memory_bytes() const;
};

/// One that EXEC has run, for the statistics.
struct RanCommand {
  const CommandSpec* spec;
  std::uint64_t cycles = 0;
  std::string error = {};                           ///< its reply if that was an error
  bool slow = false;
  std::vector<std::string> slow_args = {};       ///< then: its SlowArguments(), if it may be in the slow log
};

struct ClientTransaction {
  explicit ClientTransaction(WatchedKeys& registry) : watches(registry) {}

  /// It is queued for EXEC. `args` are copied, or lie in `mapped`.
  void Queue(const CommandSpec& spec, std::span<const std::string_view> args, MappedMemory mapped);
  /// EXEC will only say that it was refused: what is queued is given back, and no more is taken.
  void Refuse(ServerApi& server);
  /// It will run nothing, so queueing makes no sense.
  bool in_vain() const { return refused || watches.touched(); }
  /// Gives the queue's memory back, elsewhere if that takes long.
  void DropQueue(ServerApi& server);

  bool RunsOnLoop() const;
  /// Where it runs otherwise.
  RunsOn pool() const { return needs_admin ? RunsOn::kAdminPool : RunsOn::kReadPool; }

  std::vector<QueuedCommand> queue;
  std::uint64_t queued_bytes = 0;
  std::uint32_t flags = 0;                       ///< of all queued commands
  std::size_t keys = 0;                          ///< that they name
  bool names_no_keys = false;                    ///< one of them reads or writes keys that it does not name
  bool has_other_effects = false;                ///< one of them must not be run twice
  bool needs_pool = false;
  bool needs_admin = false;
  bool refused = false;
  Watches watches;
  std::vector<RanCommand> ran;                   ///< by the EXEC that has just ended
  std::uint64_t slow_cycles = UINT64_MAX;        ///< from which on one of them counts as slow
};

/// MULTI, EXEC, DISCARD, WATCH, QUIT and RESET are not queued.
bool RunsInsideMulti(const CommandSpec& spec);
bool IsExec(const CommandSpec& spec);
/// On a pool it changes the ClientState it is given, so that should be one that no other thread looks at.
bool ChangesClientOnPool(const CommandSpec& spec);
/// MULTI is over, and nothing is watched. (DISCARD, RESET, EXEC that was refused.)
void EndTransaction(ClientState& client, ServerApi& server);
/// A command could not be queued.
void RefuseTransaction(ClientState& client, ServerApi& server);
/// What EXEC says when it is refused for `error`, which is an error's text with its code.
std::string ExecRefused(std::string_view error);

}  // namespace lsmkv
