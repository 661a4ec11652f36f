#include <fmt/core.h>

#include "config/config.h"

namespace lsmkv {
namespace {

std::optional<CommandLine::Mode> ModeOf(std::string_view argument) {
  using enum CommandLine::Mode;
  if (argument == "--help" || argument == "-h") return kHelp;
  if (argument == "--version" || argument == "-v") return kVersion;
  if (argument == "--check-config") return kCheckConfig;
  if (argument == "--print-default-config") return kPrintDefaultConfig;
  if (argument == "--ping") return kPing;
  return std::nullopt;
}

}  // namespace

Result<CommandLine> ParseCommandLine(std::span<const std::string> arguments) {
  CommandLine parsed;
  bool takes_words = false;   // whether the next word is a value of the last override
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (const auto mode = ModeOf(argument)) {
      if (parsed.mode != CommandLine::Mode::kHelp) parsed.mode = *mode;
      takes_words = false;
    } else if (argument.size() > 2 && argument.starts_with("--")) {
      parsed.overrides.push_back({argument.substr(2), {}});
      takes_words = true;
    } else if (takes_words) {
      parsed.overrides.back().words.push_back(argument);
    } else if (i == 0 && !argument.empty()) {
      parsed.config_file = argument;
    } else {
      return Status::InvalidArgument(fmt::format("command line: unexpected argument '{}'; see --help", argument));
    }
  }
  return parsed;
}

}  // namespace lsmkv
