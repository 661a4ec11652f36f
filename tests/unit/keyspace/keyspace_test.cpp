// Operations, counting, sampling, scanning.
#include "keyspace/keyspace.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "keyspace/operation.h"
#include "keyspace_on_map.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kNow = 1'000'000;

struct TestKeyspace : KeyspaceOnMap {
  void Put(std::string_view key, std::string_view value, std::uint64_t expire = 0, std::uint32_t database = 0) {
    Operation operation(*keyspace, database, 1, true);
    REQUIRE(operation.Lock(key).ok());
    operation.PutString(key, value, expire);
    REQUIRE(operation.Commit().ok());
  }
  void Delete(std::string_view key) {
    Operation operation(*keyspace, 0, 1, true);
    REQUIRE(operation.Lock(key).ok());
    operation.Delete(key);
    REQUIRE(operation.Commit().ok());
  }
  std::optional<std::string> Get(std::string_view key, std::uint64_t now = kNow) {
    Operation operation(*keyspace, 0, now, true);
    const Result<StringRead> read = operation.ReadString(key);
    REQUIRE(read);
    if (!read->found()) return std::nullopt;
    return std::string(read->value());
  }
};

TEST_CASE("an expired key is absent, from the millisecond after its deadline on", "[operation]") {
  TestKeyspace test;
  test.Put("k", "v", kNow);
  CHECK(test.Get("k", kNow - 1) == "v");
  CHECK(test.Get("k", kNow) == "v");
  CHECK(test.keyspace->CountDatabase(0, kNow)->keys == 1);
  CHECK(test.Get("k", kNow + 1) == std::nullopt);
  CHECK(test.keyspace->CountDatabase(0, kNow + 1)->keys == 0);
}

TEST_CASE("reads that count are hits and misses, those that gave up are neither", "[operation]") {
  TestKeyspace test;
  test.Put("k", "v");
  const auto totals = [&] { return std::pair(test.keyspace->lookups().totals().hits, test.keyspace->lookups().totals().misses); };
  const auto before = totals();
  {
    Operation quiet(*test.keyspace, 0, kNow, true);
    REQUIRE(quiet.ReadString("k"));
  }
  CHECK(totals() == before);
  {
    Operation counts(*test.keyspace, 0, kNow, true, true);
    REQUIRE(counts.ReadString("k"));
    REQUIRE(counts.ReadString("k"));
    REQUIRE(counts.ReadString("nothing"));
    counts.CountReads(false);
    REQUIRE(counts.ReadString("k"));
  }
  CHECK(totals() == std::pair(before.first + 2, before.second + 1));
  {
    Operation gives_up(*test.keyspace, 0, kNow, false, true);
    REQUIRE(gives_up.ReadString("k"));
    test.engine.would_block_one_in = 1;
    CHECK(gives_up.ReadString("k").error().code() == StatusCode::kWouldBlock);
  }
  CHECK(totals() == std::pair(before.first + 2, before.second + 1));
}

TEST_CASE("a digest says whether two states are the same, in whatever order they came about", "[keyspace]") {
  TestKeyspace one, other;
  CHECK(one.keyspace->Digest(kNow)->Hex() == std::string(40, '0'));
  one.Put("a", "1");
  one.Put("b", "2", kNow + 10);
  other.Put("b", "2", kNow + 10);
  CHECK(one.keyspace->Digest(kNow)->Hex() != other.keyspace->Digest(kNow)->Hex());
  other.Put("a", "0");
  other.Put("a", "1");
  CHECK(one.keyspace->Digest(kNow)->Hex() == other.keyspace->Digest(kNow)->Hex());
  CHECK(one.keyspace->Digest(kNow + 11)->Hex() != other.keyspace->Digest(kNow)->Hex());
  other.Put("b", "2");
  CHECK(one.keyspace->Digest(kNow)->Hex() != other.keyspace->Digest(kNow)->Hex());
}

TEST_CASE("a write whose deadline has passed deletes", "[operation]") {
  TestKeyspace test;
  test.Put("k", "v");
  Operation operation(*test.keyspace, 0, kNow, true);
  REQUIRE(operation.Lock("k").ok());
  operation.PutString("k", "new", kNow - 1);
  REQUIRE(operation.Commit().ok());
  CHECK(test.Get("k") == std::nullopt);
  CHECK(test.engine.size() == 1);   // the database table
}

