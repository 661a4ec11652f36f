#include "tool/command_line.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "base/numbers.h"

namespace lsmkv::tool {

std::string Arguments::Text(std::string_view option) const {
  const auto found = options_.find(option);
  return found == options_.end() ? std::string() : found->second;
}

Result<std::uint64_t> Arguments::Number(std::string_view option, std::uint64_t usual, std::uint64_t least, std::uint64_t most) const {
  const auto found = options_.find(option);
  if (found == options_.end()) return usual;
  const std::optional<std::uint64_t> number = ParseUint64(found->second);
  if (number && *number >= least && *number <= most) return *number;
  return Status::InvalidArgument(fmt::format("--{} is '{}'; allowed is {} to {}", option, found->second, least, most));
}

Result<Arguments> Command::Parse(std::span<const std::string> words) const {
  Arguments arguments;
  const auto wrong = [this](std::string what) {
    return Status::InvalidArgument(fmt::format("{}: {}; see lsmkv-tool {} --help", name, what, name));
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with("--") || word.size() == 2) {
      arguments.operands_.push_back(word);
      continue;
    }
    std::string_view option = std::string_view(word).substr(2);
    std::optional<std::string> value;
    if (const std::size_t equals = option.find('='); equals != std::string_view::npos) {
      value = option.substr(equals + 1);
      option = option.substr(0, equals);
    }
    const auto known = std::ranges::find(options, option, &Option::name);
    if (known == options.end()) return wrong(fmt::format("there is no option --{}", option));
    if (known->value.empty() && value) return wrong(fmt::format("--{} takes no value", option));
    if (!known->value.empty() && !value) {
      if (i + 1 == words.size()) return wrong(fmt::format("--{} needs a value", option));
      value = words[++i];
    }
    if (!arguments.options_.emplace(option, value.value_or("")).second) return wrong(fmt::format("--{} is given twice", option));
  }
  if (arguments.operands_.size() < least_operands || arguments.operands_.size() > most_operands)
    return wrong(fmt::format("it takes {}", operands));
  return arguments;
}

std::string Command::Help() const {
  std::string help = fmt::format("lsmkv-tool {} {}{}\n\n{}\n", name, options.empty() ? "" : "[options] ", operands, summary);
  if (!text.empty()) help += fmt::format("\n{}\n", text);
  if (options.empty()) return help;
  help += "\nOptions:\n";
  for (const Option& option : options) {
    const std::string form = option.value.empty() ? std::string(option.name) : fmt::format("{} {}", option.name, option.value);
    help += fmt::format("  --{:20} {}\n", form, option.text);
  }
  return help;
}

Exit Cannot(const Status& status) {
  std::fprintf(stderr, "lsmkv-tool: %s\n", status.message().c_str());
  return Exit::kCannot;
}

void Print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace lsmkv::tool
