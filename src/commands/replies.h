// The words of every error that more than one command gives, exactly as Redis has them, and the one place where a Status
// of the engine becomes a reply.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/ascii.h"
#include "commands/command.h"
#include "lsmkv/status.h"
#include "resp/writer.h"

namespace lsmkv {

inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kNotAFloat = "ERR value is not a valid float";
inline constexpr std::string_view kOutOfRange = "ERR index out of range";
inline constexpr std::string_view kOverflow = "ERR increment or decrement would overflow";
inline constexpr std::string_view kNoSuchKey = "ERR no such key";
inline constexpr std::string_view kWrongType = "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kInvalidCursor = "ERR invalid cursor";
inline constexpr std::string_view kInvalidDatabase = "ERR invalid DB index";
inline constexpr std::string_view kDatabaseOutOfRange = "ERR DB index is out of range";
inline constexpr std::string_view kSameObject = "ERR source and destination objects are the same";
inline constexpr std::string_view kNoAuthentication = "NOAUTH Authentication required.";
/// Commands that reply with a document, a row or a search for each word: the bound of what one of them can make of a short request.
inline constexpr std::size_t kMostNamesInOne = 1024;
/// "ERR at most 1024 command names in one call; ask in several". `what`: "command names".
std::string TooManyNames(std::string_view what);
inline constexpr std::string_view kClientsOutOfMemory =
    "OOM command not allowed when the clients use more memory than 'maxmemory-clients'";

/// Writes `error` and says the command is done; so that a handler can write `return Fail(context, kSyntaxError);`.
inline Outcome Fail(CommandContext& context, std::string_view error) {
  context.reply.Error(error);
  return Outcome::kDone;
}

/// The error's text for a client: "ERR corruption: ..." for what is damaged, "MISCONF ..." for a disk that takes no writes,
/// "BUSY ...", "LOADING ..." for an engine that is closing. `status` is not ok and not kWouldBlock.
std::string ErrorText(const Status& status);

/// Ends a command whose keyspace or engine call failed: kWouldBlock becomes Outcome::kWouldBlock with nothing written,
/// everything else an error reply.
Outcome Fail(CommandContext& context, const Status& status);

/// What Redis says where a subcommand counts its arguments itself.
std::string UnknownSubcommandOrArity(std::span<const std::string_view> args);
/// "ERR wrong number of arguments for 'client|list' command".
std::string WrongArity(const CommandSpec& spec);
void ReplyWrongArity(resp::Writer& reply, const CommandSpec& spec);
/// "ERR unknown command 'x', with args beginning with: 'a' 'b' ", with Redis's limit of 128 bytes.
void ReplyUnknownCommand(resp::Writer& reply, std::span<const std::string_view> args);
/// "ERR unknown subcommand 'x'. Try CLIENT HELP.", or the arity error when a container came alone.
void ReplyUnknownSubcommand(resp::Writer& reply, std::span<const std::string_view> args);

/// The reply of X HELP: a heading made from `command`, the lines, and the entry for HELP itself.
void ReplyHelp(resp::Writer& reply, std::string_view command, std::span<const std::string_view> lines);

}  // namespace lsmkv