TEST_CASE("a key in its last millisecond keeps it when it is written again; a client that sets that deadline deletes", "[operation]") {
  TestKeyspace test;
  test.Put("k", "v", kNow);
  for (const bool sets_it : {false, true}) {
    Operation operation(*test.keyspace, 0, kNow, true);
    REQUIRE(operation.Lock("k").ok());
    const Result<std::optional<Record>> record = operation.Read("k");
    REQUIRE((record && *record));
    sets_it ? operation.PutDeadline("k", **record, kNow) : operation.PutRecord(0, "k", **record, kNow);
    REQUIRE(operation.Commit().ok());
    CHECK(test.Get("k").has_value() == !sets_it);
  }
}

TEST_CASE("nothing is written without a commit, nor what an operation left behind by the next one", "[operation]") {
  TestKeyspace test;
  {
    Operation gives_up(*test.keyspace, 0, kNow, true);
    REQUIRE(gives_up.Lock("a").ok());
    gives_up.PutString("a", "1");
  }
  test.Put("b", "2");
  CHECK(test.Get("a") == std::nullopt);
  CHECK(test.Get("b") == "2");
  const std::uint64_t writes = test.engine.writes();
  Operation reads_only(*test.keyspace, 0, kNow, true);
  CHECK(reads_only.Commit().ok());
  CHECK(test.engine.writes() == writes);
}

TEST_CASE("where waiting is not allowed, a taken lock, a disk read and a long value say so", "[operation]") {
  TestKeyspace test;
  const std::string long_value(Operation::kLongBytes + 1, 'x');
  test.Put("k", "v");
  test.Put("long", long_value);
  Operation holder(*test.keyspace, 0, kNow, true);
  REQUIRE(holder.Lock("k").ok());
  Operation operation(*test.keyspace, 0, kNow, false);
  CHECK(operation.Lock("k").code() == StatusCode::kWouldBlock);
  CHECK(operation.ReadString("long").error().code() == StatusCode::kWouldBlock);
  test.engine.would_block_one_in = 1;
  CHECK(operation.ReadString("k").error().code() == StatusCode::kWouldBlock);
  test.engine.would_block_one_in = 0;
  Operation writer(*test.keyspace, 0, kNow, false);
  REQUIRE(writer.Lock("other").ok());
  writer.PutString("other", long_value);
  CHECK(writer.Commit().code() == StatusCode::kWouldBlock);
  CHECK(test.Get("other") == std::nullopt);
}

TEST_CASE("a failed write is told and changes nothing", "[operation]") {
  TestKeyspace test;
  test.engine.fail_writes = true;
  {
    Operation operation(*test.keyspace, 0, kNow, true);
    REQUIRE(operation.Lock("k").ok());
    operation.PutString("k", "v");
    CHECK(operation.Commit().code() == StatusCode::kNoSpace);
  }
  CHECK_FALSE(test.keyspace->FlushAll().ok());
  CHECK(test.keyspace->Physical(0) == 0);
}

TEST_CASE("one moment: several reads see a batch whole or not at all", "[operation]") {
  TestKeyspace test;
  test.Put("a", "1");
  Operation reader(*test.keyspace, 0, kNow, true);
  REQUIRE(reader.ReadOneMoment().ok());
  CHECK(reader.ReadString("a")->value() == "1");
  test.Put("b", "2");
  CHECK_FALSE(reader.ReadString("b")->found());
}

TEST_CASE("a value of an unknown type is an error, not a string", "[operation]") {
  TestKeyspace test;
  WriteBatch batch;
  batch.Put(EngineKey(0, "k").view(), "\x7fpayload");
  REQUIRE(test.engine.Write(batch, {}));
  Operation operation(*test.keyspace, 0, kNow, true);
  CHECK(operation.ReadString("k").error().code() == StatusCode::kCorruption);
}

