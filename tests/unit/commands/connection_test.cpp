#include "commands/connection.h"

#include "commands/command_bench.h"

namespace lsmkv {

TEST_CASE("PING, ECHO and SELECT answer as Redis does", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"ping"}) == "+PONG\r\n");
  CHECK(bench.Run({"PING", "a b"}) == "$3\r\na b\r\n");
  CHECK(bench.Run({"ping", "a", "b"}) == "-ERR wrong number of arguments for 'ping' command\r\n");
  CHECK(bench.Run({"echo", "x"}) == "$1\r\nx\r\n");
  CHECK(bench.Run({"select", "15"}) == "+OK\r\n");
  CHECK(bench.client.database == 15);
  CHECK(bench.Run({"select", "16"}) == "-ERR DB index is out of range\r\n");
  CHECK(bench.Run({"select", "-1"}) == "-ERR DB index is out of range\r\n");
  CHECK(bench.Run({"select", "abc"}) == "-ERR value is not an integer or out of range\r\n");
  CHECK(bench.Run({"select", "99999999999"}) == "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n");
  CHECK(bench.client.database == 15);
}

TEST_CASE("AUTH lets in who knows the password", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"auth", "x"}) ==
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is "
        "correct?\r\n");
  CHECK(bench.Run({"auth", "default", "x"}) == "+OK\r\n");
  CHECK(bench.Run({"auth", "foo", "x"}) == "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  CHECK(bench.Run({"auth", "a", "b", "c"}) == "-ERR syntax error\r\n");

  REQUIRE(bench.Run({"config", "set", "requirepass", "secret"}) == "+OK\r\n");
  bench.client.authenticated = false;
  for (const char* wrong : {"", "s", "secre", "secrets", "secretsecret", "SECRET"}) {
    CHECK(bench.Run({"auth", wrong}) == "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    CHECK_FALSE(bench.client.authenticated);
  }
  CHECK(bench.Run({"auth", "secret"}) == "+OK\r\n");
  CHECK(bench.client.authenticated);
  CHECK(bench.Run({"reset"}) == "+RESET\r\n");
  CHECK_FALSE(bench.client.authenticated);
  CHECK(bench.Run({"hello", "3"}).starts_with("-NOAUTH HELLO must be called"));
  CHECK(bench.client.protocol == 2);
  CHECK(bench.Run({"hello", "3", "auth", "default", "wrong"}).starts_with("-WRONGPASS"));
  CHECK(bench.Run({"hello", "3", "auth", "default", "secret", "setname", "me"}).starts_with("%7\r\n"));
  CHECK(bench.client.name == "me");
  CHECK(bench.client.protocol == 3);
}

TEST_CASE("HELLO answers in the protocol it chooses", "[commands]") {
  CommandBench bench;
  const auto reply = [](const std::string& head, int protocol) {
    return head + "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n$5\r\nproto\r\n:" + std::to_string(protocol) +
           "\r\n$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";
  };
  CHECK(bench.Run({"hello"}) == reply("*14\r\n", 2));
  CHECK(bench.Run({"hello", "3"}) == reply("%7\r\n", 3));
  CHECK(bench.Run({"hello", "2"}) == reply("*14\r\n", 2));
  CHECK(bench.Run({"hello", "abc"}) == "-ERR Protocol version is not an integer or out of range\r\n");
  CHECK(bench.Run({"hello", "4"}) == "-NOPROTO unsupported protocol version\r\n");
  CHECK(bench.Run({"hello", "2", "foo"}) == "-ERR Syntax error in HELLO option 'foo'\r\n");
  CHECK(bench.Run({"hello", "2", "auth", "a"}) == "-ERR Syntax error in HELLO option 'auth'\r\n");
  CHECK(bench.Run({"hello", "3", "setname", "a b"}) == "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  CHECK(bench.client.protocol == 2);
}

TEST_CASE("names that every CLIENT LIST would copy, and requests that ask for one document very often, have a bound", "[commands]") {
  CommandBench bench;
  const std::string most(kMostClientNameBytes, 'n');
  CHECK(bench.Run({"client", "setname", most}) == "+OK\r\n");
  CHECK(bench.Run({"client", "setname", most + "n"}) == "-ERR Client names cannot be longer than 4096 bytes.\r\n");
  CHECK(bench.Run({"hello", "3", "setname", most + "n"}) == "-ERR Client names cannot be longer than 4096 bytes.\r\n");
  CHECK(bench.Run({"client", "setinfo", "LIB-NAME", most + "n"}) == "-ERR LIB-NAME cannot be longer than 4096 bytes.\r\n");
  CHECK(bench.client.name == most);

  const auto many = [&](std::vector<std::string> words, const std::string& word) {
    words.resize(words.size() + kMostNamesInOne, word);
    const std::string fits = bench.Run(words);
    words.push_back(word);
    CHECK(bench.Run(words).ends_with(" in one call; ask in several\r\n"));
    return fits;
  };
  const std::string once = bench.Run({"command", "docs", "client"});
  CHECK(many({"command", "docs"}, "client") == once);
  CHECK(many({"command", "info"}, "no-such-command").starts_with("*1024\r\n"));
  CHECK(many({"config", "get"}, "save*") == bench.Run({"config", "get", "save*"}));
  CHECK(many({"latency", "histogram"}, "none").starts_with("*0\r\n"));
}

TEST_CASE("QUIT closes after its reply, RESET makes the connection new", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"quit"}) == "+OK\r\n");
  CHECK(bench.outcome == Outcome::kCloseAfterReply);
  REQUIRE(bench.Run({"client", "setname", "x"}) == "+OK\r\n");
  REQUIRE(bench.Run({"client", "no-touch", "on"}) == "+OK\r\n");
  REQUIRE(bench.Run({"select", "3"}) == "+OK\r\n");
  bench.client.protocol = 3;
  CHECK(bench.Run({"reset"}) == "+RESET\r\n");
  CHECK(bench.client.name.empty());
  CHECK(bench.client.database == 0);
  CHECK(bench.client.protocol == 2);
  CHECK_FALSE(bench.client.no_touch);
}

