// Transactions below the commands: what others see of them, what they see of others, and what is watched.
#include "keyspace/transaction.h"

#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "keyspace/operation.h"
#include "keyspace_on_map.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kNow = 1'000'000;

struct TestKeyspace : KeyspaceOnMap {
  void Put(std::string_view key, std::string_view value, std::uint64_t expire = 0, Transaction* transaction = nullptr) {
    Operation operation(*keyspace, 0, 1, true, false, transaction);
    if (!operation.Lock(key).ok()) std::abort();
    operation.PutString(key, value, expire);
    if (!operation.Commit().ok()) std::abort();
  }
  void Delete(std::string_view key, Transaction* transaction = nullptr) {
    Operation operation(*keyspace, 0, 1, true, false, transaction);
    if (!operation.Lock(key).ok()) std::abort();
    operation.Delete(key);
    if (!operation.Commit().ok()) std::abort();
  }
  std::optional<std::string> Get(std::string_view key, Transaction* transaction = nullptr) {
    Operation operation(*keyspace, 0, kNow, true, false, transaction);
    const Result<StringRead> read = operation.ReadString(key);
    if (!read) std::abort();
    if (!read->found()) return std::nullopt;
    return std::string(read->value());
  }
};

TEST_CASE("a transaction sees what it has done, and nobody else does before its end", "[transaction]") {
  TestKeyspace test;
  test.Put("a", "1");
  const std::vector<std::string_view> keys{"a", "b"};
  {
    Transaction transaction(*test.keyspace, true);
    REQUIRE(transaction.Lock(keys).ok());
    test.Put("b", "2", 0, &transaction);
    test.Delete("a", &transaction);
    CHECK(test.Get("a", &transaction) == std::nullopt);
    CHECK(test.Get("b", &transaction) == "2");
    CHECK(test.Get("a") == "1");
    CHECK(test.Get("b") == std::nullopt);
  }
  CHECK(test.Get("a") == "1");                     // it was given up
  Transaction transaction(*test.keyspace, true);
  REQUIRE(transaction.Lock(keys).ok());
  test.Put("b", "2", 0, &transaction);
  test.Delete("a", &transaction);
  REQUIRE(transaction.Commit().ok());
  CHECK(test.Get("a") == std::nullopt);
  CHECK(test.Get("b") == "2");
}

TEST_CASE("a transaction that is too large is refused, and nothing is done", "[transaction]") {
  TestKeyspace test;
  Transaction transaction(*test.keyspace, true, 1000);
  const std::vector<std::string_view> keys{"a", "b"};
  REQUIRE(transaction.Lock(keys).ok());
  const int batches = test.engine.batches;
  for (int i = 0; i < 3; ++i) test.Put("a", std::string(300, 'x'), 0, &transaction);
  CHECK_FALSE(transaction.failed());
  test.Put("b", std::string(300, 'x'), 0, &transaction);
  CHECK(transaction.failed());
  const Status status = transaction.Commit();
  CHECK(status.code() == StatusCode::kInvalidArgument);
  CHECK(status.message().find("1000 bytes") != std::string::npos);
  CHECK(test.engine.batches == batches);
  CHECK(test.Get("a") == std::nullopt);
}

TEST_CASE("on a loop too much is left for a pool", "[transaction]") {
  TestKeyspace test;
  Transaction transaction(*test.keyspace, false);
  const std::string_view key = "a";
  REQUIRE(transaction.Lock({&key, 1}).ok());
  WriteBatch batch;
  batch.Put("a", std::string(Transaction::kLongBytes, 'x'));
  CHECK(transaction.Stage(batch, false).code() == StatusCode::kWouldBlock);
  Transaction reader(*test.keyspace, false);
  CHECK(reader.LockNothing().ok());
  test.map.BeginChange();
  Transaction late(*test.keyspace, false);
  CHECK(late.LockNothing().code() == StatusCode::kWouldBlock);
  test.map.EndChange();
  Transaction everything(*test.keyspace, false);
  CHECK(everything.LockEverything().code() == StatusCode::kWouldBlock);
}