TEST_CASE("counts are exact, and walked again only when something may have changed", "[count]") {
  TestKeyspace test;
  for (int i = 0; i < 10; ++i) test.Put(std::to_string(i), "v");
  test.Put("soon", "v", kNow + 100);
  test.Put("later", "v", kNow + 300);
  const auto count = [&](std::uint64_t now) {
    const Result<KeyspaceInfo> info = test.keyspace->CountDatabase(0, now);
    REQUIRE(info);
    return *info;
  };
  CHECK(count(kNow).keys == 12);
  CHECK(count(kNow).expires == 2);
  CHECK(count(kNow).avg_ttl == 200);
  const int walks = test.engine.iterators_made;
  CHECK(count(kNow + 50).avg_ttl == 150);
  CHECK(test.engine.iterators_made == walks);
  CHECK(count(kNow + 101).keys == 11);
  CHECK(test.engine.iterators_made == walks + 1);
  test.Put("new", "v");
  CHECK(count(kNow + 101).keys == 12);
  REQUIRE(test.keyspace->SwapDatabases(0, 1).ok());
  CHECK(count(kNow + 101).keys == 0);
}

TEST_CASE("an ingest's keys go into what the database is at that moment, and are counted", "[ingest]") {
  TestKeyspace test;
  test.Put("k", "v", 0, 1);
  CHECK(test.keyspace->CountDatabase(1, kNow)->keys == 1);
  test.engine.on_ingest = [&](const IngestRequest& request) -> Result<IngestReport> {
    CHECK(request.bundle == "/in");
    const Result<IngestPlace> before = request.place(DatabaseBegin(1));
    REQUIRE(before);
    CHECK(before->prefix == DatabaseBegin(test.keyspace->Physical(1)));
    CHECK(*request.place(DatabaseBegin(1)) == *before);
    // Whatever changes the table changes the answer, even if it changes it back.
    REQUIRE(test.keyspace->SwapDatabases(1, 2).ok());
    REQUIRE(test.keyspace->SwapDatabases(1, 2).ok());
    const Result<IngestPlace> after = request.place(DatabaseBegin(1));
    CHECK(after->prefix == before->prefix);
    CHECK(after->revision != before->revision);
    CHECK(request.place(DatabaseBegin(4)).error().message() == "the bundle is for database 4, and there are 4");
    CHECK_FALSE(request.place(""));
    CHECK_FALSE(request.place(EngineKey(1, "k").view()));
    test.engine.Insert(before->prefix + "new", std::string(1, static_cast<char>(ValueType::kString)) + "v");
    CHECK(test.keyspace->CountDatabase(1, kNow)->keys == 2);
    test.engine.Insert(before->prefix + "newer", std::string(1, static_cast<char>(ValueType::kString)) + "v");
    return IngestReport{2, 10, 1, 0, 9};
  };
  REQUIRE(test.keyspace->Ingest("/in"));
  CHECK(test.keyspace->CountDatabase(1, kNow)->keys == 3);     // though no write has come since the last count
}

TEST_CASE("a random key is a live one as long as there is one", "[sample]") {
  TestKeyspace test;
  CHECK(*test.keyspace->RandomKey(0, kNow, 1) == std::nullopt);
  for (int i = 0; i < 200; ++i) test.Put("dead" + std::to_string(i), "v", kNow - 1);
  CHECK(*test.keyspace->RandomKey(0, kNow, 1) == std::nullopt);
  test.Put("alive", "v");
  test.Put("elsewhere", "v", 0, 1);
  for (std::uint64_t random = 0; random < 50; ++random) CHECK(*test.keyspace->RandomKey(0, kNow, random) == "alive");
}

TEST_CASE("a scan's prefix, position and bounds", "[scan]") {
  TestKeyspace test;
  for (const char* key : {"a", "b1", "b2", "b3", "c"}) test.Put(key, "v");
  const auto scan = [&](ScanRequest request) {
    std::string keys;
    request.now_ms = kNow;
    const auto end = test.keyspace->Scan(request, [&](std::string_view key, ValueType) {
      keys.append(key).append(" ");
      return true;
    });
    REQUIRE(end);
    return keys + (*end ? "> " + **end : ".");
  };
  CHECK(scan({}) == "a b1 b2 b3 c .");
  CHECK(scan({.prefix = "b"}) == "b1 b2 b3 .");
  CHECK(scan({.after = "b1", .prefix = "b"}) == "b2 b3 .");
  CHECK(scan({.after = "a", .prefix = "b"}) == "b1 b2 b3 .");
  CHECK(scan({.after = "c", .prefix = "b"}) == ".");
  CHECK(scan({.max_keys = 2}) == "a b1 > b1");
  CHECK(scan({.max_keys = 5}) == "a b1 b2 b3 c .");
  CHECK(scan({.max_examined = 1}) == "a > a");
  CHECK(scan({.database = 2}) == ".");
}

