// From JSON to checked commands. Whatever is wrong is noted with file and command, and reading goes on, so that one run of the
// build shows every mistake. nlohmann/json throws only while parsing text; that is caught here.
#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "commands/command_flags.h"
#include "commands/name_hash.h"
#include "proto/model.h"

namespace lsmkv::proto {
namespace {

using nlohmann::json;

// Redis's order of ACL categories, which COMMAND INFO keeps.
constexpr std::array<std::string_view, 21> kCategories = {
    "keyspace", "read", "write", "set",  "sortedset", "list",     "hash",      "string",     "bitmap",      "hyperloglog", "geo",
    "stream",   "pubsub", "admin", "fast", "slow",      "blocking", "dangerous", "connection", "transaction", "scripting"};
constexpr std::array<std::string_view, 9> kArgumentTypes = {"string", "integer", "double", "key", "pattern",
                                                            "unix-time", "pure-token", "oneof", "block"};
constexpr std::array<std::string_view, 12> kKeyFlags = {"RO", "RW", "OW", "RM", "access", "update", "insert", "delete",
                                                        "not_key", "incomplete", "variable_flags", "channel"};
constexpr std::array<std::string_view, 4> kRunsOn = {"loop", "reads", "admin", "upkeep"};

template <typename List>
bool Contains(const List& list, std::string_view name) {
  return std::ranges::find(list, name) != std::end(list);
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kLongestCommandName &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; });
}

class FileReader {
 public:
  FileReader(std::string file, Catalogue& catalogue) : file_(std::move(file)), catalogue_(catalogue) {}

  void Read(const std::filesystem::path& path) {
    std::ifstream in(path);
    if (!in) return Error("cannot be read");
    try {
      ReadFile(json::parse(in));
    } catch (const json::exception& error) {
      Error(error.what());
    }
  }

 private:
  void Error(const std::string& what) {
    catalogue_.errors.push_back(file_ + ": " + (command_.empty() ? "" : command_ + ": ") + what);
  }

  void ReadFile(const json& file) {
    if (!file.is_object()) return Error("is not an object");
    CheckFields(file, {"group", "commands"});
    group_ = Text(file, "group", true);
    for (const json& entry : List(file, "commands")) {
      catalogue_.commands.push_back(ReadCommand(entry, ""));
      command_.clear();
    }
  }

  Command ReadCommand(const json& entry, const std::string& container) {
    Command command;
    if (!entry.is_object()) return Error("a command is not an object"), command;
    const std::string name = Text(entry, "name", true);
    command.name = container.empty() ? name : container + "|" + name;
    command_ = command.name;
    if (!IsName(name)) Error("its name is not 1 to 24 of a-z 0-9 - _");
    CheckFields(entry, {"name", "summary", "complexity", "since", "group", "deprecated_since", "replaced_by", "arity", "flags",
                        "acl_categories", "tips", "history", "key_specs", "runs_on", "handler", "arguments", "subcommands"});
    command.summary = Text(entry, "summary", true);
    command.complexity = Text(entry, "complexity", true);
    command.since = Text(entry, "since", true);
    command.group = Text(entry, "group", false);
    if (command.group.empty()) command.group = group_;
    command.deprecated_since = Text(entry, "deprecated_since", false);
    command.replaced_by = Text(entry, "replaced_by", !command.deprecated_since.empty());
    command.arity = Number(entry, "arity", true);
    if (command.arity == 0 || command.arity < -1000 || command.arity > 1000) Error("arity is not a number of arguments");
    command.flags = Words(entry, "flags", true);
    command.tips = Words(entry, "tips", false);
    ReadCategories(entry, command);
    ReadHistory(entry, command);
    ReadKeySpecs(entry, command);
    command.arguments = ReadArguments(entry, command);
    for (const json& sub : List(entry, "subcommands")) {
      if (!container.empty()) Error("subcommands go one level deep");
      command.subcommands.push_back(ReadCommand(sub, command.name));
      command_ = command.name;
    }
    ReadHandler(entry, command);
    return command;
  }

  void ReadHandler(const json& entry, Command& command) {
    const bool needed = command.subcommands.empty();
    command.handler = Text(entry, "handler", needed);
    command.runs_on = Text(entry, "runs_on", needed);
    if (command.handler.empty() && command.arity > -2) Error("without a handler its arity is -2 or less, so that it never runs alone");
    if (command.runs_on.empty()) command.runs_on = "loop";
    if (!Contains(kRunsOn, command.runs_on)) Error("runs_on is not loop, reads, admin or upkeep: " + command.runs_on);
    std::string want = "Handle";
    bool upper = true;                       // "client|no-evict" is HandleClientNoevict
    for (const char c : command.name) {
      if (c == '-' || c == '_') continue;
      if (c != '|') want += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      upper = c == '|';
    }
    if (!command.handler.empty() && command.handler != want) Error("its handler would be named " + want);
  }

  // Flags imply categories, as in Redis; the file names the others.
  void ReadCategories(const json& entry, Command& command) {
    std::set<std::string> named;
    for (const std::string& category : Words(entry, "acl_categories", true)) {
      if (!Contains(kCategories, category)) Error("unknown ACL category " + category);
      named.insert(category);
    }
    for (const std::string& flag : command.flags) {
      if (std::ranges::find(kFlagNames, flag, &FlagName::name) == std::end(kFlagNames)) Error("unknown flag " + flag);
      if (flag == "write" || flag == "admin" || flag == "pubsub" || flag == "fast" || flag == "blocking") named.insert(flag);
      if (flag == "readonly") named.insert("read");
      if (flag == "admin") named.insert("dangerous");
    }
    if (!named.contains("fast")) named.insert("slow");
    for (const std::string_view category : kCategories) {
      if (named.contains(std::string(category))) command.acl_categories.emplace_back(category);
    }
  }