TEST_CASE("a walk in a transaction sees both what there was and what was staged", "[transaction]") {
  const auto seed = GENERATE(range(0u, 60u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
  TestKeyspace test;
  std::map<std::string, bool> live;                // key -> does not expire before kNow
  const auto change = [&](Transaction* transaction) {
    const std::string key(1 + below(2), static_cast<char>('a' + below(12)));
    switch (below(4)) {
      case 0:
        test.Delete(key, transaction);
        live.erase(key);
        break;
      case 1:
        test.Put(key, "v", kNow - 1, transaction);
        live.erase(key);
        break;
      default:
        test.Put(key, "v", below(2) == 0 ? 0 : kNow + 1, transaction);
        live[key] = true;
    }
  };
  for (unsigned i = below(30); i > 0; --i) change(nullptr);
  Transaction transaction(*test.keyspace, true);
  REQUIRE(transaction.LockEverything().ok());
  for (unsigned i = below(30); i > 0; --i) change(&transaction);
  std::vector<std::string> expected;
  for (const auto& [key, unused] : live) expected.push_back(key);
  std::vector<std::string> seen;
  std::optional<std::string> position;
  int rounds = 0;
  do {
    ScanRequest request;
    request.now_ms = kNow;
    if (position) request.after = *position;
    request.max_keys = 1 + below(5);
    request.max_examined = 2 + below(5);
    Result<std::optional<std::string>> next = test.keyspace->Scan(request, [&](std::string_view key, ValueType) {
      seen.emplace_back(key);
      return true;
    }, &transaction);
    REQUIRE(next);
    position = std::move(*next);
    REQUIRE(++rounds < 200);
  } while (position);
  CHECK(seen == expected);
  CHECK(test.keyspace->CountDatabase(0, kNow, CountMode::kExact, &transaction)->keys == expected.size());
  const auto some = test.keyspace->RandomKey(0, kNow, random(), &transaction);
  REQUIRE(some);
  CHECK(some->has_value() == !expected.empty());
  if (*some) CHECK(live.contains(**some));
  REQUIRE(transaction.Commit().ok());
  CHECK(test.keyspace->CountDatabase(0, kNow)->keys == expected.size());
}

TEST_CASE("a flush in a transaction survives a power cut with the rest, or not at all", "[transaction]") {
  TestKeyspace test;
  test.Put("a", "1");
  REQUIRE(test.engine.Sync().ok());
  const bool settled = GENERATE(true, false);
  {
    Transaction transaction(*test.keyspace, true);
    REQUIRE(transaction.LockEverything().ok());
    REQUIRE(test.keyspace->FlushAll(&transaction).ok());
    test.Put("b", "2", 0, &transaction);
    REQUIRE(transaction.Commit().ok());
    CHECK(test.Get("a") == std::nullopt);
    CHECK(test.Get("b") == "2");
    if (settled) REQUIRE(transaction.Settle().ok());
  }
  test.engine.CompactNow();                        // drops nothing that a power cut can bring back
  test.engine.LosePower();
  DatabaseMap map;
  test.engine.SetFilter(&map);
  Result<std::unique_ptr<Keyspace>> reopened = Keyspace::Open(test.engine, 4, map);
  REQUIRE(reopened);
  test.keyspace = std::move(*reopened);
  CHECK(test.Get("a") == (settled ? std::nullopt : std::optional<std::string>("1")));
  CHECK(test.Get("b") == (settled ? std::optional<std::string>("2") : std::nullopt));
  test.engine.SetFilter(&test.map);
}

// ---- threads

constexpr int kAccounts = 12;
constexpr int kMoney = 100;

struct Bank : TestKeyspace {
  std::vector<std::string> names;
  std::vector<std::string_view> keys;
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};

  Bank() {
    for (int i = 0; i < kAccounts; ++i) names.push_back("account" + std::to_string(i));
    keys.assign(names.begin(), names.end());
    for (const std::string_view key : keys) Put(key, std::to_string(kMoney));
  }
  int Balance(std::string_view key, Transaction* transaction) { return std::stoi(Get(key, transaction).value_or("0")); }
  void Transfer(std::string_view from, std::string_view to, Transaction& transaction) {
    const int have = Balance(from, &transaction);
    std::this_thread::yield();                     // or each thread would be done before the next has begun
    Put(from, std::to_string(have - 1), 0, &transaction);
    const int there = Balance(to, &transaction);
    Put(to, std::to_string(there + 1), 0, &transaction);
    if (!transaction.Commit().ok()) std::abort();
  }
  int SumSeenIn(Transaction& transaction) {
    int sum = 0;
    for (const std::string_view key : keys) sum += Balance(key, &transaction);
    return sum;
  }
  /// As MGET reads.
  int SumSeenFromOutside() {
    Operation operation(*keyspace, 0, kNow, true);
    REQUIRE(operation.ReadOneMoment().ok());
    int sum = 0;
    for (const std::string_view key : keys) {
      const Result<StringRead> read = operation.ReadString(key);
      if (!read) std::abort();
      sum += std::stoi(std::string(read->found() ? read->value() : "0"));
    }
    return sum;
  }
};

TEST_CASE("whoever looks while money is moved finds all of it", "[transaction][threads]") {
  Bank bank;
  std::vector<std::thread> threads;
  const auto transfer = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 800; ++i) {
      const std::vector<std::string_view> pair{bank.keys[random() % kAccounts], bank.keys[random() % kAccounts]};
      if (pair[0] == pair[1]) continue;
      Transaction transaction(*bank.keyspace, true);
      if (!(random() % 20 == 0 ? transaction.LockEverything() : transaction.Lock(pair)).ok()) std::abort();
      bank.Transfer(pair[0], pair[1], transaction);
    }
  };
  for (unsigned i = 0; i < 3; ++i) threads.emplace_back(transfer, i);
  std::thread outside([&] {
    while (!bank.stop) bank.wrong += bank.SumSeenFromOutside() == kAccounts * kMoney ? 0 : 1;
  });
  std::thread inside([&] {
    for (int i = 0; !bank.stop; ++i) {
      Transaction transaction(*bank.keyspace, true);
      if (!(i % 2 == 0 ? transaction.LockNothing() : transaction.Lock(bank.keys)).ok()) std::abort();
      bank.wrong += bank.SumSeenIn(transaction) == kAccounts * kMoney ? 0 : 1;
    }
  });
  for (std::thread& thread : threads) thread.join();
  bank.stop = true;
  outside.join();
  inside.join();
  CHECK(bank.wrong == 0);
  CHECK(bank.SumSeenFromOutside() == kAccounts * kMoney);
}

