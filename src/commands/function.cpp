// FUNCTION FLUSH and LIST. There are no scripts and no functions here, and a client that clears or lists them, as test suites and tools do
// before they begin, is told just that; what would load or call one is an unknown command.
#include <span>
#include <string>
#include <string_view>

#include "base/ascii.h"
#include "commands/command.h"
#include "commands/replies.h"

namespace lsmkv {

Outcome HandleFunctionFlush(CommandContext& context) {
  const std::span<const std::string_view> options = context.args.subspan(2);
  const bool known = options.empty() || EqualsIgnoringCase(options[0], "async") || EqualsIgnoringCase(options[0], "sync");
  if (options.size() > 1 || !known) return Fail(context, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
  context.reply.SimpleString("OK");
  return Outcome::kDone;
}

Outcome HandleFunctionList(CommandContext& context) {
  bool with_code = false;
  bool with_pattern = false;
  for (std::size_t i = 2; i < context.args.size(); ++i) {
    const std::string_view option = context.args[i];
    if (!with_code && EqualsIgnoringCase(option, "withcode")) {
      with_code = true;
    } else if (!with_pattern && EqualsIgnoringCase(option, "libraryname")) {
      if (++i == context.args.size()) return Fail(context, "ERR library name argument was not given");
      with_pattern = true;
    } else {
      return Fail(context, "ERR Unknown argument " + std::string(option));
    }
  }
  context.reply.Array(0);
  return Outcome::kDone;
}

Outcome HandleFunctionHelp(CommandContext& context) {
  static constexpr std::string_view kLines[] = {
      "FLUSH [ASYNC|SYNC]",
      "    Delete all the libraries; there are none.",
      "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
      "    Return the libraries; there are none.",
  };
  ReplyHelp(context.reply, "function", kLines);
  return Outcome::kDone;
}

}  // namespace lsmkv
