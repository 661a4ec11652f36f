#include "commands/slow_log.h"

#include "commands/command_bench.h"

namespace lsmkv {
namespace {

std::vector<std::string> ArgumentsOf(const std::vector<std::string>& words) {
  const std::vector<std::string_view> args(words.begin(), words.end());
  bool unknown_subcommand = false;
  const CommandSpec* const spec = FindCommand(args, &unknown_subcommand);
  REQUIRE(spec != nullptr);
  return SlowArguments(*spec, args);
}

std::vector<std::uint64_t> Ids(const SlowLog& log) {
  std::vector<std::uint64_t> ids;
  for (const SlowLog::Entry& entry : log.Newest(1000)) ids.push_back(entry->id);
  return ids;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("arguments are cut after 128 bytes and 32 of them", "[slowlog]") {
  CHECK(ArgumentsOf({"SET", "k", std::string(128, 'a')}) == Words{"SET", "k", std::string(128, 'a')});
  CHECK(ArgumentsOf({"set", "k", std::string(129, 'a')}) == Words{"set", "k", std::string(128, 'a') + "... (1 more bytes)"});
  CHECK(ArgumentsOf({"set", std::string("\0\r\n", 3), "v"}) == Words{"set", std::string("\0\r\n", 3), "v"});
  Words many(32, "x");
  many[0] = "del";
  CHECK(ArgumentsOf(many) == many);
  many.push_back("x");
  const Words cut = ArgumentsOf(many);
  CHECK(cut.size() == 32);
  CHECK(cut[30] == "x");
  CHECK(cut[31] == "... (2 more arguments)");
}

TEST_CASE("no password is in the slow log", "[slowlog]") {
  const std::string hidden = "(redacted)";
  CHECK(ArgumentsOf({"auth", "pw"}) == Words{"auth", hidden});
  CHECK(ArgumentsOf({"auth", "me", "pw"}) == Words{"auth", hidden, hidden});
  CHECK(ArgumentsOf({"auth", "me", "pw", "pw"}) == Words{"auth", hidden, hidden, hidden});
  CHECK(ArgumentsOf({"hello", "3", "AUTH", "me", "pw", "setname", "x"}) == Words{"hello", "3", "AUTH", hidden, hidden, "setname", "x"});
  CHECK(ArgumentsOf({"hello", "3", "setname", "auth", "auth", "me", "pw"}) == Words{"hello", "3", "setname", "auth", "auth", hidden, hidden});
  CHECK(ArgumentsOf({"hello", "3", "auth", "pw"}) == Words{"hello", "3", "auth", hidden});
  CHECK(ArgumentsOf({"config", "set", "timeout", "5", "RequirePass", "pw", "hz", "10"}) ==
        Words{"config", "set", "timeout", "5", "RequirePass", hidden, "hz", "10"});
  CHECK(ArgumentsOf({"config", "set", "masterauth", "pw"}) == Words{"config", "set", "masterauth", hidden});
  CHECK(ArgumentsOf({"config", "get", "requirepass"}) == Words{"config", "get", "requirepass"});
  CHECK(ArgumentsOf({"set", "requirepass", "pw"}) == Words{"set", "requirepass", "pw"});
}

TEST_CASE("ids go on, the newest entries stay", "[slowlog]") {
  SlowLog log;
  log.Add({});
  CHECK(log.size() == 0);   // it may keep none
  log.SetCapacity(3);
  for (int i = 0; i < 5; ++i) log.Add({});
  CHECK(Ids(log) == std::vector<std::uint64_t>{4, 3, 2});
  CHECK(log.Newest(2).size() == 2);
  log.SetCapacity(1);
  CHECK(Ids(log) == std::vector<std::uint64_t>{4});
  log.Clear();
  CHECK(log.size() == 0);
  log.Add({});
  CHECK(Ids(log) == std::vector<std::uint64_t>{5});
}

TEST_CASE("SLOWLOG's replies", "[slowlog]") {
  CommandBench bench;
  SlowLog& log = bench.server.slow_log();
  log.SetCapacity(100);
  CHECK(bench.Run({"slowlog", "get"}) == "*0\r\n");
  for (std::uint64_t i = 0; i < 12; ++i) log.Add({0, 1000 + i, 20'000 + i, {"get", "k"}, "127.0.0.1:5000", "me"});
  CHECK(bench.Run({"slowlog", "len"}) == ":12\r\n");
  CHECK(bench.Run({"slowlog", "get", "1"}) ==
        "*1\r\n*6\r\n:11\r\n:1011\r\n:20011\r\n*2\r\n$3\r\nget\r\n$1\r\nk\r\n$14\r\n127.0.0.1:5000\r\n$2\r\nme\r\n");
  CHECK(bench.Run({"slowlog", "get"}).starts_with("*10\r\n*6\r\n:11\r\n"));
  CHECK(bench.Run({"slowlog", "get", "-1"}).starts_with("*12\r\n"));
  CHECK(bench.Run({"slowlog", "get", "0"}) == "*0\r\n");
  CHECK(bench.Run({"slowlog", "get", "100000"}).starts_with("*12\r\n"));
  for (const char* const bad : {"-2", "x", "1.5", "99999999999999999999"}) {
    CHECK(bench.Run({"slowlog", "get", bad}) == "-ERR count should be greater than or equal to -1\r\n");
  }
  CHECK(bench.Run({"slowlog", "GET", "1", "2"}) == "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.\r\n");
  CHECK(bench.Run({"slowlog", "reset"}) == "+OK\r\n");
  CHECK(bench.Run({"slowlog", "len"}) == ":0\r\n");
  CHECK(bench.Run({"slowlog", "help"}).starts_with("*12\r\n"));
}

}  // namespace lsmkv