TEST_CASE("whoever looks while everything is flushed and written anew finds all of it", "[transaction][threads]") {
  Bank bank;
  {
    Operation operation(*bank.keyspace, 1, kNow, true);
    REQUIRE(operation.Lock("money").ok());
    operation.PutString("money", "v");
    REQUIRE(operation.Commit().ok());
  }
  std::thread outside([&] {
    while (!bank.stop) bank.wrong += bank.SumSeenFromOutside() == kAccounts * kMoney ? 0 : 1;
  });
  // In two databases: all of the money is always in one of them.
  std::thread inside([&] {
    while (!bank.stop) {
      Transaction transaction(*bank.keyspace, true);
      if (!transaction.LockNothing().ok()) std::abort();
      int found = 0;
      for (const std::uint32_t database : {1u, 2u}) {
        Operation operation(*bank.keyspace, database, kNow, true, false, &transaction);
        const Result<StringRead> read = operation.ReadString("money");
        if (!read) std::abort();
        found += read->found() ? 1 : 0;
      }
      bank.wrong += found == 1 ? 0 : 1;
    }
  });
  for (int i = 0; i < 1000; ++i) {
    Transaction transaction(*bank.keyspace, true);
    REQUIRE(transaction.LockEverything().ok());
    REQUIRE(bank.keyspace->FlushDatabase(0, &transaction).ok());
    for (const std::string_view key : bank.keys) bank.Put(key, std::to_string(kMoney), 0, &transaction);
    if (i % 2 == 0) {
      REQUIRE(bank.keyspace->SwapDatabases(1, 2, &transaction).ok());
    } else {
      REQUIRE(bank.keyspace->FlushDatabase(2, &transaction).ok());
      REQUIRE(bank.keyspace->FlushDatabase(1, &transaction).ok());
      Operation operation(*bank.keyspace, 1, kNow, true, false, &transaction);
      operation.PutString("money", "v");
      REQUIRE(operation.Commit().ok());
    }
    REQUIRE(transaction.Commit().ok());
    REQUIRE(transaction.Settle().ok());
  }
  bank.stop = true;
  outside.join();
  inside.join();
  CHECK(bank.wrong == 0);
}

