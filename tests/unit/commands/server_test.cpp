#include "commands/command_bench.h"
#include "commands/lsm_fields.h"

namespace lsmkv {

TEST_CASE("CONFIG GET takes several patterns and names each directive once", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"config", "get", "nosuch"}) == "*0\r\n");
  // A name comes back as it was written, what a pattern finds as it is called; as Redis.
  CHECK(bench.Run({"config", "get", "PORT", "port", "p*rt", "databases"}) ==
        "*4\r\n$4\r\nPORT\r\n$4\r\n6379\r\n$9\r\ndatabases\r\n$2\r\n16\r\n");
  CHECK(bench.Run({"config", "get", "P?RT"}) == "*2\r\n$4\r\nport\r\n$4\r\n6379\r\n");
  CHECK(bench.Run({"config", "get", "AppendFsync"}) == "*2\r\n$11\r\nAppendFsync\r\n$8\r\neverysec\r\n");
  bench.client.protocol = 3;
  CHECK(bench.Run({"config", "get", "port"}) == "%1\r\n$4\r\nport\r\n$4\r\n6379\r\n");
}

TEST_CASE("CONFIG SET changes all of its directives or none", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"config", "set", "a"}) == "-ERR wrong number of arguments for 'config|set' command\r\n");
  CHECK(bench.Run({"config", "set", "a", "b", "c"}) == "-ERR syntax error\r\n");
  CHECK(bench.Run({"config", "set", "timeout", "5", "nosuch", "1"}) ==
        "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n");
  CHECK(bench.server.config().Current()->timeout_seconds == 0);
  CHECK(bench.Run({"config", "set", "timeout", "5", "maxclients", "77"}) == "+OK\r\n");
  CHECK(bench.server.applied == std::vector<std::string>{"timeout", "maxclients"});
  CHECK(bench.server.config().Current()->timeout_seconds == 5);

  bench.server.apply_result = Status::InvalidArgument("no");
  CHECK(bench.Run({"config", "set", "timeout", "9"}) == "-ERR CONFIG SET failed - no\r\n");
  CHECK(bench.server.config().Current()->timeout_seconds == 5);
  CHECK(bench.Run({"config", "rewrite"}) == "-ERR The server is running without a config file\r\n");
  CHECK(bench.Run({"config", "resetstat"}) == "+OK\r\n");
  CHECK(bench.server.resets == 1);
}

TEST_CASE("INFO passes its sections on in lower case", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"info"}) == "$1\r\n#\r\n");
  CHECK(bench.Run({"INFO", "Server", "LSM"}) == "$12\r\n# server lsm\r\n");
  bench.client.protocol = 3;
  CHECK(bench.Run({"info"}) == "=5\r\ntxt:#\r\n");
}

TEST_CASE("SAVE, BGSAVE and LASTSAVE", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"save"}) == "+OK\r\n");
  CHECK(bench.Run({"bgsave"}) == "+Background saving started\r\n");
  CHECK(bench.Run({"bgsave", "schedule"}) == "+Background saving started\r\n");
  CHECK(bench.server.saves == 3);
  CHECK(bench.Run({"bgsave", "foo"}) == "-ERR syntax error\r\n");
  CHECK(bench.Run({"lastsave"}) == ":1234\r\n");
  bench.server.saving = true;
  CHECK(bench.Run({"save"}) == "-ERR Background save already in progress\r\n");
  CHECK(bench.Run({"bgsave"}) == "-ERR Background save already in progress\r\n");
  bench.server.saving = false;
  bench.server.save_result = Status::NoSpace("disk full");
  CHECK(bench.Run({"save"}) == "-MISCONF No space left on the disk; writes are refused until there is: disk full\r\n");
}

TEST_CASE("SHUTDOWN's options", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"shutdown", "foo"}) == "-ERR syntax error\r\n");
  CHECK(bench.Run({"shutdown", "abort"}) == "-ERR No shutdown in progress.\r\n");
  CHECK_FALSE(bench.server.shutdown_requested);
  CHECK(bench.Run({"shutdown", "nosave"}).empty());
  CHECK(bench.server.shutdown_requested);
}

