#include "commands/replies.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/assert.h"

namespace lsmkv {
namespace {

constexpr std::size_t kQuotedBytes = 128;   // of what a client sent, in an error message

// As much as printf's %.*s would show: at most `bytes`, and nothing from a zero byte on.
std::string_view Shown(std::string_view text, std::size_t bytes) { return text.substr(0, std::min(bytes, text.find('\0'))); }

}  // namespace

std::string ErrorText(const Status& status) {
  switch (status.code()) {
    case StatusCode::kCorruption: return "ERR corruption: " + status.message();
    case StatusCode::kIoError: return "ERR disk error: " + status.message();
    case StatusCode::kWriteRefused: return "MISCONF the write was not taken, the disk fails: " + status.message();
    case StatusCode::kNoSpace: return "MISCONF No space left on the disk; writes are refused until there is: " + status.message();
    case StatusCode::kBusy: return "BUSY " + status.message();
    case StatusCode::kShuttingDown: return "ERR the server is shutting down";
    case StatusCode::kUnsupported: return "ERR not supported: " + status.message();
    case StatusCode::kInvalidArgument:
    case StatusCode::kNotFound:
    case StatusCode::kOk:
    case StatusCode::kWouldBlock: break;
  }
  return "ERR " + status.message();
}

Outcome Fail(CommandContext& context, const Status& status) {
  LSMKV_ASSERT(!status.ok());
  if (status.code() == StatusCode::kWouldBlock) return Outcome::kWouldBlock;
  context.reply.Error(ErrorText(status));
  return Outcome::kDone;
}

std::string UnknownSubcommandOrArity(std::span<const std::string_view> args) {
  std::string text = "ERR unknown subcommand or wrong number of arguments for '";
  text.append(Shown(args[1], kQuotedBytes)).append("'. Try ");
  for (const char c : Shown(args[0], kQuotedBytes)) text += ToUpperAscii(c);
  return text.append(" HELP.");
}

std::string TooManyNames(std::string_view what) { return fmt::format("ERR at most {} {} in one call; ask in several", kMostNamesInOne, what); }

std::string WrongArity(const CommandSpec& spec) {
  std::string text = "ERR wrong number of arguments for '";
  return text.append(spec.name).append("' command");
}

void ReplyWrongArity(resp::Writer& reply, const CommandSpec& spec) { reply.Error(WrongArity(spec)); }

void ReplyUnknownCommand(resp::Writer& reply, std::span<const std::string_view> args) {
  std::string text = "ERR unknown command '";
  text.append(Shown(args[0], kQuotedBytes)).append("', with args beginning with: ");
  std::size_t shown = 0;
  for (std::size_t i = 1; i < args.size() && shown < kQuotedBytes; ++i) {
    const std::string_view part = Shown(args[i], kQuotedBytes - shown);
    text.append("'").append(part).append("' ");
    shown += part.size() + 3;
  }
  reply.Error(text);
}

void ReplyUnknownSubcommand(resp::Writer& reply, std::span<const std::string_view> args) {
  if (args.size() < 2) {                      // a container alone
    bool unknown_subcommand = false;
    const CommandSpec* const spec = FindCommand(args, &unknown_subcommand);
    return spec == nullptr ? ReplyUnknownCommand(reply, args) : ReplyWrongArity(reply, *spec);
  }
  std::string text = "ERR unknown subcommand '";
  text.append(Shown(args[1], kQuotedBytes)).append("'. Try ");
  for (const char c : Shown(args[0], kQuotedBytes)) text += ToUpperAscii(c);
  reply.Error(text.append(" HELP."));
}

void ReplyHelp(resp::Writer& reply, std::string_view command, std::span<const std::string_view> lines) {
  reply.Array(lines.size() + 3);
  std::string heading;
  for (const char c : command) heading += ToUpperAscii(c);
  reply.SimpleString(heading + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const std::string_view line : lines) reply.SimpleString(line);
  reply.SimpleString("HELP");
  reply.SimpleString("    Prints this help.");
}

}  // namespace lsmkv
