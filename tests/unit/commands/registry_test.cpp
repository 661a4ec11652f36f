#include <algorithm>
#include <set>

#include "commands/command_bench.h"
#include "commands/command_doc.h"

namespace lsmkv {
namespace {

std::vector<const CommandSpec*> AllWithSubcommands() {
  std::vector<const CommandSpec*> all;
  for (const CommandSpec& spec : AllCommands()) {
    all.push_back(&spec);
    for (const CommandSpec& sub : spec.subcommands) all.push_back(&sub);
  }
  return all;
}

std::vector<std::string> Words(const CommandSpec& spec) {
  const std::string name(spec.name);
  const std::size_t bar = name.find('|');
  if (bar == std::string::npos) return {name};
  return {name.substr(0, bar), name.substr(bar + 1)};
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

TEST_CASE("every command is found under its name, in any case, and nothing else is", "[commands]") {
  for (const CommandSpec* spec : AllWithSubcommands()) {
    CAPTURE(spec->name);
    for (const bool upper : {false, true}) {
      std::vector<std::string> words = Words(*spec);
      if (upper) std::ranges::transform(words, words.begin(), Upper);
      const std::vector<std::string_view> args(words.begin(), words.end());
      bool unknown_subcommand = true;
      CHECK(FindCommand(args, &unknown_subcommand) == spec);
      CHECK_FALSE(unknown_subcommand);
    }
    for (std::string wrong : {std::string(spec->name) + "x", std::string(spec->name) + std::string(1, '\0'),
                              std::string(spec->name.substr(1)), "@" + std::string(spec->name)}) {
      const std::string_view args[] = {wrong};
      bool unknown_subcommand = false;
      const CommandSpec* const found = FindCommand(args, &unknown_subcommand);
      CHECK((found == nullptr || found->name == wrong));
    }
  }
  bool unknown_subcommand = false;
  CHECK(FindCommand({}, &unknown_subcommand) == nullptr);
  const std::string_view empty[] = {""};
  CHECK(FindCommand(empty, &unknown_subcommand) == nullptr);
  const std::string_view bad[] = {"client", "nosuch"};
  CHECK(FindCommand(bad, &unknown_subcommand) == nullptr);
  CHECK(unknown_subcommand);
}

TEST_CASE("the registry is complete, sorted, and its indexes are dense", "[commands]") {
  const std::vector<std::string_view> wanted = {
      "append", "auth", "bgsave", "client", "command", "config", "copy", "dbsize", "debug", "decr", "decrby", "del", "echo", "exists",
      "expire", "expireat", "expiretime", "flushall", "flushdb", "get", "getdel", "getex", "getrange", "getset", "hello", "incr",
      "incrby", "incrbyfloat", "info", "keys", "lastsave", "lcs", "lolwut", "lsm", "memory", "mget", "move", "mset", "msetnx", "object",
      "persist", "pexpire", "pexpireat", "pexpiretime", "ping", "psetex", "pttl", "quit", "randomkey", "rename", "renamenx", "reset",
      "save", "scan", "select", "set", "setex", "setnx", "setrange", "shutdown", "strlen", "substr", "swapdb", "time", "touch", "ttl",
      "type", "unlink"};
  std::vector<std::string_view> names;
  for (const CommandSpec& spec : AllCommands()) names.push_back(spec.name);
  CHECK(std::ranges::is_sorted(names));
  CHECK(std::ranges::includes(names, wanted));
  std::set<std::uint32_t> indexes;
  for (const CommandSpec* spec : AllWithSubcommands()) {
    CAPTURE(spec->name);
    CHECK(indexes.insert(spec->index).second);
    CHECK(spec->index < CommandIndexCount());
    CHECK((spec->handler != nullptr || !spec->subcommands.empty()));
    CHECK(spec->doc != nullptr);
    CHECK(((spec->flags & kWrite) == 0 || (spec->flags & kReadOnly) == 0));
  }
  CHECK(indexes.size() == CommandIndexCount());
}

TEST_CASE("a wrong number of arguments is refused in Redis's words", "[commands]") {
  CommandBench bench;
  for (const CommandSpec* spec : AllWithSubcommands()) {
    if (spec->arity == -1) continue;                       // any number fits
    CAPTURE(spec->name);
    std::vector<std::string> words = Words(*spec);
    if (spec->arity == 2 || (spec->arity == 1)) {
      words.resize(static_cast<std::size_t>(spec->arity) + 1, "x");
    } else {
      words.resize(std::max<std::size_t>(words.size(), static_cast<std::size_t>(std::abs(spec->arity)) - 1), "x");
    }
    if (ArityFits(*spec, words.size())) continue;          // a subcommand that needs nothing but its name
    CHECK(bench.Run(words) == "-ERR wrong number of arguments for '" + std::string(spec->name) + "' command\r\n");
  }
}

TEST_CASE("what is no command is refused in Redis's words", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"foo", "a", "b"}) == "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n");
  CHECK(bench.Run({"foo"}) == "-ERR unknown command 'foo', with args beginning with: \r\n");
  CHECK(bench.Run({"client", "foo"}) == "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n");
  resp::OutputBuffer out;
  resp::Writer reply(out, 2);
  const std::string_view alone[] = {"CLIENT"};
  ReplyUnknownSubcommand(reply, alone);                    // the dispatcher may come here with a container alone
  CHECK(out.view() == "-ERR wrong number of arguments for 'client' command\r\n");
  const std::string long_name(200, 'n');
  const std::string long_arg(200, 'a');
  CHECK(bench.Run({long_name, long_arg, "b"}) ==
        "-ERR unknown command '" + std::string(128, 'n') + "', with args beginning with: '" + std::string(128, 'a') + "' \r\n");
}

