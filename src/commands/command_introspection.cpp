// COMMAND: the registry as clients see it. Shapes and order of fields are Redis 7.2's.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/glob.h"
#include "commands/command_doc.h"
#include "commands/command_flags.h"
#include "commands/replies.h"

namespace lsmkv {
namespace {

constexpr std::string_view kCommandHelp[] = {
    "(no subcommand)",
    "    Return details about all Redis commands.",
    "COUNT",
    "    Return the total number of commands in this Redis server.",
    "LIST",
    "    Return a list of all commands in this Redis server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "GETKEYS <full-command>",
    "    Return the keys from a full Redis command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys and the access flags from a full Redis command.",
};

void SimpleSet(resp::Writer& reply, std::span<const std::string_view> words, std::string_view prefix = "") {
  reply.Set(words.size());
  for (const std::string_view word : words) reply.SimpleString(std::string(prefix).append(word));
}

// "client|list", in any case; null when there is none.
const CommandSpec* FindByName(std::string_view name) {
  bool unknown_subcommand = false;
  const std::size_t bar = name.find('|');
  if (bar == std::string_view::npos) return FindCommand(std::span(&name, 1), &unknown_subcommand);
  const std::string_view words[] = {name.substr(0, bar), name.substr(bar + 1)};
  const CommandSpec* const spec = FindCommand(words, &unknown_subcommand);
  return spec != nullptr && spec->name.size() == name.size() ? spec : nullptr;   // not "get|x", which is GET
}

void Field(resp::Writer& reply, std::string_view name, std::string_view value) {
  reply.Bulk(name);
  reply.Bulk(value);
}

// ---- COMMAND INFO

// Redis counts a key spec's last key from its first one, unless it is counted from the end.
std::int64_t LastKeyFromFirst(const KeySpec& keys) { return keys.last < 0 ? keys.last : keys.last - keys.first; }

void ReplyKeySpec(resp::Writer& reply, const KeySpec& keys) {
  reply.Map(keys.notes.empty() ? 3 : 4);
  if (!keys.notes.empty()) Field(reply, "notes", keys.notes);
  reply.Bulk("flags");
  SimpleSet(reply, keys.flags);
  reply.Bulk("begin_search");
  reply.Map(2);
  reply.Bulk("type");
  reply.Bulk("index");
  reply.Bulk("spec");
  reply.Map(1);
  reply.Bulk("index");
  reply.Integer(keys.first);
  reply.Bulk("find_keys");
  reply.Map(2);
  reply.Bulk("type");
  reply.Bulk("range");
  reply.Bulk("spec");
  reply.Map(3);
  reply.Bulk("lastkey");
  reply.Integer(LastKeyFromFirst(keys));
  reply.Bulk("keystep");
  reply.Integer(keys.step);
  reply.Bulk("limit");
  reply.Integer(0);
}

void ReplyInfo(resp::Writer& reply, const CommandSpec& spec) {
  constexpr std::size_t kFields = 10;
  reply.Array(kFields);
  reply.Bulk(spec.name);
  reply.Integer(spec.arity);
  std::vector<std::string_view> flags;
  for (const FlagName& flag : kFlagNames) {
    if (spec.flags & flag.bit) flags.push_back(flag.name);
  }
  SimpleSet(reply, flags);
  reply.Integer(spec.keys.first);
  reply.Integer(spec.keys.last);
  reply.Integer(spec.keys.step);
  SimpleSet(reply, spec.doc->acl_categories, "@");
  reply.Set(spec.doc->tips.size());
  for (const std::string_view tip : spec.doc->tips) reply.Bulk(tip);
  reply.Set(spec.doc->key_specs.size());
  for (const KeySpec& keys : spec.doc->key_specs) ReplyKeySpec(reply, keys);
  spec.subcommands.empty() ? reply.Set(0) : reply.Array(spec.subcommands.size());
  for (const CommandSpec& sub : spec.subcommands) ReplyInfo(reply, sub);
}

// ---- COMMAND DOCS

void ReplyArguments(resp::Writer& reply, std::span<const ArgumentDoc> arguments);

void ReplyArgument(resp::Writer& reply, const ArgumentDoc& argument) {
  const bool shows_text = argument.type != "oneof" && argument.type != "block" && argument.type != "pure-token";
  const bool has_flags = argument.optional || argument.multiple || argument.multiple_token;
  reply.Map(2u + shows_text + (argument.key_spec >= 0) + !argument.token.empty() + !argument.since.empty() + has_flags +
            !argument.arguments.empty());
  Field(reply, "name", argument.name);
  Field(reply, "type", argument.type);
  if (shows_text) Field(reply, "display_text", argument.name);
  if (argument.key_spec >= 0) {
    reply.Bulk("key_spec_index");
    reply.Integer(argument.key_spec);
  }
  if (!argument.token.empty()) Field(reply, "token", argument.token);
  if (!argument.since.empty()) Field(reply, "since", argument.since);
  if (has_flags) {
    std::vector<std::string_view> flags;
    if (argument.optional) flags.push_back("optional");
    if (argument.multiple) flags.push_back("multiple");
    if (argument.multiple_token) flags.push_back("multiple_token");
    reply.Bulk("flags");
    SimpleSet(reply, flags);
  }
  if (!argument.arguments.empty()) {
    reply.Bulk("arguments");
    ReplyArguments(reply, argument.arguments);
  }
}

void ReplyArguments(resp::Writer& reply, std::span<const ArgumentDoc> arguments) {
  reply.Array(arguments.size());
  for (const ArgumentDoc& argument : arguments) ReplyArgument(reply, argument);
}

void ReplyDoc(resp::Writer& reply, const CommandSpec& spec) {
  const CommandDoc& doc = *spec.doc;
  const bool deprecated = !doc.deprecated_since.empty();
  reply.Map(4u + (deprecated ? 3 : 0) + !doc.history.empty() + !doc.arguments.empty() + !spec.subcommands.empty());
  Field(reply, "summary", doc.summary);
  Field(reply, "since", doc.since);
  Field(reply, "group", doc.group);
  Field(reply, "complexity", doc.complexity);
  if (deprecated) {
    constexpr std::string_view kDeprecated[] = {"deprecated"};
    reply.Bulk("doc_flags");
    SimpleSet(reply, kDeprecated);
    Field(reply, "deprecated_since", doc.deprecated_since);
    Field(reply, "replaced_by", doc.replaced_by);
  }
  if (!doc.history.empty()) {
    reply.Bulk("history");
    reply.Set(doc.history.size());
    for (const HistoryDoc& entry : doc.history) {
      reply.Array(2);
      reply.Bulk(entry.since);
      reply.Bulk(entry.change);
    }
  }
  if (!doc.arguments.empty()) {
    reply.Bulk("arguments");
    ReplyArguments(reply, doc.arguments);
  }
  if (!spec.subcommands.empty()) {
    reply.Bulk("subcommands");
    reply.Map(spec.subcommands.size());
    for (const CommandSpec& sub : spec.subcommands) {
      reply.Bulk(sub.name);
      ReplyDoc(reply, sub);
    }
  }
}

// ---- COMMAND GETKEYS

struct FoundKey {
  std::string_view key;
  std::span<const std::string_view> flags;
};

// SET reads the old value only when it is asked for it; the same goes for any command whose spec says "variable_flags".
std::span<const std::string_view> FlagsInUse(const KeySpec& keys, std::span<const std::string_view> command) {
  static constexpr std::string_view kReads[] = {"RW", "access", "update"};
  static constexpr std::string_view kOverwrites[] = {"OW", "update"};
  if (std::ranges::find(keys.flags, "variable_flags") == keys.flags.end()) return keys.flags;
  const auto options = command.subspan(std::min<std::size_t>(3, command.size()));
  const bool reads = std::ranges::any_of(options, [](std::string_view word) { return EqualsIgnoringCase(word, "get"); });
  return reads ? std::span<const std::string_view>(kReads) : std::span<const std::string_view>(kOverwrites);
}

// The keys of a whole command whose number of arguments fits.
std::vector<FoundKey> FindKeys(const CommandSpec& spec, std::span<const std::string_view> command) {
  std::vector<FoundKey> found;
  const auto count = static_cast<std::ptrdiff_t>(command.size());
  for (const KeySpec& keys : spec.doc->key_specs) {
    const std::ptrdiff_t last = std::min<std::ptrdiff_t>(keys.last < 0 ? count + keys.last : keys.last, count - 1);
    for (std::ptrdiff_t i = keys.first; i <= last; i += keys.step) {
      found.push_back({command[static_cast<std::size_t>(i)], FlagsInUse(keys, command)});
    }
  }
  return found;
}

// Nothing when an error was replied.
std::optional<std::vector<FoundKey>> FindKeysOrReply(CommandContext& context) {
  const auto command = context.args.subspan(2);
  bool unknown_subcommand = false;
  const CommandSpec* const spec = FindCommand(command, &unknown_subcommand);
  if (spec == nullptr) return Fail(context, "ERR Invalid command specified"), std::nullopt;
  if (spec->doc->key_specs.empty()) return Fail(context, "ERR The command has no key arguments"), std::nullopt;
  if (!ArityFits(*spec, command.size())) {
    return Fail(context, "ERR Invalid number of arguments specified for command"), std::nullopt;
  }
  return FindKeys(*spec, command);
}

// ---- COMMAND LIST

enum class ListBy { kAll, kModule, kCategory, kPattern };

bool Listed(const CommandSpec& spec, ListBy by, std::string_view value) {
  switch (by) {
    case ListBy::kAll: return true;
    case ListBy::kModule: return false;          // there are none
    case ListBy::kCategory:
      return std::ranges::any_of(spec.doc->acl_categories, [&](std::string_view name) { return EqualsIgnoringCase(name, value); });
    case ListBy::kPattern: return GlobMatch(value, spec.name, true);
  }
  return false;
}

void CollectListed(std::span<const CommandSpec> specs, ListBy by, std::string_view value, std::vector<std::string_view>& names) {
  for (const CommandSpec& spec : specs) {
    if (Listed(spec, by, value)) names.push_back(spec.name);
    CollectListed(spec.subcommands, by, value, names);
  }
}

}  // namespace

Outcome HandleCommand(CommandContext& context) {
  context.reply.Array(AllCommands().size());
  for (const CommandSpec& spec : AllCommands()) ReplyInfo(context.reply, spec);
  return Outcome::kDone;
}

Outcome HandleCommandInfo(CommandContext& context) {
  const auto names = context.args.subspan(2);
  if (names.empty()) return HandleCommand(context);
  if (names.size() > kMostNamesInOne) return Fail(context, TooManyNames("command names"));
  context.reply.Array(names.size());
  for (const std::string_view name : names) {
    const CommandSpec* const spec = FindByName(name);
    spec == nullptr ? context.reply.Null() : ReplyInfo(context.reply, *spec);
  }
  return Outcome::kDone;
}

Outcome HandleCommandDocs(CommandContext& context) {
  const auto names = context.args.subspan(2);
  if (names.size() > kMostNamesInOne) return Fail(context, TooManyNames("command names"));
  std::vector<const CommandSpec*> specs;
  for (const std::string_view name : names) {
    const CommandSpec* const spec = FindByName(name);
    if (spec != nullptr && std::ranges::find(specs, spec) == specs.end()) specs.push_back(spec);       // a map has each name once
  }
  if (context.args.size() == 2) {
    for (const CommandSpec& spec : AllCommands()) specs.push_back(&spec);
  }
  context.reply.Map(specs.size());
  for (const CommandSpec* const spec : specs) {
    context.reply.Bulk(spec->name);
    ReplyDoc(context.reply, *spec);
  }
  return Outcome::kDone;
}

Outcome HandleCommandCount(CommandContext& context) {
  context.reply.Integer(static_cast<std::int64_t>(AllCommands().size()));
  return Outcome::kDone;
}

Outcome HandleCommandList(CommandContext& context) {
  const auto args = context.args;
  ListBy by = ListBy::kAll;
  std::string_view value;
  if (args.size() != 2) {
    if (args.size() != 5 || !EqualsIgnoringCase(args[2], "filterby")) return Fail(context, kSyntaxError);
    if (EqualsIgnoringCase(args[3], "module")) by = ListBy::kModule;
    if (EqualsIgnoringCase(args[3], "aclcat")) by = ListBy::kCategory;
    if (EqualsIgnoringCase(args[3], "pattern")) by = ListBy::kPattern;
    if (by == ListBy::kAll) return Fail(context, kSyntaxError);
    value = args[4];
  }
  std::vector<std::string_view> names;
  CollectListed(AllCommands(), by, value, names);
  context.reply.Array(names.size());
  for (const std::string_view name : names) context.reply.Bulk(name);
  return Outcome::kDone;
}

Outcome HandleCommandGetkeys(CommandContext& context) {
  const auto keys = FindKeysOrReply(context);
  if (!keys) return Outcome::kDone;
  context.reply.Array(keys->size());
  for (const FoundKey& found : *keys) context.reply.Bulk(found.key);
  return Outcome::kDone;
}

Outcome HandleCommandGetkeysandflags(CommandContext& context) {
  const auto keys = FindKeysOrReply(context);
  if (!keys) return Outcome::kDone;
  context.reply.Array(keys->size());
  for (const FoundKey& found : *keys) {
    context.reply.Array(2);
    context.reply.Bulk(found.key);
    SimpleSet(context.reply, found.flags);
  }
  return Outcome::kDone;
}

Outcome HandleCommandHelp(CommandContext& context) {
  ReplyHelp(context.reply, context.args[0], kCommandHelp);
  return Outcome::kDone;
}

}  // namespace lsmkv