  void ReadHistory(const json& entry, Command& command) {
    for (const json& item : List(entry, "history")) {
      if (!item.is_array() || item.size() != 2 || !item[0].is_string() || !item[1].is_string()) {
        Error("a history entry is not a version and a change");
        continue;
      }
      command.history.push_back({item[0].get<std::string>(), item[1].get<std::string>()});
    }
  }

  void ReadKeySpecs(const json& entry, Command& command) {
    for (const json& spec : List(entry, "key_specs")) {
      if (!spec.is_object()) {
        Error("a key spec is not an object");
        continue;
      }
      CheckFields(spec, {"first", "last", "step", "flags", "notes"});
      command.key_specs.push_back(
          {Number(spec, "first", true), Number(spec, "last", true), Number(spec, "step", true), Words(spec, "flags", true),
           Text(spec, "notes", false)});
      const KeySpecEntry& keys = command.key_specs.back();
      if (keys.first < 1 || keys.step < 1 || (keys.last >= 0 && keys.last < keys.first)) Error("a key spec names no key");
      for (const std::string& flag : keys.flags) {
        if (!Contains(kKeyFlags, flag)) Error("unknown key flag " + flag);
      }
    }
  }

  std::vector<Argument> ReadArguments(const json& entry, const Command& command) {
    std::vector<Argument> arguments;
    for (const json& item : List(entry, "arguments")) {
      if (!item.is_object()) {
        Error("an argument is not an object");
        continue;
      }
      CheckFields(item, {"name", "type", "token", "since", "key_spec_index", "flags", "arguments"});
      Argument argument;
      argument.name = Text(item, "name", true);
      argument.type = Text(item, "type", true);
      argument.token = Text(item, "token", argument.type == "pure-token");
      argument.since = Text(item, "since", false);
      for (const std::string& flag : Words(item, "flags", false)) {
        argument.optional |= flag == "optional";
        argument.multiple |= flag == "multiple";
        argument.multiple_token |= flag == "multiple_token";
        if (flag != "optional" && flag != "multiple" && flag != "multiple_token") Error("unknown argument flag " + flag);
      }
      if (!Contains(kArgumentTypes, argument.type)) Error("unknown type of argument " + argument.type);
      if (item.contains("key_spec_index")) argument.key_spec = Number(item, "key_spec_index", true);
      if (argument.key_spec >= static_cast<int>(command.key_specs.size())) Error("key_spec_index of " + argument.name);
      argument.arguments = ReadArguments(item, command);
      const bool nested = argument.type == "oneof" || argument.type == "block";
      if (nested == argument.arguments.empty()) Error("argument " + argument.name + ": only oneof and block have arguments, and need them");
      arguments.push_back(std::move(argument));
    }
    return arguments;
  }

  void CheckFields(const json& object, const std::set<std::string_view>& known) {
    for (const auto& [field, value] : object.items()) {
      if (!known.contains(field)) Error("unknown field " + field);
    }
  }

  std::string Text(const json& object, const char* field, bool needed) {
    const auto found = object.find(field);
    if (found == object.end()) {
      if (needed) Error(std::string("lacks ") + field);
      return "";
    }
    if (!found->is_string() || found->get_ref<const std::string&>().empty()) {
      Error(std::string(field) + " is not text");
      return "";
    }
    return found->get<std::string>();
  }

  int Number(const json& object, const char* field, bool needed) {
    const auto found = object.find(field);
    if (found == object.end()) {
      if (needed) Error(std::string("lacks ") + field);
      return 0;
    }
    if (!found->is_number_integer() || found->get<std::int64_t>() < -10000 || found->get<std::int64_t>() > 10000) {
      Error(std::string(field) + " is not a small integer");
      return 0;
    }
    return found->get<int>();
  }

  const json& List(const json& object, const char* field) {
    static const json kNone = json::array();
    const auto found = object.find(field);
    if (found == object.end()) return kNone;
    if (!found->is_array()) {
      Error(std::string(field) + " is not a list");
      return kNone;
    }
    return *found;
  }

  std::vector<std::string> Words(const json& object, const char* field, bool needed) {
    std::vector<std::string> words;
    if (needed && !object.contains(field)) Error(std::string("lacks ") + field);
    for (const json& word : List(object, field)) {
      if (word.is_string()) {
        words.push_back(word.get<std::string>());
      } else {
        Error(std::string(field) + " holds something that is not text");
      }
    }
    return words;
  }

  const std::string file_;
  Catalogue& catalogue_;
  std::string group_;
  std::string command_;   // the one being read, for errors
};

void SortAndFindDuplicates(std::vector<Command>& commands, std::vector<std::string>& errors) {
  std::ranges::sort(commands, {}, &Command::name);
  for (std::size_t i = 0; i < commands.size(); ++i) {
    if (i > 0 && commands[i].name == commands[i - 1].name) errors.push_back(commands[i].name + ": described twice");
    SortAndFindDuplicates(commands[i].subcommands, errors);
  }
}

}  // namespace

Catalogue ReadCatalogue(const std::vector<std::filesystem::path>& files) {
  Catalogue catalogue;
  for (const std::filesystem::path& file : files) FileReader(file.string(), catalogue).Read(file);
  SortAndFindDuplicates(catalogue.commands, catalogue.errors);
  return catalogue;
}

}  // namespace lsmkv::proto
