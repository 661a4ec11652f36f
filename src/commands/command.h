// What a command is: a row of the registry generated from proto/commands/*.json, and a handler.
//
// A handler gets whole arguments (views into the session's input buffer, valid until it returns or, when deferred, until the
// reply is complete), writes exactly one reply, and says how it ended. Handlers run on an event loop with
// `may_block` false: they must not wait there for a disk or a contended lock. When they would, they return
// kWouldBlock having changed nothing; the session throws away what they wrote and runs them again on the read pool with `may_block` true.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "commands/client_state.h"
#include "commands/server_api.h"
#include "resp/writer.h"

namespace lsmkv {

class Keyspace;
class Transaction;      // keyspace/transaction.h
class ReplyGate;        // commands/reply_gate.h
struct CommandSpec;

enum class Outcome : std::uint8_t {
  kDone,             ///< the reply is in `reply`
  kWouldBlock,       ///< run me again where waiting is allowed; nothing was changed
  kDeferred,         ///< a DeferredReply will be completed
  kCloseAfterReply,  ///< send the reply, then close (QUIT)
  kNoReply,          ///< nothing to send (CLIENT REPLY OFF and SKIP)
  kRanTransaction,   ///< as kDone, and what ran in it is in the client's transaction (EXEC)
};

struct CommandContext {
  std::span<const std::string_view> args;   ///< args[0] is the command's name as the client wrote it
  const CommandSpec& spec;
  resp::Writer& reply;
  ClientState& client;
  Keyspace& keyspace;
  ServerApi& server;
  std::uint64_t now_ms;                     ///< one reading of the clock a tick
  bool may_block;
  Transaction* transaction = nullptr;       ///< not null: the command runs inside EXEC, and works on keys through this
  ReplyGate* large_values = nullptr;   ///< not null: it is asked for the values of a reply; then kWouldBlock is an outcome also with `may_block`
};

using Handler = Outcome (*)(CommandContext&);

enum class RunsOn : std::uint8_t {
  kLoop,       ///< on the event loop; may ask for the read pool by kWouldBlock
  kReadPool,   ///< always on the read pool (bounded work that needs order or disk: SCAN, RANDOMKEY)
  kAdminPool,  ///< long or gathering work: KEYS, DBSIZE, INFO, CLIENT LIST, SAVE, FLUSHALL
  kUpkeepPool, ///< what may take hours: LSM COMPACT, LSM INGEST
};

/// Bits of CommandSpec::flags; the names COMMAND INFO shows are theirs.
enum CommandFlag : std::uint32_t {
  kWrite = 1u << 0,
  kReadOnly = 1u << 1,
  kDenyOom = 1u << 2,
  kAdmin = 1u << 3,
  kPubSub = 1u << 4,
  kNoScript = 1u << 5,
  kRandom = 1u << 6,
  kBlocking = 1u << 7,
  kLoading = 1u << 8,
  kStale = 1u << 9,
  kSkipMonitor = 1u << 10,
  kSkipSlowlog = 1u << 11,
  kFast = 1u << 12,
  kNoAuth = 1u << 13,
  kMovableKeys = 1u << 14,
  kNoMulti = 1u << 15,
  kAllowBusy = 1u << 16,
  kNoAsyncLoading = 1u << 17,
  kProtected = 1u << 18,
};

struct KeyPositions {
  std::int16_t first = 0;   ///< 0: no keys
  std::int16_t last = 0;    ///< negative: from the end
  std::int16_t step = 0;
};

/// One row of the registry. Everything is constant and generated; see proto/README.md for where each field comes from.
struct CommandSpec {
  std::string_view name;                      ///< lower case; a subcommand's is "client|list"
  std::int16_t arity;                         ///< as Redis: negative means at least that many, the name included
  std::uint32_t flags;                        ///< CommandFlag
  KeyPositions keys;
  RunsOn runs_on;
  Handler handler;                            ///< null for a container whose subcommands have the handlers
  std::span<const CommandSpec> subcommands;
  std::uint32_t index;                        ///< dense, for statistics arrays; subcommands have their own
  const struct CommandDoc* doc;               ///< what only COMMAND INFO/DOCS need
};

/// Looks a command up by its first argument, and by the second when it is a container. ASCII case does not matter. Never throws.
/// Returns null when there is none; `*unknown_subcommand` tells the two apart.
const CommandSpec* FindCommand(std::span<const std::string_view> args, bool* unknown_subcommand);
std::span<const CommandSpec> AllCommands();
/// One more than the largest CommandSpec::index.
std::uint32_t CommandIndexCount();
inline bool ArityFits(const CommandSpec& spec, std::size_t count) {
  return spec.arity >= 0 ? count == static_cast<std::size_t>(spec.arity) : count >= static_cast<std::size_t>(-spec.arity);
}

}  // namespace lsmkv
