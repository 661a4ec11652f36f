// Whole databases: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB. All of them may wait for the disk.
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "base/numbers.h"
#include "commands/generic_access.h"

namespace lsmkv {
namespace {

/// ASYNC and SYNC are both fine: a flush forgets the data at once, and compaction gives the room back later.
bool FlushOptionsMakeSense(const CommandContext& context) {
  if (context.args.size() == 1) return true;
  return context.args.size() == 2 &&
         (EqualsIgnoringCase(context.args[1], "async") || EqualsIgnoringCase(context.args[1], "sync"));
}

bool IsInt(std::string_view text) {
  const std::optional<std::int64_t> number = ParseInt64(text);
  return number && *number >= std::numeric_limits<int>::min() && *number <= std::numeric_limits<int>::max();
}

Outcome ReplyStatus(CommandContext& context, const Status& status) {
  if (!status.ok()) return Fail(context, status);
  context.reply.Ok();
  return Outcome::kDone;
}

}  // namespace

Outcome HandleDbsize(CommandContext& context) {
  if (!context.may_block) return Outcome::kWouldBlock;
  const Result<KeyspaceInfo> info = context.keyspace.CountDatabase(context.client.database, context.now_ms, CountMode::kExact,
                                                                      context.transaction);
  if (!info) return Fail(context, info.error());
  context.reply.Integer(static_cast<std::int64_t>(info->keys));
  return Outcome::kDone;
}

Outcome HandleFlushdb(CommandContext& context) {
  if (!FlushOptionsMakeSense(context)) return Fail(context, kSyntaxError);
  if (!context.may_block) return Outcome::kWouldBlock;
  return ReplyStatus(context, context.keyspace.FlushDatabase(context.client.database, context.transaction));
}

Outcome HandleFlushall(CommandContext& context) {
  if (!FlushOptionsMakeSense(context)) return Fail(context, kSyntaxError);
  if (!context.may_block) return Outcome::kWouldBlock;
  return ReplyStatus(context, context.keyspace.FlushAll(context.transaction));
}

Outcome HandleSwapdb(CommandContext& context) {
  // As in Redis, both must be numbers before either is looked up.
  if (!IsInt(context.args[1])) return Fail(context, "ERR invalid first DB index");
  if (!IsInt(context.args[2])) return Fail(context, "ERR invalid second DB index");
  const std::optional<std::uint32_t> first = DatabaseOrReply(context, context.args[1]);
  if (!first) return Outcome::kDone;
  const std::optional<std::uint32_t> second = DatabaseOrReply(context, context.args[2]);
  if (!second) return Outcome::kDone;
  if (!context.may_block) return Outcome::kWouldBlock;
  return ReplyStatus(context, context.keyspace.SwapDatabases(*first, *second, context.transaction));
}

}  // namespace lsmkv
