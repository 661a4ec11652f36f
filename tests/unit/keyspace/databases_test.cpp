// The database table, the compaction filter it makes, and both over power cuts.
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <thread>

#include "fake_engine.h"
#include "keyspace/keyspace.h"
#include "keyspace/operation.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kNow = 1'000'000;

struct Opened {
  std::unique_ptr<DatabaseMap> map = std::make_unique<DatabaseMap>();
  std::unique_ptr<Keyspace> keyspace;
};

Opened OpenOver(FakeEngine& engine, std::uint32_t databases = 4) {
  Opened opened;
  engine.SetFilter(opened.map.get());
  Result<std::unique_ptr<Keyspace>> keyspace = Keyspace::Open(engine, databases, *opened.map);
  REQUIRE(keyspace);
  opened.keyspace = std::move(*keyspace);
  return opened;
}

void Put(Keyspace& keyspace, std::uint32_t database, std::string_view key, std::string_view value) {
  Operation operation(keyspace, database, kNow, true);
  REQUIRE(operation.Lock(key).ok());
  operation.PutString(key, value);
  REQUIRE(operation.Commit().ok());
}

std::string Read(Keyspace& keyspace, std::uint32_t database, std::string_view key) {
  Operation operation(keyspace, database, kNow, true);
  const Result<StringRead> read = operation.ReadString(key);
  REQUIRE(read);
  return read->found() ? std::string(read->value()) : "(absent)";
}

TEST_CASE("a database table comes back as it was written, and damage is noticed", "[databases]") {
  DatabaseTable table = DatabaseTable::Fresh(16);
  for (int i = 0; i < 300; ++i) table.Flush(static_cast<std::uint32_t>(i % 16));
  table.Swap(3, 4);
  table.FlushAll();
  const std::string record = table.Encode();
  const Result<DatabaseTable> decoded = DatabaseTable::Decode(record);
  REQUIRE(decoded);
  CHECK(*decoded == table);
  for (std::size_t at = 0; at < record.size(); ++at) {
    std::string damaged = record;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    CHECK_FALSE(DatabaseTable::Decode(damaged));
    CHECK_FALSE(DatabaseTable::Decode(record.substr(0, at)));
  }
}

TEST_CASE("ids of flushed databases are dead, others and future ones are not", "[databases]") {
  DatabaseMap map;
  CHECK_FALSE(map.IsDead(EngineKey(0, "k").view()));
  DatabaseTable table = DatabaseTable::Fresh(3);   // 0 1 2
  map.Prepare(3, table);
  map.MarkDurable(table);
  table.Flush(1);                                  // 0 3 2
  map.Install(table);
  CHECK(map.Physical(1) == 3);
  CHECK_FALSE(map.IsDead(EngineKey(1, "k").view()));   // not yet durable
  map.MarkDurable(table);
  const auto dead = [&](std::uint64_t id) { return map.IsDead(EngineKey(id, "k").view()); };
  CHECK(dead(1));
  for (const std::uint64_t id : {0u, 2u, 3u, 4u, 1000u}) CHECK_FALSE(dead(id));
  CHECK_FALSE(map.IsDead(ServerKey("databases")));
  const auto range_dead = [&](std::uint64_t first, std::uint64_t last) {
    return map.IsRangeDead(EngineKey(first, "a").view(), EngineKey(last, "b").view());
  };
  CHECK(range_dead(1, 1));
  CHECK_FALSE(range_dead(1, 2));
  CHECK_FALSE(range_dead(0, 1));
  CHECK_FALSE(range_dead(1, 4));
  CHECK_FALSE(map.IsRangeDead(ServerKey("a"), EngineKey(1, "b").view()));
  const DatabaseTable older = table;
  table.FlushAll();                                // 4 5 6
  map.MarkDurable(table);
  map.MarkDurable(older);                          // told late: changes nothing
  CHECK(range_dead(0, 3));
  CHECK_FALSE(range_dead(3, 4));
  CHECK_FALSE(range_dead(7, 7));
}

