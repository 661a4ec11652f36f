// What SCAN promises, and walks in general.
#include <algorithm>
#include <charconv>
#include <random>
#include <set>

#include "commands_keys/key_bench.h"

namespace lsmkv {
namespace {

struct ScanReply {
  std::string cursor;
  std::vector<std::string> keys;
};

std::string TakeBulk(std::string_view* in) {
  REQUIRE(in->starts_with('$'));
  const std::size_t line = in->find("\r\n");
  std::size_t size = 0;
  std::from_chars(in->data() + 1, in->data() + line, size);
  std::string bulk(in->substr(line + 2, size));
  in->remove_prefix(line + 2 + size + 2);
  return bulk;
}

ScanReply Parse(const std::string& bytes) {
  std::string_view in = bytes;
  REQUIRE(in.starts_with("*2\r\n"));
  in.remove_prefix(4);
  ScanReply reply;
  reply.cursor = TakeBulk(&in);
  REQUIRE(in.starts_with('*'));
  in.remove_prefix(in.find("\r\n") + 2);
  while (!in.empty()) reply.keys.push_back(TakeBulk(&in));
  return reply;
}

TEST_CASE("thousands of scans at once each return every key that is there throughout", "[scan]") {
  const auto seed = GENERATE(range(0u, 2u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  KeyBench bench;
  std::set<std::string> stays;
  for (int i = 0; i < 60; ++i) {
    stays.insert("stay" + std::to_string(random() % 200));
    bench.ServeLine("set come" + std::to_string(random() % 200) + " v");
  }
  for (const std::string& key : stays) bench.ServeLine("set " + key + " v");
  struct Walk {
    std::string cursor = "0";
    std::set<std::string> seen;
    bool done = false;
  };
  std::vector<Walk> walks(2000);
  std::size_t running = walks.size();
  for (int turn = 0; running > 0; ++turn) {
    REQUIRE(turn < 100);
    for (Walk& walk : walks) {
      if (walk.done) continue;
      const std::string count = std::to_string(1 + random() % 40);
      const ScanReply reply = Parse(bench.ServeLine("scan " + walk.cursor + " count " + count));
      if (reply.keys.size() > 40) FAIL("a scan returned " << reply.keys.size() << " keys");
      walk.seen.insert(reply.keys.begin(), reply.keys.end());
      walk.cursor = reply.cursor;
      walk.done = reply.cursor == "0";
      if (walk.done) --running;
      if (random() % 20 == 0) bench.ServeLine("set come" + std::to_string(random() % 200) + " v");
      if (random() % 20 == 0) bench.ServeLine("del " + *stays.begin() + "x come" + std::to_string(random() % 200));
      if (random() % 50 == 0) bench.ServeLine("set stay-brief v px 1");
    }
    bench.now_ms += 1;
  }
  for (const Walk& walk : walks) {
    REQUIRE(std::ranges::includes(walk.seen, stays));
  }
}

TEST_CASE("a scan whose cursor was forgotten starts over and still returns everything", "[scan]") {
  KeyBench bench;
  for (int i = 0; i < 30; ++i) bench.ServeLine("set k" + std::to_string(i) + " v");
  std::set<std::string> seen;
  std::string cursor = "1234567";   // from before a restart
  do {
    const ScanReply reply = Parse(bench.ServeLine("scan " + cursor));
    CHECK(reply.keys.size() <= 10);
    seen.insert(reply.keys.begin(), reply.keys.end());
    cursor = reply.cursor;
  } while (cursor != "0");
  CHECK(seen.size() == 30);
}

TEST_CASE("a scan's work is bounded where nothing matches", "[scan]") {
  KeyBench bench;
  for (int i = 0; i < 3000; ++i) bench.ServeLine("set k" + std::to_string(i) + " v");
  const ScanReply first = Parse(bench.ServeLine("scan 0 match *x"));
  CHECK(first.keys.empty());
  CHECK(first.cursor != "0");
  const ScanReply second = Parse(bench.ServeLine("scan " + first.cursor + " match *x"));
  CHECK(second.cursor != "0");
  // A plain beginning walks only what starts with it.
  const ScanReply plain = Parse(bench.ServeLine("scan 0 match x*"));
  CHECK(plain.cursor == "0");
  CHECK(Parse(bench.ServeLine("scan 0 match k299? count 100")).keys.size() == 10);
  CHECK(Parse(bench.ServeLine("scan 0 match k299? count 100")).cursor == "0");
}

TEST_CASE("a scan's work is bounded where all is dead, too", "[scan]") {
  KeyBench bench;
  for (int i = 1000; i < 6000; ++i) bench.ServeLine("set k" + std::to_string(i) + " v px 50");
  bench.ServeLine("set k9 v");
  bench.now_ms += 51;
  std::string cursor = "0";
  std::vector<std::string> seen;
  int calls = 0;
  do {
    const ScanReply reply = Parse(bench.ServeLine("scan " + cursor));
    seen.insert(seen.end(), reply.keys.begin(), reply.keys.end());
    cursor = reply.cursor;
    ++calls;
  } while (cursor != "0");
  CHECK(seen == std::vector<std::string>{"k9"});
  CHECK(calls >= 4);
}

TEST_CASE("cursors fit 53 bits, and the same position has the same one", "[scan]") {
  KeyBench bench;
  for (int i = 0; i < 50; ++i) bench.ServeLine("set k" + std::to_string(i) + " v");
  const ScanReply first = Parse(bench.ServeLine("scan 0"));
  CHECK(Parse(bench.ServeLine("scan 0")).cursor == first.cursor);
  CHECK(std::stoull(first.cursor) < (1ull << 53));
}

TEST_CASE("KEYS, DBSIZE and RANDOMKEY leave out what has expired", "[scan]") {
  KeyBench bench;
  bench.ServeLine("mset a1 v a2 v b1 v");
  bench.ServeLine("set a3 v px 50");
  CHECK(bench.ServeLine("keys a*") == "*3\r\n$2\r\na1\r\n$2\r\na2\r\n$2\r\na3\r\n");
  CHECK(bench.ServeLine("dbsize") == ":4\r\n");
  bench.now_ms += 51;
  CHECK(bench.ServeLine("keys a*") == "*2\r\n$2\r\na1\r\n$2\r\na2\r\n");
  CHECK(bench.ServeLine("keys [^a]*") == "*1\r\n$2\r\nb1\r\n");
  CHECK(bench.ServeLine("dbsize") == ":3\r\n");
  bench.ServeLine("del a1 a2 b1");
  bench.ServeLine("set a3 v px 50");
  CHECK(bench.ServeLine("randomkey") == "$2\r\na3\r\n");
  bench.now_ms += 51;
  CHECK(bench.ServeLine("randomkey") == "$-1\r\n");
}

}  // namespace
}  // namespace lsmkv
