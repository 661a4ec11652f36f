// MULTI EXEC DISCARD WATCH UNWATCH. How commands come into the queue is the session's business (server/session_transaction.cpp),
// what a transaction is, the keyspace's (keyspace/transaction.h).
#include "keyspace/transaction.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/cycle_clock.h"
#include "commands/client_transaction.h"
#include "commands/command_doc.h"
#include "commands/generic_access.h"
#include "commands/reply_gate.h"
#include "commands/slow_log.h"

namespace lsmkv {

// The registry has them too.
Outcome HandleMulti(CommandContext& context);
Outcome HandleExec(CommandContext& context);
Outcome HandleDiscard(CommandContext& context);
Outcome HandleWatch(CommandContext& context);
Outcome HandleUnwatch(CommandContext& context);
Outcome HandleQuit(CommandContext& context);
Outcome HandleReset(CommandContext& context);

namespace {

ClientTransaction& TransactionOf(CommandContext& context) {
  if (context.client.transaction == nullptr) {
    context.client.transaction = std::make_shared<ClientTransaction>(context.keyspace.watched());
  }
  return *context.client.transaction;
}

/// All keys that are to be locked: those of the commands, and the watched ones.
std::vector<std::string_view> KeysOf(const ClientTransaction& queued) {
  std::vector<std::string_view> found;
  found.reserve(queued.keys + queued.watches.all().size());
  for (const QueuedCommand& command : queued.queue) {
    const auto count = static_cast<std::ptrdiff_t>(command.args.size());
    for (const KeySpec& keys : command.spec->doc->key_specs) {
      const std::ptrdiff_t last = std::min<std::ptrdiff_t>(keys.last < 0 ? count + keys.last : keys.last, count - 1);
      for (std::ptrdiff_t i = keys.first; i <= last; i += keys.step) found.push_back(command.args[static_cast<std::size_t>(i)]);
    }
  }
  for (const auto& watch : queued.watches.all()) found.push_back(watch->key);
  return found;
}

bool WatchesFailed(const CommandContext& context, const Watches& watches) {
  return watches.touched() || watches.AnyExpired(context.now_ms);
}

/// What cannot be undone (CONFIG SET, CLIENT KILL) must not run in front of writes of which it is known that they will be refused.
Status MayHaveEffects(CommandContext& context, const ClientTransaction& queued) {
  const bool makes_data = (queued.flags & (kWrite | kDenyOom)) == (kWrite | kDenyOom);
  return queued.has_other_effects && makes_data ? WriteStatus(context.keyspace.engine().WriteHealth()) : Status::Ok();
}

/// Replies like those of COMMAND DOCS have no bound of their own, and there may be thousands of them.
bool RepliesFit(CommandContext& context, std::size_t before, std::size_t now) {
  return now / kLongReplyBytes == before / kLongReplyBytes || context.server.ClientsMayHold(now);
}

/// Writes an array of their replies. kWouldBlock: one of them would have to wait, or it is too much for the loop.
Status RunQueue(CommandContext& context, ClientTransaction& queued, Transaction& transaction) {
  resp::OutputBuffer& out = context.reply.out();
  const std::size_t begin = out.size();
  context.reply.Array(queued.queue.size());
  queued.ran.reserve(queued.queue.size());
  std::uint64_t start = CycleClock::Now();
  for (const QueuedCommand& command : queued.queue) {
    resp::Writer reply(out, context.client.protocol);   // HELLO may be among them
    CommandContext inner{command.args, *command.spec, reply, context.client, context.keyspace, context.server, context.now_ms,
                         context.may_block, &transaction, context.large_values};
    const std::size_t reply_begin = out.size();
    const Outcome outcome = command.spec->handler(inner);
    if (outcome == Outcome::kWouldBlock) return Status::WouldBlock();
    LSMKV_ASSERT(outcome == Outcome::kDone);            // what ends otherwise is not queued ("no_multi")
    if (!context.may_block && out.size() - begin > kLongReplyBytes) return Status::WouldBlock();
    if (context.large_values == nullptr && !RepliesFit(context, reply_begin - begin, out.size() - begin)) {
      return Status::InvalidArgument("the replies of this transaction have more than clients may hold (maxmemory-clients)");
    }
    if (context.large_values != nullptr) context.large_values->KeepOnly(out.size() - begin);
    const std::string_view written = out.From(reply_begin);
    const std::uint64_t now = CycleClock::Now();
    RanCommand ran{command.spec, now - start, written.starts_with('-') ? std::string(written) : std::string()};
    start = now;
    ran.slow = ran.cycles >= queued.slow_cycles;
    if (ran.slow && (command.spec->flags & kSkipSlowlog) == 0) ran.slow_args = SlowArguments(*command.spec, command.args);
    queued.ran.push_back(std::move(ran));
    if (transaction.failed()) break;                    // Commit() will say why
  }
  return Status::Ok();
}

/// From the lock to the reply. On kWouldBlock nothing has happened but to the reply and the ClientState: it may be run again, unless it
/// has_other_effects.
Outcome RunTransaction(CommandContext& context, ClientTransaction& queued) {
  Transaction transaction(context.keyspace, context.may_block);
  const bool only_reads = (queued.flags & kWrite) == 0 && queued.watches.empty();
  const Status locked = only_reads             ? transaction.LockNothing()
                        : queued.names_no_keys ? transaction.LockEverything()
                                               : transaction.Lock(KeysOf(queued));
  if (!locked.ok()) return Fail(context, locked);
  if (WatchesFailed(context, queued.watches)) {         // for certain now: nobody can change them any more
    context.reply.NullArray();
    return Outcome::kDone;
  }
  const std::size_t begin = context.reply.out().size();
  Status committed = MayHaveEffects(context, queued);
  if (committed.ok()) committed = RunQueue(context, queued, transaction);
  if (committed.ok()) committed = transaction.Commit();
  if (committed.code() == StatusCode::kWouldBlock) return Outcome::kWouldBlock;
  if (!committed.ok()) {
    context.reply.out().Truncate(begin);
    return Fail(context, ExecRefused(ErrorText(committed)));
  }
  if (const Status settled = transaction.Settle(); !settled.ok()) {
    context.reply.out().Truncate(begin);
    return Fail(context, settled);
  }
  return Outcome::kRanTransaction;
}

}  // namespace

bool RunsInsideMulti(const CommandSpec& spec) {
  for (const Handler handler : {&HandleMulti, &HandleExec, &HandleDiscard, &HandleWatch, &HandleQuit, &HandleReset}) {
    if (spec.handler == handler) return true;
  }
  return false;
}

bool IsExec(const CommandSpec& spec) { return spec.handler == &HandleExec; }
bool ChangesClientOnPool(const CommandSpec& spec) { return spec.handler == &HandleExec || spec.handler == &HandleWatch; }

Outcome HandleMulti(CommandContext& context) {
  if (context.client.in_multi()) return Fail(context, "ERR MULTI calls can not be nested");
  TransactionOf(context);
  context.client.queued_commands = 0;
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleDiscard(CommandContext& context) {
  if (!context.client.in_multi()) return Fail(context, "ERR DISCARD without MULTI");
  EndTransaction(context.client, context.server);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleExec(CommandContext& context) {
  ClientState& client = context.client;
  if (!client.in_multi()) return Fail(context, "ERR EXEC without MULTI");
  ClientTransaction& queued = *client.transaction;
  queued.ran.clear();
  Outcome outcome = Outcome::kDone;
  if (queued.refused) {
    context.reply.Error("EXECABORT Transaction discarded because of previous errors.");
  } else if (WatchesFailed(context, queued.watches)) {  // no need to lock anything
    context.reply.NullArray();
  } else if (!context.may_block && !queued.RunsOnLoop()) {
    return Outcome::kWouldBlock;
  } else {
    const ClientState before = client;
    const std::size_t begin = context.reply.out().size();
    outcome = RunTransaction(context, queued);
    if (outcome != Outcome::kRanTransaction) {          // it has not happened: neither have SELECT, HELLO and the like
      client = before;
      queued.ran.clear();
    }
    if (outcome == Outcome::kWouldBlock) {
      context.reply.out().Truncate(begin);
      return outcome;
    }
  }
  EndTransaction(client, context.server);
  return outcome;
}

Outcome HandleWatch(CommandContext& context) {
  if (context.client.in_multi()) return Fail(context, "ERR WATCH inside MULTI is not allowed");
  const std::span<const std::string_view> keys = context.args.subspan(1);
  if (TooManyForLoop(context, keys.size())) return Outcome::kWouldBlock;
  Watches& watches = TransactionOf(context).watches;
  for (const std::string_view key : keys) {
    if (watches.touched()) break;                       // the next EXEC will do nothing anyway
    if (watches.Has(context.client.database, key)) continue;
    Operation operation = Begin(context);
    operation.CountReads(false);
    if (Status status = operation.Lock(key); !status.ok()) return Fail(context, status);
    const Result<std::optional<Record>> record = operation.Read(key);
    if (!record) return Fail(context, record.error());
    watches.Add(context.client.database, key, record->has_value(), *record ? (*record)->expire_at_ms() : 0);
  }
  // What was counted for this client before is in the sum already.
  const std::uint64_t more_bytes = watches.memory_bytes() - std::min(watches.memory_bytes(), context.client.transaction_bytes);
  if (more_bytes > 0 && !context.server.ClientsMayHold(more_bytes)) {
    watches.GiveUp();
    context.client.transaction_bytes = 0;
    return Fail(context, kClientsOutOfMemory);
  }
  context.client.transaction_bytes = watches.memory_bytes();
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleUnwatch(CommandContext& context) {
  if (context.client.transaction != nullptr && !context.client.in_multi()) {   // inside, EXEC has done that already
    context.client.transaction->watches.Clear();
    context.client.transaction_bytes = 0;
  }
  context.reply.Ok();
  return Outcome::kDone;
}

}  // namespace lsmkv
