// CLIENT: what connections there are, and what this one wants.
#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/numbers.h"
#include "commands/connection.h"
#include "commands/replies.h"

namespace lsmkv {
namespace {

constexpr std::string_view kClientHelp[] = {
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made from the specified address",
    "    * ID <client-id>",
    "      Kill the connection with this ID.",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made to specified local address",
    "    * MAXAGE <seconds>",
    "      Kill connections older than this.",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * ID <client-id> [<client-id> ...]",
    "      Return the clients with these IDs.",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "NO-TOUCH (ON|OFF)",
    "    Commands of this connection do not count as uses of the keys they read.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Record the name or the version of the client library.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
};

std::string FlagLetters(const ClientInfo& info) {
  std::string letters;
  if (info.state.in_multi()) letters += 'x';
  if (info.watched_key_changed) letters += 'd';
  if (info.closing) letters += 'c';
  if (info.state.unix_socket) letters += 'U';
  if (info.state.no_evict) letters += 'e';
  if (info.state.no_touch) letters += 'T';
  return letters.empty() ? "N" : letters;
}

std::uint64_t SecondsSince(std::uint64_t then_ms, std::uint64_t now_ms) { return now_ms > then_ms ? (now_ms - then_ms) / 1000 : 0; }

// ON or OFF; false when an error was replied.
bool TakeSwitch(CommandContext& context, std::string_view word, bool& value) {
  const bool on = EqualsIgnoringCase(word, "on");
  if (!on && !EqualsIgnoringCase(word, "off")) return context.reply.Error(kSyntaxError), false;
  value = on;
  context.reply.Ok();
  return true;
}

}  // namespace

std::string ClientLine(const ClientInfo& info, std::uint64_t now_ms) {
  const ClientState& state = info.state;
  return fmt::format(
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 multi={} qbuf={} qbuf-free={} "
      "argv-mem=0 multi-mem={} rbs=0 rbp=0 obl=0 oll=0 omem={} tot-mem={} events={} cmd={} user={} redir=-1 resp={} lib-name={} "
      "lib-ver={}",
      state.id, state.address, state.local_address, state.fd, state.name, SecondsSince(state.created_ms, now_ms),
      SecondsSince(state.last_active_ms, now_ms), FlagLetters(info), state.database, state.queued_commands,
      info.input_buffer_bytes, info.input_buffer_free_bytes, info.queue_bytes, info.output_buffer_bytes, info.total_memory_bytes, info.output_buffer_bytes > 0 ? "rw" : "r",
      state.last_command.empty() ? "NULL" : state.last_command, state.user, state.protocol, state.lib_name, state.lib_version);
}

Outcome HandleClientId(CommandContext& context) {
  context.reply.Integer(static_cast<std::int64_t>(context.client.id));
  return Outcome::kDone;
}

Outcome HandleClientGetname(CommandContext& context) {
  context.client.name.empty() ? context.reply.Null() : context.reply.Bulk(context.client.name);
  return Outcome::kDone;
}

Outcome HandleClientSetname(CommandContext& context) {
  if (const std::string why = WhyNoClientAttribute(kClientNames, context.args[2]); !why.empty()) return Fail(context, why);
  context.client.name = context.args[2];
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleClientSetinfo(CommandContext& context) {
  const std::string_view attribute = context.args[2];
  const bool is_name = EqualsIgnoringCase(attribute, "lib-name");
  if (!is_name && !EqualsIgnoringCase(attribute, "lib-ver")) {
    return Fail(context, fmt::format("ERR Unrecognized option '{}'", attribute));
  }
  if (const std::string why = WhyNoClientAttribute(attribute, context.args[3]); !why.empty()) return Fail(context, why);
  (is_name ? context.client.lib_name : context.client.lib_version) = context.args[3];
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleClientInfo(CommandContext& context) {
  if (context.transaction == nullptr) {
    context.reply.Verbatim("txt", ClientLine(context.server.Describe(context.client), context.now_ms) + "\n");
    return Outcome::kDone;
  }
  if (!context.may_block) return Outcome::kWouldBlock;
  ClientFilter itself;                                  // EXEC is not on the session's own thread
  itself.id = context.client.id;
  const std::vector<ClientInfo> found = context.server.Clients(itself);
  context.reply.Verbatim("txt", found.empty() ? "" : ClientLine(found.front(), context.now_ms) + "\n");
  return Outcome::kDone;
}

Outcome HandleClientList(CommandContext& context) {
  const std::optional<ClientFilter> filter = ParseListFilter(context);
  if (!filter) return Outcome::kDone;
  std::vector<ClientInfo> clients = context.server.Clients(*filter);
  const auto id_of = [](const ClientInfo& info) { return info.state.id; };
  std::ranges::sort(clients, {}, id_of);
  std::string text;
  const auto show = [&](const ClientInfo& info) { text.append(ClientLine(info, context.now_ms)).append("\n"); };
  if (filter->ids.empty()) std::ranges::for_each(clients, show);
  for (const std::uint64_t id : filter->ids) {       // as asked: in that order, and as often
    const auto found = std::ranges::lower_bound(clients, id, {}, id_of);
    if (found != clients.end() && id_of(*found) == id) show(*found);
  }
  context.reply.Verbatim("txt", text);
  return Outcome::kDone;
}

Outcome HandleClientKill(CommandContext& context) {
  if (context.args.size() == 3) {            // the old form: an address, which may be our own
    ClientFilter filter;
    filter.address = context.args[2];
    const bool killed = !filter.address.empty() && context.server.KillClients(filter, context.client.id) > 0;
    killed ? context.reply.Ok() : context.reply.Error("ERR No such client");
    return Outcome::kDone;
  }
  const std::optional<ClientFilter> filter = ParseKillFilter(context);
  if (!filter) return Outcome::kDone;
  context.reply.Integer(static_cast<std::int64_t>(context.server.KillClients(*filter, context.client.id)));
  return Outcome::kDone;
}

Outcome HandleClientNoevict(CommandContext& context) {
  TakeSwitch(context, context.args[2], context.client.no_evict);
  return Outcome::kDone;
}

Outcome HandleClientNotouch(CommandContext& context) {
  TakeSwitch(context, context.args[2], context.client.no_touch);
  return Outcome::kDone;
}

Outcome HandleClientReply(CommandContext& context) {
  ReplyMode& mode = context.client.reply_mode;
  if (EqualsIgnoringCase(context.args[2], "on")) {
    mode = ReplyMode::kOn;
    context.reply.Ok();
    return Outcome::kDone;
  }
  if (EqualsIgnoringCase(context.args[2], "off")) {
    mode = ReplyMode::kOff;
  } else if (EqualsIgnoringCase(context.args[2], "skip")) {
    if (mode != ReplyMode::kOff) mode = ReplyMode::kSkipNext;
  } else {
    return Fail(context, kSyntaxError);
  }
  return Outcome::kNoReply;
}

Outcome HandleClientPause(CommandContext& context) {
  PauseMode mode = PauseMode::kAll;
  if (context.args.size() > 4) return Fail(context, UnknownSubcommandOrArity(context.args));
  if (context.args.size() == 4) {
    if (EqualsIgnoringCase(context.args[3], "write")) {
      mode = PauseMode::kWrite;
    } else if (!EqualsIgnoringCase(context.args[3], "all")) {
      return Fail(context, "ERR CLIENT PAUSE mode must be WRITE or ALL");
    }
  }
  const std::optional<std::int64_t> milliseconds = ParseInt64(context.args[2]);
  if (!milliseconds) return Fail(context, "ERR timeout is not an integer or out of range");
  if (*milliseconds < 0) return Fail(context, "ERR timeout is negative");
  const auto duration = static_cast<std::uint64_t>(*milliseconds);
  if (duration > std::numeric_limits<std::int64_t>::max() - context.now_ms) return Fail(context, "ERR timeout is out of range");   // as Redis
  context.server.PauseClients(duration, mode);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleClientUnpause(CommandContext& context) {
  context.server.UnpauseClients();
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleClientHelp(CommandContext& context) {
  ReplyHelp(context.reply, context.args[0], kClientHelp);
  return Outcome::kDone;
}

}  // namespace lsmkv