TEST_CASE("of those who watch and then write, none overwrites another", "[transaction][threads][watch]") {
  Bank bank;
  std::atomic<int> done{0};
  std::atomic<int> stopped{0};
  const auto transfer = [&](unsigned seed) {
    std::mt19937 random(seed);
    Watches watches(bank.keyspace->watched());
    for (int i = 0; i < 1000; ++i) {
      const std::vector<std::string_view> pair{bank.keys[random() % 4], bank.keys[4 + random() % 4]};
      int read[2];
      for (const int which : {0, 1}) {
        Operation operation(*bank.keyspace, 0, kNow, true);
        if (!operation.Lock(pair[static_cast<std::size_t>(which)]).ok()) std::abort();
        watches.Add(0, pair[static_cast<std::size_t>(which)], true, 0);
        read[which] = std::stoi(std::string(operation.ReadString(pair[static_cast<std::size_t>(which)])->value()));
      }
      if (random() % 4 == 0) std::this_thread::yield();
      Transaction transaction(*bank.keyspace, true);
      if (!transaction.Lock(pair).ok()) std::abort();
      if (watches.touched()) {
        ++stopped;
      } else {
        bank.Put(pair[0], std::to_string(read[0] - 1), 0, &transaction);
        bank.Put(pair[1], std::to_string(read[1] + 1), 0, &transaction);
        if (!transaction.Commit().ok()) std::abort();
        ++done;
      }
      watches.Clear();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back(transfer, i);
  for (std::thread& thread : threads) thread.join();
  int moved = 0;
  for (std::size_t i = 0; i < 4; ++i) moved += kMoney - bank.Balance(bank.keys[i], nullptr);
  CHECK(moved == done);
  CHECK(bank.SumSeenFromOutside() == kAccounts * kMoney);
  CHECK(stopped > 0);
  CHECK_FALSE(bank.keyspace->watched().any());
}

// ---- watching

TEST_CASE("an ingest may have brought any key", "[transaction][watch]") {
  TestKeyspace test;
  test.engine.on_ingest = [](const IngestRequest&) { return Result<IngestReport>(IngestReport{}); };
  Watches watches(test.keyspace->watched());
  watches.Add(0, "a", false, 0);
  REQUIRE(test.keyspace->Ingest("bundle"));
  CHECK(watches.touched());
}

/// MULTI; SET key new; SWAPDB 0 1; EXEC, where database 1 has the key too.
void WriteAndSwap(TestKeyspace& test) {
  Transaction transaction(*test.keyspace, true);
  REQUIRE(transaction.LockEverything().ok());
  test.Put("key", "new", 0, &transaction);
  REQUIRE(test.keyspace->SwapDatabases(0, 1, &transaction).ok());
  REQUIRE(transaction.Commit().ok());
  REQUIRE(transaction.Settle().ok());
}

TEST_CASE("what is written together with a change of the databases is not seen through the old ones", "[transaction][swap]") {
  TestKeyspace test;
  test.Put("key", "other");
  REQUIRE(test.keyspace->SwapDatabases(0, 1).ok());
  test.Put("key", "old");
  SECTION("by who looks between the two") {
    test.engine.after_write = [&] {
      Operation one(*test.keyspace, 0, kNow, false);
      CHECK(one.Read("key").error().code() == StatusCode::kWouldBlock);
      Operation several(*test.keyspace, 0, kNow, false);
      CHECK(several.ReadOneMoment().code() == StatusCode::kWouldBlock);
    };
    WriteAndSwap(test);
    test.engine.after_write = nullptr;
    CHECK(test.Get("key") == "other");
  }
  SECTION("by who has asked for the database before, and reads after") {
    bool done = false;
    test.engine.before_get = [&] {
      if (!std::exchange(done, true)) WriteAndSwap(test);
    };
    {
      Operation reader(*test.keyspace, 0, kNow, true, true);
      CHECK(reader.ReadString("key")->value() == "other");
    }
    CHECK(done);
    CHECK(test.keyspace->lookups().totals().hits == 1);
  }
}

TEST_CASE("a key that comes by a swap counts, one that stays away does not", "[transaction][watch]") {
  TestKeyspace test;
  test.Put("there", "v");
  REQUIRE(test.keyspace->SwapDatabases(0, 1).ok());
  Watches comes(test.keyspace->watched());
  comes.Add(0, "there", false, 0);
  Watches goes(test.keyspace->watched());
  goes.Add(1, "there", true, 0);
  Watches nowhere(test.keyspace->watched());
  nowhere.Add(0, "nowhere", false, 0);
  nowhere.Add(1, "nowhere", false, 0);
  Watches elsewhere(test.keyspace->watched());
  elsewhere.Add(2, "there", false, 0);
  SECTION("in a transaction") {
    Transaction transaction(*test.keyspace, true);
    REQUIRE(transaction.LockEverything().ok());
    REQUIRE(test.keyspace->SwapDatabases(0, 1, &transaction).ok());
    CHECK_FALSE(comes.touched());
    REQUIRE(transaction.Commit().ok());
    REQUIRE(transaction.Settle().ok());
  }
  SECTION("alone") { REQUIRE(test.keyspace->SwapDatabases(0, 1).ok()); }
  CHECK(comes.touched());
  CHECK(goes.touched());
  CHECK_FALSE(nowhere.touched());
  CHECK_FALSE(elsewhere.touched());
  test.Put("nowhere", "v");
  CHECK(nowhere.touched());
}

}  // namespace
}  // namespace lsmkv
