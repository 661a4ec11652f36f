// The connection's own state: PING ECHO AUTH HELLO QUIT RESET SELECT. Each touches only its ClientState, so all run on the loop.
#include "commands/connection.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "base/numbers.h"
#include "commands/client_transaction.h"
#include "commands/replies.h"
#include "commands/version.h"
#include "config/config.h"
#include "keyspace/keyspace.h"

namespace lsmkv {
namespace {

constexpr std::string_view kWrongPassword = "WRONGPASS invalid username-password pair or user is disabled.";
constexpr std::string_view kDefaultUser = "default";

// Takes as long for a guess that shares its beginning with the password as for one that does not.
bool SamePassword(std::string_view given, std::string_view password) {
  std::size_t difference = given.size() ^ password.size();
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char expected = password.empty() ? '\0' : password[i % password.size()];
    difference |= static_cast<unsigned char>(given[i] ^ expected);
  }
  return difference == 0;
}

// There is one user, as in a Redis without ACL files. Without a password every password fits, as Redis's "nopass" has it.
bool Authenticate(CommandContext& context, std::string_view user, std::string_view password) {
  const std::string& required = context.server.config().Current()->requirepass;
  if (user != kDefaultUser || (!required.empty() && !SamePassword(password, required))) return false;
  context.client.user = kDefaultUser;
  context.client.authenticated = true;
  return true;
}

struct HelloOptions {
  int protocol;
  std::optional<std::string_view> user;
  std::string_view password;
  std::optional<std::string_view> name;
};

// Nothing when an error was replied.
std::optional<HelloOptions> ParseHello(CommandContext& context) {
  HelloOptions options{context.client.protocol, {}, {}, {}};
  const auto args = context.args;
  if (args.size() > 1) {
    const std::optional<std::int64_t> protocol = ParseInt64(args[1]);
    if (!protocol) return Fail(context, "ERR Protocol version is not an integer or out of range"), std::nullopt;
    if (*protocol < 2 || *protocol > 3) return Fail(context, "NOPROTO unsupported protocol version"), std::nullopt;
    options.protocol = static_cast<int>(*protocol);
  }
  for (std::size_t i = 2; i < args.size(); ++i) {
    const std::size_t more = args.size() - i - 1;
    if (EqualsIgnoringCase(args[i], "auth") && more >= 2) {
      options.user = args[i + 1];
      options.password = args[i + 2];
      i += 2;
    } else if (EqualsIgnoringCase(args[i], "setname") && more >= 1) {
      options.name = args[i + 1];
      if (const std::string why = WhyNoClientAttribute(kClientNames, *options.name); !why.empty()) return Fail(context, why), std::nullopt;
      i += 1;
    } else {
      std::string text = "ERR Syntax error in HELLO option '";
      return Fail(context, text.append(args[i]).append("'")), std::nullopt;
    }
  }
  return options;
}

void ReplyHello(resp::Writer& reply, const ClientState& client) {
  reply.Map(7);
  reply.Bulk("server");
  reply.Bulk("redis");
  reply.Bulk("version");
  reply.Bulk(kRedisVersion);
  reply.Bulk("proto");
  reply.Integer(client.protocol);
  reply.Bulk("id");
  reply.Integer(static_cast<std::int64_t>(client.id));
  reply.Bulk("mode");
  reply.Bulk("standalone");
  reply.Bulk("role");
  reply.Bulk("master");
  reply.Bulk("modules");
  reply.Array(0);
}

}  // namespace

std::string WhyNoClientAttribute(std::string_view what, std::string_view text) {
  if (text.size() > kMostClientNameBytes) return fmt::format("ERR {} cannot be longer than {} bytes.", what, kMostClientNameBytes);
  const bool printable = std::ranges::all_of(text, [](char c) { return c >= '!' && c <= '~'; });
  return printable ? std::string() : fmt::format("ERR {} cannot contain spaces, newlines or special characters.", what);
}

Outcome HandlePing(CommandContext& context) {
  if (context.args.size() > 2) {
    ReplyWrongArity(context.reply, context.spec);
  } else if (context.args.size() == 2) {
    context.reply.Bulk(context.args[1]);
  } else {
    context.reply.SimpleString("PONG");
  }
  return Outcome::kDone;
}

Outcome HandleEcho(CommandContext& context) {
  context.reply.Bulk(context.args[1]);
  return Outcome::kDone;
}

Outcome HandleAuth(CommandContext& context) {
  if (context.args.size() > 3) return Fail(context, kSyntaxError);
  const bool named = context.args.size() == 3;
  if (!named && context.server.config().Current()->requirepass.empty()) {
    return Fail(context,
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
                "configuration is correct?");
  }
  if (!Authenticate(context, named ? context.args[1] : kDefaultUser, context.args.back())) return Fail(context, kWrongPassword);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleHello(CommandContext& context) {
  const std::optional<HelloOptions> options = ParseHello(context);
  if (!options) return Outcome::kDone;
  if (options->user && !Authenticate(context, *options->user, options->password)) return Fail(context, kWrongPassword);
  if (!context.client.authenticated) {
    return Fail(context,
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> "
                "<pass> option can be used to authenticate the client and select the RESP protocol version at the same time");
  }
  if (options->name) context.client.name = *options->name;
  context.client.protocol = options->protocol;
  resp::Writer reply(context.reply.out(), options->protocol);   // the answer is the first in the new protocol
  ReplyHello(reply, context.client);
  return Outcome::kDone;
}

Outcome HandleQuit(CommandContext& context) {
  context.reply.Ok();
  return Outcome::kCloseAfterReply;
}

Outcome HandleReset(CommandContext& context) {
  ClientState& client = context.client;
  EndTransaction(client, context.server);
  client.name.clear();
  client.user = kDefaultUser;
  client.authenticated = context.server.config().Current()->requirepass.empty();
  client.database = 0;
  client.protocol = 2;
  client.no_evict = false;
  client.no_touch = false;
  client.reply_mode = ReplyMode::kOn;
  context.reply.SimpleString("RESET");
  return Outcome::kDone;
}

Outcome HandleSelect(CommandContext& context) {
  const std::optional<std::int64_t> database = ParseInt64(context.args[1]);
  if (!database) return Fail(context, kNotAnInteger);
  if (*database < std::numeric_limits<std::int32_t>::min() || *database > std::numeric_limits<std::int32_t>::max()) {
    return Fail(context, "ERR value is out of range, value must between -2147483648 and 2147483647");
  }
  if (*database < 0 || *database >= context.keyspace.databases()) return Fail(context, kDatabaseOutOfRange);
  context.client.database = static_cast<std::uint32_t>(*database);
  context.reply.Ok();
  return Outcome::kDone;
}

}  // namespace lsmkv