TEST_CASE("a living database is never called dead while the table changes", "[databases]") {
  DatabaseMap map;
  DatabaseTable table = DatabaseTable::Fresh(8);
  map.Prepare(8, table);
  map.MarkDurable(table);
  std::atomic<bool> stop{false};
  std::atomic<bool> wrong{false};
  std::thread reader([&] {
    while (!stop) {
      if (map.IsDead(EngineKey(7, "k").view())) wrong = true;                  // never flushed below
      const std::uint64_t id = map.Physical(2);                               // newest: not durable or alive
      if (map.IsDead(EngineKey(id, "k").view()) && map.Physical(2) == id) wrong = true;
    }
  });
  for (int i = 0; i < 5000; ++i) {
    table.Flush(static_cast<std::uint32_t>(i % 7));
    table.Swap(5, 7);
    map.Install(table);
    map.MarkDurable(table);
    table.Swap(5, 7);
  }
  stop = true;
  reader.join();
  CHECK_FALSE(wrong);
}

TEST_CASE("the table is kept over a restart, whatever number of databases is asked for", "[databases]") {
  FakeEngine engine;
  {
    const Opened opened = OpenOver(engine, 4);
    Put(*opened.keyspace, 0, "k", "zero");
    Put(*opened.keyspace, 3, "k", "three");
    REQUIRE(opened.keyspace->SwapDatabases(0, 3).ok());
    REQUIRE(opened.keyspace->FlushDatabase(1).ok());
  }
  {
    const Opened fewer = OpenOver(engine, 2);
    CHECK(fewer.keyspace->databases() == 2);
    CHECK(Read(*fewer.keyspace, 0, "k") == "three");
    engine.CompactNow();
  }
  const Opened more = OpenOver(engine, 6);
  CHECK(Read(*more.keyspace, 0, "k") == "three");
  CHECK(Read(*more.keyspace, 3, "k") == "zero");
  CHECK(Read(*more.keyspace, 5, "k") == "(absent)");
}

TEST_CASE("a damaged table stops the start", "[databases]") {
  FakeEngine engine;
  { const Opened opened = OpenOver(engine); }
  WriteBatch batch;
  batch.Put(ServerKey("databases"), "rubbish that is long enough");
  REQUIRE(engine.Write(batch, {}));
  DatabaseMap map;
  const auto keyspace = Keyspace::Open(engine, 4, map);
  REQUIRE_FALSE(keyspace);
  CHECK(keyspace.error().code() == StatusCode::kCorruption);
}

TEST_CASE("power lost before a flush was synced brings the data back, also past compaction", "[databases][crash]") {
  FakeEngine engine;
  {
    Opened opened = OpenOver(engine);
    Put(*opened.keyspace, 0, "k", "v");
    REQUIRE(engine.Sync().ok());
    engine.during_sync = [&] { engine.CompactNow(); };   // compaction runs while the sync is on its way
    engine.fail_syncs = true;
    CHECK_FALSE(opened.keyspace->FlushDatabase(0).ok());
    CHECK(Read(*opened.keyspace, 0, "k") == "(absent)");
    engine.CompactNow();
    engine.during_sync = nullptr;
    engine.fail_syncs = false;
  }
  engine.LosePower();
  const Opened opened = OpenOver(engine);
  CHECK(Read(*opened.keyspace, 0, "k") == "v");
}

TEST_CASE("a flush that a killed process left unsynced is made safe before compaction may act on it", "[databases][crash]") {
  FakeEngine engine;
  {
    Opened opened = OpenOver(engine);
    Put(*opened.keyspace, 0, "k", "v");
    REQUIRE(engine.Sync().ok());
    engine.fail_syncs = true;
    CHECK_FALSE(opened.keyspace->FlushDatabase(0).ok());   // kill -9 here: the operating system still has the record
    engine.fail_syncs = false;
  }
  {
    DatabaseMap map;
    engine.SetFilter(&map);
    engine.during_sync = [&] { engine.CompactNow(); };
    REQUIRE(Keyspace::Open(engine, 4, map));
    engine.during_sync = nullptr;
    engine.CompactNow();
  }
  engine.LosePower();
  const Opened opened = OpenOver(engine);
  CHECK(Read(*opened.keyspace, 0, "k") == "(absent)");
}

