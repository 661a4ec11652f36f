// DEBUG: what test suites for Redis ask of a server. What makes no sense here is answered with Redis's own error for a name it
// does not know.
//
//   RELOAD, LOADAOF     Redis writes its data set out and reads it back, to show that what is on disk is what is in memory.
//                       Here the memtables go into tables and the manifests are read again (LSM FLUSH, LSM RELOAD).
//   SET-ACTIVE-EXPIRE   stops Redis's background cycle, so that expired keys stay until they are touched. Here an expired key
//                       is never shown, whether its space has come back or not, so there is nothing to stop: accepted.
//   DIGEST, DIGEST-VALUE  equal when and only when the contents are, but not the digits that Redis would give.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "base/hash.h"
#include "base/log.h"
#include "base/numbers.h"
#include "commands/generic_access.h"
#include "commands/replies.h"
#include "lsmkv/engine.h"

namespace lsmkv {
namespace {

constexpr double kLongestSleepSeconds = 24 * 3600;

Outcome Ok(CommandContext& context) {
  context.reply.Ok();
  return Outcome::kDone;
}

/// Runs `work` where waiting is allowed; its status is the reply.
template <typename Work>
Outcome OnAdminThread(CommandContext& context, Work work) {
  std::shared_ptr<DeferredReply> reply = context.server.Defer(context.client);
  context.server.RunOnAdminPool([reply = std::move(reply), work = std::move(work)] { reply->Complete(work()); });
  return Outcome::kDeferred;
}

std::function<void(resp::Writer&)> StatusReply(const Status& status) {
  if (status.ok()) return [](resp::Writer& writer) { writer.Ok(); };
  return [text = ErrorText(status)](resp::Writer& writer) { writer.Error(text); };
}

Outcome Sleep(CommandContext& context) {
  const std::optional<double> seconds = ParseDouble(context.args[2]);
  if (!seconds) return Fail(context, kNotAFloat);
  const double bounded = std::clamp(*seconds, 0.0, kLongestSleepSeconds);
  std::shared_ptr<DeferredReply> reply = context.server.Defer(context.client);
  context.server.RunAfter(std::chrono::microseconds(std::llround(bounded * 1e6)),
                          [reply = std::move(reply)] { reply->Complete([](resp::Writer& writer) { writer.Ok(); }); });
  return Outcome::kDeferred;
}

Outcome Object(CommandContext& context) {
  Operation operation = Begin(context);
  const Result<std::optional<Record>> record = operation.Read(context.args[2]);
  if (!record) return Fail(context, record.error());
  if (!*record) return Fail(context, kNoSuchKey);
  // The address is none: it is the same as long as the key is, and tells nothing about this process.
  context.reply.SimpleString(fmt::format("Value at:0x{:012x} refcount:1 encoding:{} serializedlength:{} lru:0 lru_seconds_idle:0",
                                         Hash(context.args[2]) >> 16, EncodingOf(**record),
                                         (*record)->payload().size() + 1));
  return Outcome::kDone;
}

Outcome Reload(CommandContext& context) {
  for (const std::string_view option : context.args.subspan(2)) {
    const bool known = EqualsIgnoringCase(option, "merge") || EqualsIgnoringCase(option, "noflush") || EqualsIgnoringCase(option, "nosave");
    if (!known) return Fail(context, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
  }
  return OnAdminThread(context, [&engine = context.server.engine()] {
    if (Status status = engine.Flush(); !status.ok()) return StatusReply(status);
    return StatusReply(engine.Reload().status());
  });
}

Outcome DigestValues(CommandContext& context) {
  Operation operation = Begin(context);
  const std::size_t before = context.reply.out().size();
  context.reply.Array(context.args.size() - 2);
  for (const std::string_view key : context.args.subspan(2)) {
    const Result<std::optional<Record>> record = operation.Read(key);
    if (!record) {
      context.reply.out().Truncate(before);
      return Fail(context, record.error());
    }
    ContentDigest digest;
    if (*record) digest.Add((*record)->payload(), (*record)->expire_at_ms() == 0 ? "" : "expires");
    context.reply.SimpleString(digest.Hex());
  }
  return Outcome::kDone;
}

Outcome DigestAll(CommandContext& context) {
  return OnAdminThread(context, [&keyspace = context.keyspace, now_ms = context.now_ms] {
    const Result<ContentDigest> digest = keyspace.Digest(now_ms);
    if (!digest) return StatusReply(digest.error());
    return std::function<void(resp::Writer&)>([text = digest->Hex()](resp::Writer& writer) { writer.SimpleString(text); });
  });
}

Outcome Help(CommandContext& context) {
  static constexpr std::string_view kLines[] = {
      "CHANGE-REPL-ID",
      "    Give the server another replication ID.",
      "DIGEST",
      "    Return a digest of everything in all databases.",
      "DIGEST-VALUE <key> [<key> ...]",
      "    Return a digest of each value.",
      "ERROR <string>",
      "    Reply with this error.",
      "LOADAOF",
      "    As RELOAD.",
      "LOG <message>",
      "    Write a line into the log.",
      "OBJECT <key>",
      "    Describe a value.",
      "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
      "    Write what is in memory into tables and read the manifests again.",
      "SET-ACTIVE-EXPIRE <0|1>",
      "    Accepted: expired keys are never shown.",
      "SLEEP <seconds>",
      "    Answer after so many seconds. Only this connection waits. Decimals allowed.",
  };
  ReplyHelp(context.reply, context.args[0], kLines);
  return Outcome::kDone;
}

Outcome SetActiveExpire(CommandContext& context) { return Ok(context); }

Outcome ChangeReplId(CommandContext& context) {
  context.server.ChangeReplicationId();
  return Ok(context);
}

Outcome Error(CommandContext& context) {
  context.reply.Error(context.args[2]);
  return Outcome::kDone;
}

Outcome WriteLog(CommandContext& context) {
  LogWarning("debug", "DEBUG LOG: {}", context.args[2]);
  return Ok(context);
}

struct Subcommand {
  std::string_view name;
  std::int16_t arity;     // as CommandSpec's
  Handler handler;
};
constexpr Subcommand kSubcommands[] = {
    {"change-repl-id", 2, &ChangeReplId}, {"digest", 2, &DigestAll}, {"digest-value", -2, &DigestValues},
    {"error", 3, &Error},                 {"help", 2, &Help},        {"loadaof", -2, &Reload},
    {"log", 3, &WriteLog},                {"object", -3, &Object},   {"reload", -2, &Reload},
    {"set-active-expire", 3, &SetActiveExpire}, {"sleep", 3, &Sleep},
};

}  // namespace

Outcome HandleDebug(CommandContext& context) {
  const auto count = static_cast<std::ptrdiff_t>(context.args.size());
  for (const Subcommand& subcommand : kSubcommands) {
    if (!EqualsIgnoringCase(context.args[1], subcommand.name)) continue;
    if (subcommand.arity >= 0 ? count == subcommand.arity : count >= -subcommand.arity) return subcommand.handler(context);
  }
  return Fail(context, UnknownSubcommandOrArity(context.args));
}

}  // namespace lsmkv
