// The keyspace on the real engine over a disk that loses power: what databases hold afterwards is what they held at one moment, no earlier
// than what was last said to be durable. So no transaction is torn, no flush or swap is half done, and compaction has dropped nothing
// for a flush that did not survive.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/engine_fixture.h"
#include "fs/fault_file_system.h"
#include "keyspace/keyspace.h"
#include "keyspace/operation.h"
#include "keyspace/transaction.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kNow = 1'000'000;
constexpr std::uint32_t kDatabases = 3;
constexpr int kKeys = 60;

using Contents = std::array<std::map<std::string, std::string>, kDatabases>;

/// A server's insides, without the server.
class Tree {
 public:
  explicit Tree(FaultFileSystem& fs) : fs_(fs) { Open(); }

  void LosePower(std::uint64_t seed, CutMode mode) {
    fs_.FailCall(1, Fault::kIoError, FaultSpan::kFromThenOn);      // the engine's threads are to die with the machine
    keyspace_.reset();
    engine_.reset();
    map_.reset();
    fs_.ClearFaults();
    fs_.PowerCut(seed, mode);
    Open();
  }
  Keyspace& keyspace() { return *keyspace_; }
  Engine& engine() { return *engine_; }
  Contents Read() {
    Contents contents;
    for (std::uint32_t db = 0; db < kDatabases; ++db) {
      const auto visit = [&](std::string_view key, ValueType) {
        Operation operation(*keyspace_, db, kNow, true);
        const Result<StringRead> read = operation.ReadString(key);
        REQUIRE(read);
        contents[db][std::string(key)] = std::string(read->value());
        return true;
      };
      REQUIRE(keyspace_->Scan({.database = db, .now_ms = kNow}, visit));
    }
    return contents;
  }

 private:
  void Open() {
    map_ = std::make_unique<DatabaseMap>();
    Options options = engine_test::TinyOptions(&fs_);
    options.min_blob_bytes = 200;
    options.wal_fsync = WalFsync::kNo;
    options.compaction_filter = map_.get();
    engine_ = engine_test::MustOpen(options);
    Result<std::unique_ptr<Keyspace>> keyspace = Keyspace::Open(*engine_, kDatabases, *map_);
    if (!keyspace) FAIL(keyspace.error().message());
    keyspace_ = std::move(*keyspace);
  }

  FaultFileSystem& fs_;
  std::unique_ptr<DatabaseMap> map_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Keyspace> keyspace_;
};

class History {
 public:
  explicit History(std::uint32_t seed) : random_(seed) {}

  void Step() {
    switch (random_() % 24) {
      case 0: return Flush();
      case 1: return Swap();
      case 2: return FlushAll();
      case 3: return static_cast<void>(tree_.engine().Flush());
      case 4: return static_cast<void>(tree_.engine().Compact());
      case 5:
        REQUIRE(tree_.engine().Sync().ok());
        return Durable();
      case 6: return LosePower();
      case 7:
      case 8:
      case 9: return Transact();
      default: return Write();
    }
  }
  void LosePower() {
    static constexpr CutMode kModes[] = {CutMode::kLost, CutMode::kKept, CutMode::kTorn512, CutMode::kTorn4096, CutMode::kOutOfOrder};
    tree_.LosePower(random_(), kModes[random_() % std::size(kModes)]);
    const Contents found = tree_.Read();
    // The newest first: several moments may look alike.
    const auto moment = std::find(moments_.rbegin(), moments_.rend(), found);
    REQUIRE(moment != moments_.rend());
    moments_ = {found};
  }
  void Check() {
    REQUIRE(tree_.Read() == moments_.back());
  }

 private:
  std::uint32_t Database() { return static_cast<std::uint32_t>(random_() % kDatabases); }
  std::string Key() { return "key" + std::to_string(random_() % kKeys); }
  std::string Value() { return std::string(random_() % 6 == 0 ? 300 : 5, 'v') + std::to_string(++values_); }
  void Now(Contents contents) { moments_.push_back(std::move(contents)); }
  void Durable() { moments_.erase(moments_.begin(), moments_.end() - 1); }

  void Change(Contents* contents, Transaction* transaction) {
    const std::uint32_t db = Database();
    const std::string key = Key();
    Operation operation(tree_.keyspace(), db, kNow, true, false, transaction);
    REQUIRE(operation.Lock(key).ok());
    if (random_() % 4 == 0) {
      operation.Delete(key);
      (*contents)[db].erase(key);
    } else {
      const std::string value = Value();
      operation.PutString(key, value);
      (*contents)[db][key] = value;
    }
    REQUIRE(operation.Commit().ok());
  }
  void Write() {
    Contents contents = moments_.back();
    Change(&contents, nullptr);
    Written(std::move(contents));
  }
  void Transact() {
    Contents contents = moments_.back();
    {
      Transaction transaction(tree_.keyspace(), true);
      REQUIRE(transaction.LockEverything().ok());
      for (auto left = random_() % 8; left > 0; --left) Change(&contents, &transaction);
      if (random_() % 4 == 0) {
        const std::uint32_t db = Database();
        transaction.ChangeTable([db](DatabaseTable& table) { table.Flush(db); });
        contents[db].clear();
      }
      REQUIRE(transaction.Commit().ok());
      REQUIRE(transaction.Settle().ok());
    }
    Written(std::move(contents));
  }
  /// The log is given to the system now, or some steps later.
  void Written(Contents contents) {
    Now(std::move(contents));
    if (random_() % 2 == 0) REQUIRE(tree_.engine().Commit());
  }
  void Flush() {
    const std::uint32_t db = Database();
    REQUIRE(tree_.keyspace().FlushDatabase(db).ok());
    Contents contents = moments_.back();
    contents[db].clear();
    Now(std::move(contents));
    Durable();
  }
  void FlushAll() {
    if (random_() % 4 != 0) return;
    REQUIRE(tree_.keyspace().FlushAll().ok());
    Now({});
    Durable();
  }
  void Swap() {
    const std::uint32_t first = Database();
    const std::uint32_t second = Database();
    REQUIRE(tree_.keyspace().SwapDatabases(first, second).ok());
    Contents contents = moments_.back();
    std::swap(contents[first], contents[second]);
    Now(std::move(contents));
    if (first != second) Durable();
  }

  std::mt19937 random_;
  FaultFileSystem fs_;
  Tree tree_{fs_};
  std::vector<Contents> moments_{Contents{}};      // the first is durable; a power cut may lead back to any
  std::uint64_t values_ = 0;
};

TEST_CASE("whatever power cuts leave of databases is what they held at one moment, on the real engine", "[keyspace][crash][model]") {
  const bool long_form = std::getenv("LSMKV_LONG_TESTS") != nullptr;
  const auto seed = GENERATE_COPY(range(0u, long_form ? 400u : 20u));
  CAPTURE(seed);
  History history(seed);
  for (int step = 0; step < 300; ++step) {
    CAPTURE(step);
    history.Step();
    if (step % 16 == 0) history.Check();
  }
  history.LosePower();
}

}  // namespace
}  // namespace lsmkv
