// MULTI, EXEC and WATCH without a server around them: time, the disk's errors, what runs where. Dialogues are in
// integration/transactions_test, histories in model_test.
#include "commands_keys/key_bench.h"

namespace lsmkv {
namespace {

constexpr const char* kQueued = "+QUEUED\r\n";

void Queue(KeyBench& bench, const std::vector<std::string>& lines) {
  REQUIRE(bench.ServeLine("multi") == "+OK\r\n");
  for (const std::string& line : lines) {
    CAPTURE(line);
    REQUIRE(bench.ServeLine(line) == kQueued);
  }
}

TEST_CASE("an EXEC is one batch, with the last word on each key", "[commands][transaction]") {
  KeyBench bench;
  bench.ServeLine("set gone v");
  Queue(bench, {"incr n", "incr n", "incr n", "set a 1", "mset b 2 a 3", "del gone", "select 1", "set a 4"});
  const int batches = bench.engine.batches;
  const std::uint64_t writes = bench.engine.writes();
  CHECK(bench.ServeLine("exec") == "*8\r\n:1\r\n:2\r\n:3\r\n+OK\r\n+OK\r\n:1\r\n+OK\r\n+OK\r\n");
  CHECK(bench.engine.batches == batches + 1);
  CHECK(bench.engine.writes() == writes + 5);
}

TEST_CASE("a key that has expired is changed if it was there when it was watched", "[commands][transaction]") {
  KeyBench bench;
  bench.ServeLine("set k v px 100");
  SECTION("it was") {
    bench.ServeLine("watch k");
    bench.now_ms += 101;
    Queue(bench, {"set k w"});
    CHECK(bench.ServeLine("exec") == "*-1\r\n");
    CHECK(bench.ServeLine("get k") == "$-1\r\n");
  }
  SECTION("its last millisecond") {
    bench.ServeLine("watch k");
    bench.now_ms += 100;
    Queue(bench, {"get k"});
    CHECK(bench.ServeLine("exec") == "*1\r\n$1\r\nv\r\n");
  }
  SECTION("it had expired before") {
    bench.now_ms += 101;
    bench.ServeLine("watch k");
    bench.now_ms += 100;
    Queue(bench, {"set k w"});
    CHECK(bench.ServeLine("exec") == "*1\r\n+OK\r\n");
  }
  SECTION("RESP3 has a null of its own") {
    bench.client.protocol = 3;
    bench.ServeLine("watch k");
    bench.now_ms += 101;
    Queue(bench, {});
    CHECK(bench.ServeLine("exec") == "_\r\n");
  }
}

TEST_CASE("an EXEC that cannot be written is refused whole", "[commands][transaction]") {
  KeyBench bench;
  bench.ServeLine("mset a 1 b 2");
  const auto refused = [](const std::string& reply) { return reply.starts_with("-EXECABORT Transaction discarded because of: MISCONF "); };
  SECTION("the disk is full") {
    Queue(bench, {"set a 9", "select 2", "hello 3", "get a"});
    bench.engine.fail_writes = true;
    CHECK(refused(bench.ServeLine("exec")));
    CHECK(bench.client.database == 0);
    CHECK(bench.client.protocol == 2);
    CHECK(bench.ServeLine("exec") == "-ERR EXEC without MULTI\r\n");
    Queue(bench, {"get a", "get b"});
    CHECK(bench.ServeLine("exec") == "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
  }
  SECTION("the log is broken") {
    Queue(bench, {"flushdb", "set a 9"});
    bench.engine.fail_writes_for_good = true;
    CHECK(refused(bench.ServeLine("exec")));
    CHECK(bench.ServeLine("dbsize") == ":2\r\n");
  }
  SECTION("only the reserve is left") {
    bench.engine.only_reserve_left = true;
    Queue(bench, {"del a", "set b 3"});
    CHECK(refused(bench.ServeLine("exec")));
    CHECK(bench.ServeLine("mget a b") == "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    Queue(bench, {"del a", "expire b 100"});
    CHECK(bench.ServeLine("exec") == "*2\r\n:1\r\n:1\r\n");
    Queue(bench, {"flushall"});
    CHECK(bench.ServeLine("exec") == "*1\r\n+OK\r\n");
  }
  bench.engine.fail_writes = false;
}

TEST_CASE("what EXEC would wait for is waited for elsewhere, from its start", "[commands][transaction]") {
  KeyBench bench;
  bench.ServeLine("set a 1");
  const auto leaves = [&](const std::vector<std::string>& lines) {
    Queue(bench, lines);
    const int before = bench.left_loop;
    const std::string reply = bench.ServeLine("exec");
    CHECK(reply.starts_with("*" + std::to_string(lines.size()) + "\r\n"));
    return bench.left_loop > before;
  };
  CHECK_FALSE(leaves({"incr a", "select 1", "incr a", "ping", "select 0"}));
  CHECK_FALSE(leaves(std::vector<std::string>(400, "incr a")));
  CHECK(leaves(std::vector<std::string>(501, "incr a")));
  CHECK(leaves({"incr a", "dbsize"}));
  CHECK(leaves({"incr a", "config resetstat"}));
  CHECK(bench.server.resets == 1);
  CHECK(leaves({"incr a", "config resetstat", "get a"}));
  CHECK(bench.server.resets == 2);
  bench.engine.would_block_one_in = 1;
  CHECK(leaves({"client setname me", "incr a"}));
  bench.engine.would_block_one_in = 0;
  CHECK(bench.ServeLine("get a") == "$3\r\n907\r\n");
  SECTION("a lock that somebody holds") {
    KeyLocks::Held held;
    REQUIRE(bench.keyspace->locks().Lock("a", true, &held));
    const auto alone = [&] {
      const int before = bench.left_loop;
      const std::string reply = bench.ServeLine("exec");
      CHECK(bench.left_loop == before);
      return reply;
    };
    Queue(bench, {"get b", "get a"});
    CHECK(alone() == "*2\r\n$-1\r\n$3\r\n907\r\n");           // who only reads does not meet it
    Queue(bench, {"get b", "incr a"});
    const std::vector<std::string_view> args{"exec"};
    bool unknown_subcommand = false;
    const CommandSpec* const spec = FindCommand(args, &unknown_subcommand);
    resp::OutputBuffer out;
    resp::Writer reply(out, 2);
    CommandContext context{args, *spec, reply, bench.client, *bench.keyspace, bench.server, bench.now_ms, false};
    CHECK(spec->handler(context) == Outcome::kWouldBlock);
    CHECK(out.empty());
    held.Release();
    CHECK(alone() == "*2\r\n$-1\r\n:908\r\n");
  }
}

TEST_CASE("hits and misses of a transaction count once, when it has happened", "[commands][transaction]") {
  KeyBench bench;
  bench.ServeLine("set a 1");
  const auto totals = [&] { return std::pair(bench.keyspace->lookups().totals().hits, bench.keyspace->lookups().totals().misses); };
  const auto [hits, misses] = totals();
  bench.engine.would_block_one_in = 2;
  Queue(bench, {"get a", "get none", "get a"});
  bench.ServeLine("exec");
  CHECK(totals() == std::pair(hits + 2, misses + 1));
}

TEST_CASE("more watches than clients may hold are refused, and EXEC does not run as if it had them", "[commands][transaction]") {
  KeyBench bench;
  CHECK(bench.ServeLine("watch a") == "+OK\r\n");
  bench.server.clients_may_hold = 1000;
  CHECK(bench.ServeLine("watch b c") == "+OK\r\n");
  CHECK(bench.Serve({"watch", std::string(1000, 'x')}).starts_with("-OOM "));
  CHECK_FALSE(bench.keyspace->watched().any());
  CHECK(bench.client.transaction_bytes == 0);
  Queue(bench, {"set a 1"});
  CHECK(bench.ServeLine("exec") == "*-1\r\n");
  Queue(bench, {"set a 1"});
  CHECK(bench.ServeLine("exec") == "*1\r\n+OK\r\n");
}

TEST_CASE("what is watched is forgotten with its client", "[commands][transaction]") {
  KeyBench bench;
  bench.ServeLine("watch a b c");
  CHECK(bench.keyspace->watched().any());
  CHECK(bench.client.transaction_bytes > 0);
  SECTION("unwatch") {
    bench.ServeLine("unwatch");
    CHECK(bench.client.transaction_bytes == 0);
  }
  SECTION("reset") { bench.ServeLine("reset"); }
  SECTION("exec") {
    Queue(bench, {"get a"});
    bench.ServeLine("exec");
  }
  SECTION("discard") {
    Queue(bench, {"get a"});
    bench.ServeLine("discard");
  }
  SECTION("its end") { bench.client.transaction.reset(); }
  CHECK_FALSE(bench.keyspace->watched().any());
}

}  // namespace
}  // namespace lsmkv
