// SLOWLOG: what is in slow_log.h, for clients.
#include <limits>
#include <optional>

#include "base/numbers.h"
#include "commands/replies.h"
#include "commands/slow_log.h"

namespace lsmkv {
namespace {

constexpr std::size_t kDefaultCount = 10;
constexpr std::size_t kManyEntries = 1000;             // whose reply would keep a loop busy for too long
constexpr std::string_view kHelp[] = {
    "GET [<count>]",
    "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
    "    Entries are made of:",
    "    id, timestamp, time in microseconds, arguments array, client IP and port,",
    "    client name",
    "LEN",
    "    Return the length of the slowlog.",
    "RESET",
    "    Reset the slowlog.",
};

void Reply(resp::Writer& reply, const SlowCommand& command) {
  reply.Array(6);
  reply.Integer(static_cast<std::int64_t>(command.id));
  reply.Integer(static_cast<std::int64_t>(command.time_s));
  reply.Integer(static_cast<std::int64_t>(command.duration_us));
  reply.Array(command.args.size());
  for (const std::string& arg : command.args) reply.Bulk(arg);
  reply.Bulk(command.client_address);
  reply.Bulk(command.client_name);
}

}  // namespace

Outcome HandleSlowlogGet(CommandContext& context) {
  if (context.args.size() > 3) return Fail(context, UnknownSubcommandOrArity(context.args));
  std::size_t count = kDefaultCount;
  if (context.args.size() == 3) {
    const std::optional<std::int64_t> wanted = ParseInt64(context.args[2]);
    if (!wanted || *wanted < -1) return Fail(context, "ERR count should be greater than or equal to -1");
    count = *wanted == -1 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(*wanted);
  }
  const std::vector<SlowLog::Entry> entries = context.server.slow_log().Newest(count);
  if (!context.may_block && entries.size() > kManyEntries) return Outcome::kWouldBlock;
  context.reply.Array(entries.size());
  for (const SlowLog::Entry& entry : entries) Reply(context.reply, *entry);
  return Outcome::kDone;
}

Outcome HandleSlowlogLen(CommandContext& context) {
  context.reply.Integer(static_cast<std::int64_t>(context.server.slow_log().size()));
  return Outcome::kDone;
}

Outcome HandleSlowlogReset(CommandContext& context) {
  context.server.slow_log().Clear();
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleSlowlogHelp(CommandContext& context) {
  ReplyHelp(context.reply, context.args[0], kHelp);
  return Outcome::kDone;
}

}  // namespace lsmkv