TEST_CASE("any history of flushes, swaps, compactions and power cuts keeps what was synced", "[databases][model]") {
  const auto seed = GENERATE(range(0u, 10u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  using Contents = std::array<std::map<std::string, std::string>, 4>;
  Contents model;
  Contents synced;
  FakeEngine engine;
  Opened opened = OpenOver(engine);
  const auto database = [&] { return static_cast<std::uint32_t>(random() % 4); };
  for (int step = 0; step < 300; ++step) {
    const std::uint32_t first = database();
    const std::uint32_t second = database();
    switch (random() % 10) {
      case 0:
        REQUIRE(opened.keyspace->FlushDatabase(first).ok());
        model[first].clear();
        synced = model;
        break;
      case 1:
        if (random() % 4 != 0) break;
        REQUIRE(opened.keyspace->FlushAll().ok());
        model = {};
        synced = model;
        break;
      case 2:
        REQUIRE(opened.keyspace->SwapDatabases(first, second).ok());
        std::swap(model[first], model[second]);
        if (first != second) synced = model;
        break;
      case 3: engine.CompactNow(); break;
      case 4:
        engine.LosePower();
        model = synced;
        opened = OpenOver(engine);
        break;
      case 5:   // a sync that fails: the change is seen, but a power cut may undo it
        engine.fail_syncs = true;
        CHECK_FALSE(opened.keyspace->FlushDatabase(first).ok());
        engine.fail_syncs = false;
        model[first].clear();
        break;
      default: {
        const std::string key = std::to_string(random() % 10);
        const std::string value = std::to_string(step);
        Put(*opened.keyspace, first, key, value);
        model[first][key] = value;
      }
    }
    for (std::uint32_t db = 0; db < 4; ++db) {
      std::map<std::string, std::string> found;
      const auto visit = [&, db](std::string_view key, ValueType) {
        found[std::string(key)] = Read(*opened.keyspace, db, key);
        return true;
      };
      REQUIRE(opened.keyspace->Scan({.database = db, .now_ms = kNow}, visit));
      REQUIRE(found == model[db]);
    }
  }
}

TEST_CASE("dead data is found and dropped", "[databases]") {
  FakeEngine engine;
  Opened opened = OpenOver(engine);
  for (int i = 0; i < 100; ++i) Put(*opened.keyspace, 0, std::to_string(i), "v");
  const int reclaims = engine.reclaims;
  REQUIRE(opened.keyspace->FlushAll().ok());
  CHECK(engine.reclaims > reclaims);
  engine.CompactNow();
  CHECK(engine.size() == 1);   // the table
}

TEST_CASE("a write is never lost into a flushed database", "[databases][threads]") {
  FakeEngine engine;
  Opened opened = OpenOver(engine);
  Keyspace& keyspace = *opened.keyspace;
  std::atomic<bool> stop{false};
  std::atomic<int> lost{0};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const std::string key = "k" + std::to_string(writer);
      for (int i = 0; !stop; ++i) {
        // Whoever flushes takes all key locks: while this key's is held, the database stays the one that is written to.
        Operation operation(keyspace, 0, kNow, false);
        if (!operation.Lock(key).ok()) continue;
        const std::uint64_t before = keyspace.Physical(0);
        operation.PutString(key, std::to_string(i));
        if (!operation.Commit().ok()) ++lost;
        const Result<StringRead> read = operation.ReadString(key);
        if (!read || read->value() != std::to_string(i)) ++lost;
        if (keyspace.Physical(0) != before) ++lost;
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    REQUIRE(keyspace.FlushDatabase(0).ok());
    REQUIRE(keyspace.SwapDatabases(0, 1).ok());
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  CHECK(lost == 0);
}

}  // namespace
}  // namespace lsmkv