TEST_CASE("DEBUG SLEEP answers later, and only sleeps", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"debug", "sleep", "0.5"}) == "+OK\r\n");
  CHECK(bench.outcome == Outcome::kDeferred);
  CHECK(bench.server.delayed == std::chrono::milliseconds(500));
  CHECK(bench.Run({"debug", "sleep", "-3"}) == "+OK\r\n");
  CHECK(bench.server.delayed.count() == 0);
  CHECK(bench.Run({"debug", "sleep", "x"}) == "-ERR value is not a valid float\r\n");
  CHECK(bench.Run({"debug", "foo"}) == "-ERR unknown subcommand or wrong number of arguments for 'foo'. Try DEBUG HELP.\r\n");
  CHECK(bench.Run({"time"}).starts_with("*2\r\n$10\r\n"));
  CHECK(bench.Run({"lolwut"}).starts_with("$"));
}

TEST_CASE("there are no functions: they can be cleared and listed, and not loaded", "[commands]") {
  CommandBench bench;
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{"flush"}, {"flush", "SYNC"}, {"flush", "async"}}) {
    std::vector<std::string> all{"function"};
    all.insert(all.end(), words.begin(), words.end());
    CHECK(bench.Run(all) == "+OK\r\n");
  }
  CHECK(bench.Run({"function", "flush", "now"}) == "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option\r\n");
  CHECK(bench.Run({"function", "flush", "sync", "sync"}) == "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option\r\n");
  CHECK(bench.Run({"function", "list"}) == "*0\r\n");
  CHECK(bench.Run({"function", "list", "withcode", "libraryname", "*"}) == "*0\r\n");
  CHECK(bench.Run({"function", "list", "libraryname"}) == "-ERR library name argument was not given\r\n");
  CHECK(bench.Run({"function", "list", "withcode", "withcode"}) == "-ERR Unknown argument withcode\r\n");
  CHECK(bench.Run({"function", "load", "x"}).starts_with("-ERR unknown subcommand 'load'."));
}

TEST_CASE("DEBUG answers what test suites ask", "[commands]") {
  CommandBench bench;
  const std::string unknown = "-ERR unknown subcommand or wrong number of arguments for '";
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"foo"}, {"object"}, {"sleep"}, {"set-active-expire"}, {"change-repl-id", "x"}, {"stringmatch-len", "1", "x"}, {"error"}, {"jmap"}}) {
    std::vector<std::string> all{"debug"};
    all.insert(all.end(), words.begin(), words.end());
    CHECK(bench.Run(all) == unknown + words[0] + "'. Try DEBUG HELP.\r\n");
  }
  CHECK(bench.Run({"debug", "set-active-expire", "0"}) == "+OK\r\n");
  CHECK(bench.Run({"debug", "change-repl-id"}) == "+OK\r\n");
  CHECK(bench.server.replication_ids == 1);
  CHECK(bench.Run({"debug", "reload"}) == "+OK\r\n");
  CHECK(bench.Run({"debug", "reload", "nosave", "NOFLUSH"}) == "+OK\r\n");
  CHECK(bench.Run({"debug", "reload", "foo"}) == "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.\r\n");
  CHECK(bench.Run({"debug", "loadaof"}) == "+OK\r\n");
  CHECK(bench.Run({"debug", "error", "MY error"}) == "-MY error\r\n");
  CHECK(bench.Run({"debug", "log", "a line"}) == "+OK\r\n");
  CHECK(bench.Run({"debug", "object", "k"}) == "-ERR no such key\r\n");
  CHECK(bench.Run({"debug", "digest"}) == "+" + std::string(40, '0') + "\r\n");
  CHECK(bench.Run({"debug", "digest-value"}) == "*0\r\n");
  CHECK(bench.Run({"set", "k", "12"}) == "+OK\r\n");
  CHECK(bench.Run({"set", "l", "12"}) == "+OK\r\n");
  CHECK(bench.Run({"debug", "object", "k"}).find(" refcount:1 encoding:int serializedlength:3 lru:0 lru_seconds_idle:0\r\n") != std::string::npos);
  CHECK(bench.Run({"debug", "digest"}) != "+" + std::string(40, '0') + "\r\n");
  const std::string values = bench.Run({"debug", "digest-value", "k", "l", "nothing"});
  REQUIRE(values.size() == 4 + 3 * 43);
  CHECK(values.substr(4, 43) == values.substr(4 + 43, 43));
  CHECK(values.substr(4 + 86) == "+" + std::string(40, '0') + "\r\n");
}

