// What a table of replies cannot show: time passing, RESP3, what leaves the loop, errors of the disk, threads.
#include <thread>

#include "commands_keys/key_bench.h"
#include "keyspace/operation.h"

namespace lsmkv {
namespace {

TEST_CASE("deadlines count down and then the key is gone", "[commands]") {
  KeyBench bench;
  CHECK(bench.ServeLine("set k v px 1500") == "+OK\r\n");
  CHECK(bench.ServeLine("ttl k") == ":2\r\n");
  CHECK(bench.ServeLine("pttl k") == ":1500\r\n");
  bench.now_ms += 1001;
  CHECK(bench.ServeLine("ttl k") == ":0\r\n");
  CHECK(bench.ServeLine("append k w") == ":2\r\n");
  CHECK(bench.ServeLine("pttl k") == ":499\r\n");
  bench.now_ms += 498;
  CHECK(bench.ServeLine("get k") == "$2\r\nvw\r\n");
  bench.now_ms += 1;
  CHECK(bench.ServeLine("pttl k") == ":0\r\n");        // the deadline itself: the last millisecond, as in Redis
  CHECK(bench.ServeLine("get k") == "$2\r\nvw\r\n");
  bench.now_ms += 1;
  CHECK(bench.ServeLine("get k") == "$-1\r\n");
  CHECK(bench.ServeLine("exists k") == ":0\r\n");
  CHECK(bench.ServeLine("del k") == ":0\r\n");
  CHECK(bench.ServeLine("incr k") == ":1\r\n");
  CHECK(bench.ServeLine("ttl k") == ":-1\r\n");
}

TEST_CASE("RESP3 has its own null and map", "[commands]") {
  KeyBench bench;
  bench.client.protocol = 3;
  CHECK(bench.ServeLine("get missing") == "_\r\n");
  CHECK(bench.ServeLine("mget missing") == "*1\r\n_\r\n");
  bench.ServeLine("mset a xay b xby");
  CHECK(bench.ServeLine("lcs a b idx") ==
        "%2\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:2\r\n:2\r\n*2\r\n:2\r\n:2\r\n*2\r\n*2\r\n:0\r\n:0\r\n*2\r\n:0\r\n:0\r\n"
        "$3\r\nlen\r\n:2\r\n");
}

TEST_CASE("what is short stays on the loop, what is long leaves it", "[commands]") {
  KeyBench bench;
  const auto leaves = [&](const std::vector<std::string>& words) {
    const int before = bench.left_loop;
    bench.Serve({words.begin(), words.end()});
    return bench.left_loop > before;
  };
  const std::string long_value(Operation::kLongBytes + 1, 'x');
  std::vector<std::string> many_keys;
  std::vector<std::string> many_pairs;
  for (int i = 0; i < 1001; ++i) {
    many_keys.push_back(std::to_string(i));
    many_pairs.insert(many_pairs.end(), {std::to_string(i), "v"});
  }
  const auto command = [](const char* name, std::vector<std::string> words) {
    words.insert(words.begin(), name);
    return words;
  };
  CHECK_FALSE(leaves({"set", "k", "v"}));
  CHECK_FALSE(leaves({"get", "k"}));
  CHECK_FALSE(leaves({"incr", "n"}));
  CHECK_FALSE(leaves({"mset", "a", "1", "b", "2"}));
  CHECK_FALSE(leaves({"lcs", "a", "b"}));
  CHECK(leaves({"set", "long", long_value}));
  CHECK(leaves({"get", "long"}));
  CHECK(leaves({"append", "long", "x"}));
  CHECK_FALSE(leaves({"exists", "long"}));
  CHECK_FALSE(leaves({"type", "long"}));
  CHECK(leaves({"setrange", "k", "2000000", "x"}));
  CHECK(leaves({"rename", "long", "longer"}));
  CHECK(leaves(command("mset", many_pairs)));
  CHECK(leaves(command("mget", many_keys)));
  CHECK(leaves(command("exists", many_keys)));
  CHECK(leaves(command("del", many_keys)));
  bench.Serve({"set", "p", std::string(1000, 'p')});
  bench.Serve({"set", "q", std::string(1000, 'q')});
  CHECK(leaves({"lcs", "p", "q"}));
  CHECK(leaves({"swapdb", "0", "1"}));
}

TEST_CASE("a very long LCS is refused as Redis refuses it", "[commands]") {
  KeyBench bench;
  const std::string value(12000, 'x');
  bench.Serve({"set", "a", value});
  bench.Serve({"set", "b", value});
  CHECK(bench.ServeLine("lcs a b") == "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n");
}

TEST_CASE("a full disk is told, once, and nothing has changed", "[commands]") {
  KeyBench bench;
  bench.ServeLine("mset a 1 b 2");
  bench.engine.fail_writes = true;
  for (const char* line : {"set a x", "set a x get", "getdel a", "getset a x", "getex a ex 10", "incr a", "append a x", "del a b",
                           "rename a c", "copy a c", "move a 1", "expire a 10", "mset a x c y", "flushall", "swapdb 0 1"}) {
    CAPTURE(line);
    const std::string reply = bench.ServeLine(line);
    CHECK(reply.starts_with("-MISCONF "));
    CHECK(reply.find("\r\n") == reply.size() - 2);
  }
  bench.engine.fail_writes = false;
  CHECK(bench.ServeLine("mget a b c") == "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n");
}

TEST_CASE("while only the reserve of the disk is left, what makes room goes on and nothing else", "[commands]") {
  KeyBench bench;
  bench.ServeLine("mset a 1 b 2 c 3 d 4 e 5 f 6");
  bench.engine.only_reserve_left = true;
  for (const char* line : {"set a x", "set a x get", "getset a x", "incr a", "append a x", "setrange a 0 x", "rename a g", "copy a g",
                           "move a 1", "mset a x g y", "msetnx g 1", "persist a", "getex a persist"}) {
    CAPTURE(line);
    const std::string reply = bench.ServeLine(line);
    if (reply != ":0\r\n" && reply != "$1\r\n1\r\n") CHECK(reply.starts_with("-MISCONF No space left"));    // nothing to change
  }
  CHECK(bench.ServeLine("mget a g") == "*2\r\n$1\r\n1\r\n$-1\r\n");
  CHECK(bench.ServeLine("del a no") == ":1\r\n");
  CHECK(bench.ServeLine("unlink b") == ":1\r\n");
  CHECK(bench.ServeLine("getdel c") == "$1\r\n3\r\n");
  CHECK(bench.ServeLine("expire d 100") == ":1\r\n");
  CHECK(bench.ServeLine("expire e -1") == ":1\r\n");
  CHECK(bench.ServeLine("ttl d") == ":100\r\n");
  CHECK(bench.ServeLine("flushdb") == "+OK\r\n");
  CHECK(bench.ServeLine("swapdb 0 1") == "+OK\r\n");
  CHECK(bench.ServeLine("flushall") == "+OK\r\n");
  CHECK(bench.ServeLine("get f") == "$-1\r\n");
}

TEST_CASE("a disk that cannot be read is not a disk that takes no writes", "[commands]") {
  KeyBench bench;
  bench.ServeLine("mset a 1 b 2");
  bench.engine.fail_reads = true;
  for (const char* line : {"get a", "mget a b", "incr a", "append a x", "set a x get", "getdel a", "rename a b", "expire a 1"}) {
    CAPTURE(line);
    CHECK(bench.ServeLine(line) == "-ERR disk error: sst/1: input/output error\r\n");
  }
  bench.engine.fail_reads = false;
  bench.engine.fail_writes_for_good = true;
  for (const char* line : {"set a x", "incr a", "append a x", "del a", "flushall", "expire a 10"}) {
    CAPTURE(line);
    CHECK(bench.ServeLine(line).starts_with("-MISCONF the write was not taken"));
  }
}

TEST_CASE("reads are hits and misses, and writes are neither", "[commands]") {
  KeyBench bench;
  bench.engine.would_block_one_in = 3;      // commands that are run twice count once
  const auto totals = [&] { return std::pair(bench.keyspace->lookups().totals().hits, bench.keyspace->lookups().totals().misses); };
  struct Case {
    const char* line;
    std::uint64_t hits, misses;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"set a 1", 0, 0}, {"get a", 1, 0}, {"get x", 0, 1}, {"mget a x a y", 2, 2}, {"exists a a x", 2, 1}, {"ttl a", 1, 0},
           {"type x", 0, 1}, {"strlen a", 1, 0}, {"incr a", 0, 0}, {"append a 1", 0, 0}, {"set a 1 get", 1, 0}, {"set x 1 nx", 0, 0},
           {"getset a 2", 1, 0}, {"getex a", 1, 0}, {"copy a z", 1, 0}, {"getdel z", 1, 0}, {"getdel z", 0, 1}, {"del a x", 0, 0},
           {"rename nothing b", 0, 0}, {"touch x", 0, 1}, {"getrange x 0 1", 0, 1}}) {
    CAPTURE(c.line);
    const auto before = totals();
    bench.ServeLine(c.line);
    CHECK(totals().first - before.first == c.hits);
    CHECK(totals().second - before.second == c.misses);
  }
}

TEST_CASE("two increments never become one", "[commands][threads]") {
  KeyBench bench;
  constexpr int kThreads = 4;
  constexpr int kRounds = 500;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      const std::vector<std::string_view> args{"incr", "n"};
      bool unknown = false;
      const CommandSpec* const spec = FindCommand(args, &unknown);
      resp::OutputBuffer out;
      resp::Writer reply(out, 2);
      ClientState client;
      for (int round = 0; round < kRounds; ++round) {
        CommandContext loop{args, *spec, reply, client, *bench.keyspace, bench.server, bench.now_ms, false};
        if (spec->handler(loop) == Outcome::kDone) continue;
        CommandContext pool{args, *spec, reply, client, *bench.keyspace, bench.server, bench.now_ms, true};
        if (spec->handler(pool) != Outcome::kDone) std::abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(bench.ServeLine("incrby n 0") == ":" + std::to_string(kThreads * kRounds) + "\r\n");
}

}  // namespace
}  // namespace lsmkv
