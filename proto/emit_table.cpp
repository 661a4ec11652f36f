// The README's command table. Syntax is spelled from the arguments as Redis's documentation does: [optional], a | b, [again ...].
#include <cctype>
#include <map>

#include "proto/model.h"

namespace lsmkv::proto {
namespace {

std::string Syntax(const std::vector<Argument>& arguments, const char* between);

std::string Syntax(const Argument& argument) {
  std::string text;
  if (argument.type == "oneof") {
    text = Syntax(argument.arguments, " | ");
    if (!argument.optional || !argument.token.empty()) text = "<" + text + ">";
  } else if (argument.type == "block") {
    text = Syntax(argument.arguments, " ");
  } else if (argument.type != "pure-token") {
    text = argument.name;
  }
  if (argument.multiple && argument.type == "oneof") {
    text += " ...";                        // spelled once: a choice can be long
  } else if (argument.multiple) {
    text += " [" + (argument.multiple_token ? argument.token + " " : "") + text + " ...]";
  }
  if (!argument.token.empty()) text = argument.token + (text.empty() ? "" : " ") + text;
  return argument.optional ? "[" + text + "]" : text;
}

std::string Syntax(const std::vector<Argument>& arguments, const char* between) {
  std::string text;
  for (const Argument& argument : arguments) text += (text.empty() ? "" : between) + Syntax(argument);
  return text;
}

std::string Line(const Command& command) {
  std::string name;
  for (const char c : command.name) name += c == '|' ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string syntax = Syntax(command.arguments, " ");
  std::string cell;
  for (const char c : name + (syntax.empty() ? "" : " ") + syntax) cell += c == '|' ? std::string("\\|") : std::string(1, c);
  return "| `" + cell + "` | " + command.summary + " |\n";
}

}  // namespace

std::string EmitTable(const std::vector<Command>& commands) {
  std::map<std::string, std::string> groups;
  for (const Command& command : commands) {
    std::string& lines = groups[command.group];
    if (!command.handler.empty()) lines += Line(command);
    for (const Command& sub : command.subcommands) lines += Line(sub);
  }
  std::string out;
  for (const auto& [group, lines] : groups) {
    out += (out.empty() ? "" : "\n");
    out += "**" + group + "**\n\n| command | what it does |\n|---|---|\n" + lines;
  }
  return out;
}

}  // namespace lsmkv::proto