TEST_CASE("LSM's figures have the names users know", "[commands]") {
  const auto names = [](const LsmFields& fields) {
    std::vector<std::string> list;
    for (const auto& [name, value] : fields) list.push_back(name);
    return list;
  };
  LevelInfo level;
  CHECK(names(LevelFields(level)) ==
        std::vector<std::string>{"level", "sstables", "entries", "tombstones", "size_bytes", "max_entries", "max_size_bytes",
                                 "soft_max_entries", "soft_max_size_bytes", "max_sstables", "soft_max_sstables", "score", "compacting"});
  level.level = 1;
  CHECK(LevelFields(level).size() == 11);
  EngineStats stats;
  stats.levels.resize(2);
  stats.levels[0].sstables = 3;
  stats.levels[0].size_bytes = 30;
  stats.levels[1].level = 1;
  stats.levels[1].sstables = 4;
  stats.levels[1].size_bytes = 40;
  const LsmFields fields = StatsFields(stats);
  const std::vector<std::string> list = names(fields);
  CHECK(std::vector<std::string>(list.begin(), list.begin() + 7) ==
        std::vector<std::string>{"num_sstables", "total_sstable_size_bytes", "num_levels", "l0_sstables", "l0_size_bytes", "l1_sstables",
                                 "l1_size_bytes"});
  CHECK(LsmText(fields[0].second) == "7");
  CHECK(LsmText(fields[1].second) == "70");
  CHECK(LsmText(LsmValue{1.5}) == "1.5");
  CHECK(LsmText(LsmValue{true}) == "1");
}

TEST_CASE("LSM's arguments are checked before the tree is asked", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"lsm", "compact"}) == "+OK\r\n");
  CHECK(bench.Run({"lsm", "compact", "to", "3"}) == "+OK\r\n");
  CHECK(bench.Run({"lsm", "compact", "level", "0"}) == "+OK\r\n");
  CHECK(bench.Run({"lsm", "compact", "level"}) == "-ERR syntax error\r\n");
  CHECK(bench.Run({"lsm", "compact", "foo", "1"}) == "-ERR syntax error\r\n");
  CHECK(bench.Run({"lsm", "compact", "level", "-1"}) == "-ERR value is not an integer or out of range\r\n");
  CHECK(bench.Run({"lsm", "compact", "to", "4294967295"}) == "-ERR value is not an integer or out of range\r\n");
  CHECK(bench.Run({"lsm", "flush"}) == "+OK\r\n");
  CHECK(bench.Run({"lsm", "manifest", "5"}) == "-ERR level 5 has no manifest\r\n");
  CHECK(bench.Run({"lsm", "manifest", "x"}) == "-ERR value is not an integer or out of range\r\n");
  CHECK(bench.Run({"lsm", "levels"}) == "*0\r\n");
  bench.client.protocol = 3;
  const std::string fields = std::to_string(StatsFields(bench.server.engine().Stats()).size());
  CHECK(bench.Run({"lsm", "stats"}).starts_with("%" + fields + "\r\n$12\r\nnum_sstables\r\n:0\r\n"));
}

TEST_CASE("LSM INGEST takes an absolute path and says what came in", "[commands]") {
  CommandBench bench;
  CHECK(bench.Run({"lsm", "ingest"}).starts_with("-ERR wrong number of arguments"));
  CHECK(bench.Run({"lsm", "ingest", "in"}) == "-ERR the directory's absolute path is needed\r\n");
  CHECK(bench.Run({"lsm", "ingest", "/in"}).find("no such bundle") != std::string::npos);
  bench.engine.on_ingest = [](const IngestRequest& request) -> Result<IngestReport> {
    CHECK(request.bundle == "/in");
    CHECK(request.place("x").error().code() == StatusCode::kInvalidArgument);
    return IngestReport{10, 1000, 2, 300, 77};
  };
  bench.client.protocol = 3;
  CHECK(bench.Run({"lsm", "ingest", "/in"}) ==
        "%5\r\n$7\r\nentries\r\n:10\r\n$5\r\nbytes\r\n:1000\r\n$5\r\nlevel\r\n:2\r\n$12\r\nmerged_bytes\r\n:300\r\n$8\r\nsequence\r\n:77\r\n");
}

TEST_CASE("every kind of failure has its words", "[commands]") {
  CHECK(ErrorText(Status::Corruption("sst/1: block checksum")) == "ERR corruption: sst/1: block checksum");
  CHECK(ErrorText(Status::IoError("sst/1: x")) == "ERR disk error: sst/1: x");
  CHECK(ErrorText(Status::WriteRefused("x")).starts_with("MISCONF "));
  CHECK(ErrorText(Status::NoSpace("x")).starts_with("MISCONF "));
  CHECK(ErrorText(Status::InvalidArgument("x")) == "ERR x");
  CHECK(ErrorText(Status::ShuttingDown()) == "ERR the server is shutting down");
}

}  // namespace lsmkv
