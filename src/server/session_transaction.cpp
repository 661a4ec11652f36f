// A session between MULTI and EXEC: what is queued, what is refused, and what EXEC needs to run.
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "commands/client_transaction.h"
#include "commands/replies.h"
#include "keyspace/operation.h"
#include "server/client_memory.h"
#include "server/command_watch.h"
#include "server/loop.h"
#include "server/session.h"

namespace lsmkv {

void Session::DispatchInMulti(bool admitted) {
  if ((command_->flags & kNoMulti) != 0) return RefuseCommand("ERR Command not allowed inside a transaction");
  ClientTransaction& transaction = *client_.transaction;
  if (IsExec(*command_)) {
    run_flags_ = command_->flags | transaction.flags;
    exec_bytes_ = transaction.queued_bytes;
    transaction.slow_cycles = context_.command_watch.slow_cycles();
    if (MustWait(admitted)) return;
    return Run(transaction.in_vain() || transaction.RunsOnLoop() ? RunsOn::kLoop : transaction.pool());
  }
  // Admission is EXEC's: what is queued writes nothing.
  if (MustWait(true)) return;
  return RunsInsideMulti(*command_) ? Run(command_->runs_on) : QueueCommand();
}

/// The words for a command that is refused with `error`; MULTI's EXEC is refused with it.
std::string Session::RefusalInMulti(std::string_view error) {
  if (IsExec(*command_)) {
    EndTransaction(client_, context_.api);
    return ExecRefused(error);
  }
  if (client_.in_multi()) RefuseTransaction(client_, context_.api);
  return std::string(error);
}

void Session::QueueCommand() {
  ClientTransaction& transaction = *client_.transaction;
  if (!transaction.in_vain()) {
    // Large ones stay where they have arrived. Their memory is counted already.
    const bool keeps_memory = command_bytes_ > Operation::kLongBytes && input_.mapped();
    if (QueueIsTooLong(keeps_memory ? 0 : command_bytes_)) return;
    MappedMemory mapped;
    if (keeps_memory) {
      input_.Consume(std::exchange(command_bytes_, 0));
      mapped = input_.TakeMapped();
    }
    transaction.Queue(*command_, args_, std::move(mapped));
    ++client_.queued_commands;
    client_.transaction_bytes = transaction.queued_bytes + transaction.watches.memory_bytes();
    CountMemory();
  }
  was_skipping_ = client_.reply_mode == ReplyMode::kSkipping;
  const std::size_t begin = replies_.buffer().size();
  resp::Writer(replies_.buffer(), client_.protocol).SimpleString("QUEUED");
  FinishReply(begin);
}

/// True: it is not queued, and that has been said.
bool Session::QueueIsTooLong(std::uint64_t more_bytes) {
  const std::uint64_t limit = loop_.settings().client_query_buffer_bytes;
  if (limit != 0 && client_.transaction_bytes + input_.size() > limit) {
    LogWarning("server", "closing client {} ({}): its query buffer, with what MULTI has queued, is over the limit", client_.id, client_.address);
    loop_.counters().query_buffer_disconnects.Add();
    Close();
    return true;
  }
  if (context_.api.ClientsMayHold(more_bytes)) return false;
  RefuseCommand(kClientsOutOfMemory);
  CountMemory();
  return true;
}

void Session::CountRanCommands() {
  LoopStats& stats = loop_.counters();
  CommandWatch& watch = context_.command_watch;
  for (RanCommand& ran : client_.transaction->ran) {
    CommandCounters& counters = stats.by_command[ran.spec->index];
    stats.commands.Add();
    counters.calls.Add();
    counters.cycles.Add(ran.cycles);
    if (watch.tracks()) counters.by_latency[watch.BucketOf(ran.cycles)].Add();
    if (ran.slow) [[unlikely]] watch.NoteSlow(*ran.spec, std::move(ran.slow_args), client_, ran.cycles, context_.clock.WallMillis());
    if (ran.error.empty()) continue;
    counters.failed.Add();
    stats.CountError(ran.error);
  }
  std::vector<RanCommand>().swap(client_.transaction->ran);
}

}  // namespace lsmkv