TEST_CASE("CLIENT's small subcommands", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"client", "id"}) == ":7\r\n");
  CHECK(bench.Run({"client", "getname"}) == "$-1\r\n");
  CHECK(bench.Run({"client", "setname", "a b"}) == "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  CHECK(bench.Run({"client", "setname", "me"}) == "+OK\r\n");
  CHECK(bench.Run({"client", "getname"}) == "$2\r\nme\r\n");
  CHECK(bench.Run({"client", "setinfo", "LIB-NAME", "redis-py"}) == "+OK\r\n");
  CHECK(bench.Run({"client", "setinfo", "lib-ver", "1 2"}) == "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n");
  CHECK(bench.Run({"client", "setinfo", "foo", "1"}) == "-ERR Unrecognized option 'foo'\r\n");
  CHECK(bench.client.lib_name == "redis-py");
  CHECK(bench.Run({"client", "no-evict", "foo"}) == "-ERR syntax error\r\n");
  CHECK(bench.Run({"client", "no-evict", "ON"}) == "+OK\r\n");
  CHECK(bench.client.no_evict);
  CHECK(bench.Run({"client", "reply", "foo"}) == "-ERR syntax error\r\n");
  CHECK(bench.Run({"client", "reply", "skip"}).empty());
  CHECK(bench.outcome == Outcome::kNoReply);
  CHECK(bench.client.reply_mode == ReplyMode::kSkipNext);
  CHECK(bench.Run({"client", "reply", "off"}).empty());
  CHECK(bench.Run({"client", "reply", "skip"}).empty());
  CHECK(bench.client.reply_mode == ReplyMode::kOff);          // SKIP does not end OFF
  CHECK(bench.Run({"client", "reply", "on"}) == "+OK\r\n");
  CHECK(bench.Run({"client", "help"}).starts_with("*"));
}