TEST_CASE("a scan stops within a run of dead keys and goes on from there, in order and complete", "[scan]") {
  TestKeyspace test;
  std::string want;
  for (int i = 1000; i < 4000; ++i) {
    const bool alive = i % 700 == 0;
    test.Put(std::to_string(i), "v", alive ? 0 : kNow - 1);
    if (alive) want += std::to_string(i) + " ";
  }
  std::string got;
  std::optional<std::string> position;
  int calls = 0;
  do {
    ScanRequest request{.now_ms = kNow, .max_examined = 100};
    if (position) request.after = *position;
    const auto end = test.keyspace->Scan(request, [&](std::string_view key, ValueType) {
      got.append(key).append(" ");
      return true;
    });
    REQUIRE(end);
    if (position && *end) CHECK(*position < **end);
    position = *end;
    ++calls;
  } while (position);
  CHECK(got == want);
  CHECK(calls >= 3000 / 200);
}

TEST_CASE("a position keeps its number, and a number its position", "[cursors]") {
  ScanCursors cursors;
  const std::uint64_t number = cursors.Remember(1, "key");
  CHECK(cursors.Remember(1, "key") == number);
  CHECK(cursors.Remember(2, "key") != number);
  CHECK(cursors.Find(number) == "key");
  CHECK(number < (std::uint64_t{1} << 53));
  CHECK(cursors.Find(0) == std::nullopt);
}

TEST_CASE("positions whose hashes collide get numbers of their own", "[cursors]") {
  ScanCursors cursors(65536, 1 << 20, 8);   // 255 numbers for 100 positions
  std::map<std::uint64_t, std::string> positions;
  for (int i = 0; i < 100; ++i) {
    const std::string key = std::to_string(i);
    CHECK(positions.emplace(cursors.Remember(0, key), key).second);
  }
  for (const auto& [number, key] : positions) CHECK(cursors.Find(number) == key);
}

TEST_CASE("when no number is free both positions start over rather than be mixed up", "[cursors]") {
  ScanCursors cursors(65536, 1 << 20, 2);   // 3 numbers
  for (int i = 0; i < 100; ++i) {
    const std::string key = std::to_string(i);
    const std::optional<std::string> found = cursors.Find(cursors.Remember(0, key));
    CHECK((found == key || found == std::nullopt));
  }
}

TEST_CASE("long scans do not push out the place of a slow one, nor each other's", "[cursors]") {
  ScanCursors cursors(1600, 16 * 10'000);
  const std::uint64_t slow = cursors.Remember(0, "slow");
  std::vector<std::uint64_t> last(3), before(3);
  for (int page = 0; page < 20'000; ++page) {
    for (std::size_t scan = 0; scan < last.size(); ++scan) {
      // Two of them meet at each place; the third goes its own way.
      const std::string key = (scan == 2 ? "own" : "both") + std::to_string(page);
      before[scan] = last[scan];
      last[scan] = cursors.Remember(0, key, before[scan]);
      CHECK(cursors.Find(last[scan]) == key);
      if (page > 0) CHECK(cursors.Find(before[scan]).has_value());
    }
  }
  CHECK(cursors.Find(slow) == "slow");
}

TEST_CASE("the cursor table is bounded in entries and bytes, least recently used first", "[cursors]") {
  ScanCursors cursors(160, 16 * 100);
  std::vector<std::uint64_t> numbers;
  const std::uint64_t kept = cursors.Remember(0, "kept");
  for (int i = 0; i < 10000; ++i) {
    numbers.push_back(cursors.Remember(0, std::to_string(i)));
    CHECK(cursors.Find(kept) == "kept");
  }
  std::size_t known = 0;
  for (const std::uint64_t number : numbers) known += cursors.Find(number).has_value() ? 1 : 0;
  CHECK(known <= 160);
  CHECK(known > 100);
  const std::uint64_t huge = cursors.Remember(0, std::string(1000, 'x'));
  CHECK(cursors.Find(huge).has_value());
}

}  // namespace
}  // namespace lsmkv