TEST_CASE("COMMAND INFO has Redis 7's shape", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"command", "info", "get", "nosuch"}) ==
        "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n*1\r\n"
        "*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n"
        "$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\n"
        "keystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n$-1\r\n");
  CHECK(bench.Run({"command", "info", "get|x"}) == "*1\r\n$-1\r\n");
  CHECK(bench.Run({"command", "info", "set"}).find("*8\r\n$5\r\nnotes\r\n$") != std::string::npos);
  CHECK(bench.Run({"command", "info", "getex"}).find("*8\r\n$5\r\nnotes\r\n$") != std::string::npos);
  bench.client.protocol = 3;
  CHECK(bench.Run({"command", "info", "client|kill"}) ==
        "*1\r\n*10\r\n$11\r\nclient|kill\r\n:-3\r\n~4\r\n+admin\r\n+noscript\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n~4\r\n+@admin\r\n"
        "+@slow\r\n+@dangerous\r\n+@connection\r\n~0\r\n~0\r\n~0\r\n");
}

TEST_CASE("COMMAND GETKEYS finds the keys, and how they are used", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"command", "getkeys", "mset", "a", "1", "b", "2"}) == "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  CHECK(bench.Run({"command", "getkeys", "copy", "a", "b"}) == "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  CHECK(bench.Run({"command", "getkeys", "object", "encoding", "k"}) == "*1\r\n$1\r\nk\r\n");
  CHECK(bench.Run({"command", "getkeys", "ping", "a"}) == "-ERR The command has no key arguments\r\n");
  CHECK(bench.Run({"command", "getkeys", "nosuch"}) == "-ERR Invalid command specified\r\n");
  CHECK(bench.Run({"command", "getkeys", "get"}) == "-ERR Invalid number of arguments specified for command\r\n");
  CHECK(bench.Run({"command", "getkeysandflags", "set", "a", "b"}) == "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n");
  CHECK(bench.Run({"command", "getkeysandflags", "set", "a", "b", "get"}) ==
        "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n");
}

TEST_CASE("COMMAND LIST, COUNT and DOCS", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"command", "count"}) == ":" + std::to_string(AllCommands().size()) + "\r\n");
  CHECK(bench.Run({"command", "list", "filterby", "pattern", "lsm|f*"}) == "*1\r\n$9\r\nlsm|flush\r\n");
  CHECK(bench.Run({"command", "list", "filterby", "module", "x"}) == "*0\r\n");
  CHECK(bench.Run({"command", "list", "filterby", "aclcat", "nosuch"}) == "*0\r\n");
  CHECK(bench.Run({"command", "list", "foo"}) == "-ERR syntax error\r\n");
  CHECK(bench.Run({"command", "docs", "nosuch"}) == "*0\r\n");
  bench.client.protocol = 3;
  const std::string docs = bench.Run({"command", "docs", "GET"});
  CHECK(docs.starts_with("%1\r\n$3\r\nget\r\n%5\r\n$7\r\nsummary\r\n"));
  CHECK(docs.ends_with("$9\r\narguments\r\n*1\r\n%4\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n$12\r\ndisplay_text\r\n$3\r\nkey\r\n"
                       "$14\r\nkey_spec_index\r\n:0\r\n"));
  const std::string set = bench.Run({"command", "docs", "set"});
  CHECK(set.starts_with("%1\r\n$3\r\nset\r\n%6\r\n"));
  CHECK(set.find("$7\r\nhistory\r\n~4\r\n*2\r\n$6\r\n2.6.12\r\n") != std::string::npos);
  CHECK(bench.Run({"command"}).starts_with("*" + std::to_string(AllCommands().size()) + "\r\n"));
}

TEST_CASE("what may take hours has threads of its own", "[commands]") {
  for (const char* const subcommand : {"compact", "ingest"}) {
    const std::string_view words[] = {"lsm", subcommand};
    bool unknown = false;
    CHECK(FindCommand(words, &unknown)->runs_on == RunsOn::kUpkeepPool);
  }
}

}  // namespace lsmkv