TEST_CASE("CLIENT PAUSE", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"client", "pause", "x"}) == "-ERR timeout is not an integer or out of range\r\n");
  CHECK(bench.Run({"client", "pause", "-1"}) == "-ERR timeout is negative\r\n");
  CHECK(bench.Run({"client", "pause", "9223372036854775807"}) == "-ERR timeout is out of range\r\n");
  CHECK(bench.Run({"client", "pause", "1", "foo"}) == "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
  CHECK(bench.Run({"client", "Pause", "1", "write", "x"}) ==
        "-ERR unknown subcommand or wrong number of arguments for 'Pause'. Try CLIENT HELP.\r\n");
  CHECK(bench.Run({"client", "pause", "500", "write"}) == "+OK\r\n");
  CHECK(bench.server.paused_for_ms == 500);
  CHECK(bench.server.pause_mode == PauseMode::kWrite);
  CHECK(bench.Run({"client", "unpause"}) == "+OK\r\n");
  CHECK(bench.server.paused_for_ms == 0);
}

TEST_CASE("CLIENT LIST and INFO show Redis 7.2's line", "[commands]") {
  CommandBench bench;
  bench.client.created_ms = bench.now_ms - 10'000;
  bench.client.last_active_ms = bench.now_ms;
  bench.client.last_command = "client|info";
  const std::string line =
      "id=7 addr=127.0.0.1:5000 laddr=127.0.0.1:6379 fd=8 name= age=10 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 "
      "qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=client|info user=default redir=-1 "
      "resp=2 lib-name= lib-ver=\n";
  CHECK(bench.Run({"client", "info"}) == "$" + std::to_string(line.size()) + "\r\n" + line + "\r\n");
  bench.server.clients = {bench.server.Describe(bench.client)};
  CHECK(bench.Run({"client", "list"}) == "$" + std::to_string(line.size()) + "\r\n" + line + "\r\n");
  CHECK(bench.Run({"client", "list", "id", "1", "2"}).starts_with("$"));
  CHECK(bench.server.last_filter.ids == std::vector<std::uint64_t>{1, 2});
  CHECK(bench.Run({"client", "list", "id", "0"}) == "$0\r\n\r\n");
  CHECK(bench.Run({"client", "list", "id", "-1"}) == "$0\r\n\r\n");
  CHECK(bench.Run({"client", "list", "id", "7", "1", "7"}) == "$" + std::to_string(2 * line.size()) + "\r\n" + line + line + "\r\n");
  CHECK(bench.Run({"client", "list", "type", "SLAVE"}).starts_with("$"));
  CHECK(bench.server.last_filter.type == "replica");
  CHECK(bench.Run({"client", "list", "type", "foo"}) == "-ERR Unknown client type 'foo'\r\n");
  CHECK(bench.Run({"client", "list", "id", "x"}) == "-ERR Invalid client ID\r\n");
  CHECK(bench.Run({"client", "list", "id"}) == "-ERR syntax error\r\n");
  CHECK(bench.Run({"client", "list", "foo"}) == "-ERR syntax error\r\n");
}

TEST_CASE("CLIENT KILL takes its old form and its filters", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"client", "kill", "1.2.3.4:5"}) == "-ERR No such client\r\n");
  bench.server.kill_count = 1;
  CHECK(bench.Run({"client", "kill", "1.2.3.4:5"}) == "+OK\r\n");
  CHECK(bench.server.last_filter.address == "1.2.3.4:5");
  CHECK_FALSE(bench.server.last_filter.skip_id);
  CHECK(bench.Run({"client", "kill", "id", "9", "addr", "a:1", "laddr", "b:2", "user", "default", "type", "normal"}) == ":1\r\n");
  CHECK(bench.server.last_filter.id == 9);
  CHECK(bench.server.last_filter.skip_id == 7);
  CHECK(bench.Run({"client", "kill", "id", "9", "skipme", "no"}) == ":1\r\n");
  CHECK_FALSE(bench.server.last_filter.skip_id);
  CHECK(bench.Run({"client", "kill", "id", "x"}) == "-ERR client-id should be greater than 0\r\n");
  CHECK(bench.Run({"client", "kill", "type", "foo"}) == "-ERR Unknown client type 'foo'\r\n");
  CHECK(bench.Run({"client", "kill", "user", "nosuch"}) == "-ERR No such user 'nosuch'\r\n");
  CHECK(bench.Run({"client", "kill", "foo", "bar"}) == "-ERR syntax error\r\n");
  CHECK(bench.Run({"client", "kill", "skipme", "yes", "id"}) == "-ERR syntax error\r\n");
}

}  // namespace lsmkv
