#include "lsmkv/write_batch.h"

#include <catch2/catch.hpp>
#include <memory>
#include <random>
#include <vector>

namespace lsmkv {
namespace {

struct Operation {
  EntryKind kind;
  std::string key;
  std::string value;
  std::uint64_t expire_at_ms;
  bool operator==(const Operation&) const = default;
};

std::vector<Operation> SomeOperations(std::uint64_t seed, int count) {
  std::mt19937_64 random(seed);
  const auto bytes = [&] {
    const std::size_t sizes[] = {0, 1, 16, 127, 128, 129, 16383, 16384};
    return std::string(sizes[random() % std::size(sizes)], static_cast<char>(random()));
  };
  std::vector<Operation> operations;
  for (int i = 0; i < count; ++i) {
    switch (random() % 3) {
      case 0: operations.push_back({EntryKind::kTombstone, bytes(), "", 0}); break;
      case 1: operations.push_back({EntryKind::kValue, bytes(), bytes(), 0}); break;
      default: operations.push_back({EntryKind::kExpiringValue, bytes(), bytes(), (random() >> (random() % 64)) | 1});
    }
  }
  return operations;
}

WriteBatch Batch(const std::vector<Operation>& operations) {
  WriteBatch batch;
  for (const Operation& operation : operations) {
    if (operation.kind == EntryKind::kTombstone) {
      batch.Delete(operation.key);
    } else {
      batch.Put(operation.key, operation.value, operation.expire_at_ms);
    }
  }
  return batch;
}

/// What can be read before the end or the damage. The bytes are copied to memory of exactly their size, so that a read
/// behind them shows under the address sanitizer.
std::vector<Operation> ReadAll(std::string_view bytes, Status* status) {
  const auto exact = std::make_unique<char[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  OperationReader reader({exact.get(), bytes.size()});
  std::vector<Operation> operations;
  EntryView entry;
  while (reader.Next(&entry)) {
    operations.push_back({entry.kind, std::string(entry.key), std::string(entry.value), entry.expire_at_ms});
  }
  CHECK_FALSE(reader.Next(&entry));
  *status = reader.status();
  return operations;
}

}  // namespace

TEST_CASE("operations come back in their order", "[write_batch]") {
  const auto seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  const std::vector<Operation> want = SomeOperations(seed, 100);
  const WriteBatch batch = Batch(want);
  CHECK(batch.count() == 100);
  Status status;
  CHECK(ReadAll(batch.operations(), &status) == want);
  CHECK(status.ok());
}

TEST_CASE("the bytes of a batch are the ones its header describes", "[write_batch]") {
  WriteBatch batch;
  batch.Put("k", "vv");
  batch.Delete("");
  batch.Put("k", "", 0x0807060504030201);
  using namespace std::string_view_literals;
  CHECK(batch.operations() == "\1\1k\2vv\0\0\2\1k\1\2\3\4\5\6\7\x08\0"sv);
}

TEST_CASE("a value in pieces is written as if it had been joined", "[write_batch]") {
  const std::string long_piece(300, 'x');
  const std::vector<std::string_view> pieces = {"a", "", long_piece, "b"};
  WriteBatch joined;
  joined.Put("key", "a" + long_piece + "b", 77);
  joined.Put("key", "");
  WriteBatch in_pieces;
  in_pieces.PutPieces("key", pieces, 77);
  in_pieces.PutPieces("key", {});
  CHECK(in_pieces.operations() == joined.operations());
  CHECK(in_pieces.count() == 2);
}

TEST_CASE("a cleared batch is empty and can be filled again", "[write_batch]") {
  WriteBatch batch = Batch(SomeOperations(1, 10));
  CHECK_FALSE(batch.empty());
  batch.Clear();
  CHECK(batch.empty());
  CHECK(batch.operations().empty());
  batch.Put("a", "b");
  Status status;
  CHECK(ReadAll(batch.operations(), &status) == std::vector<Operation>{{EntryKind::kValue, "a", "b", 0}});
}

TEST_CASE("reading leaves the sequence number alone", "[write_batch]") {
  WriteBatch batch;
  batch.Put("a", "b");
  EntryView entry;
  entry.sequence = 42;
  OperationReader reader(batch.operations());
  REQUIRE(reader.Next(&entry));
  CHECK(entry.sequence == 42);
}

TEST_CASE("a batch cut anywhere gives whole operations, then says that it is damaged", "[write_batch]") {
  std::vector<Operation> operations = {{EntryKind::kValue, "key", std::string(200, 'v'), 0},
                                       {EntryKind::kTombstone, std::string(130, 'k'), "", 0},
                                       {EntryKind::kExpiringValue, "", "value", 1'700'000'000'000},
                                       {EntryKind::kTombstone, "", "", 0}};
  const WriteBatch batch = Batch(operations);
  const std::string_view whole = batch.operations();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    Status status;
    const std::vector<Operation> got = ReadAll(whole.substr(0, size), &status);
    REQUIRE(got.size() < operations.size());
    CHECK(std::equal(got.begin(), got.end(), operations.begin()));
    const bool between = Batch(got).operations().size() == size;
    CHECK(status.code() == (between ? StatusCode::kOk : StatusCode::kCorruption));
  }
}

TEST_CASE("nothing is an operation too, and no batch can hold it", "[write_batch]") {
  const std::string bytes = std::string(Batch({}).operations()) + std::string(kNothingOperation) + std::string(kNothingOperation);
  OperationReader reader(bytes);
  EntryView entry;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(reader.Next(&entry));
    CHECK(entry.kind == EntryKind::kNothing);
    CHECK(entry.key.empty());
  }
  CHECK_FALSE(reader.Next(&entry));
  CHECK(reader.status().ok());
}

TEST_CASE("bytes that are no operation are refused", "[write_batch]") {
  using namespace std::string_view_literals;
  const auto bytes = GENERATE(values<std::string_view>({
      "\3\1k\1v"sv,                          // no such kind
      "\xff"sv,
      "\1\xff\xff\xff\xff\x0fk"sv,           // a key of 4 GiB
      "\1\xff\xff\xff\xff\xff\x01k"sv,       // a key length of more than 32 bits
      "\1\1k\5v"sv,                          // a value longer than what is left
      "\2\1k\0\0\0\0\0\0\0\0\1v"sv,          // a deadline of "never"
  }));
  Status status;
  CHECK(ReadAll(bytes, &status).empty());
  CHECK(status.code() == StatusCode::kCorruption);
}

TEST_CASE("random and damaged bytes never make the reader leave its bounds", "[write_batch]") {
  const auto seed = GENERATE(range(0u, 50u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const WriteBatch batch = Batch(SomeOperations(seed, 5));
  for (int round = 0; round < 100; ++round) {
    std::string damaged(batch.operations().substr(0, 2000));
    for (std::uint64_t flips = random() % 10; flips > 0 && !damaged.empty(); --flips) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    std::string noise(random() % 64, '\0');
    for (char& byte : noise) byte = static_cast<char>(random() % 4 == 0 ? random() : random() % 4);
    for (const std::string& bytes : {damaged, noise}) {
      Status status;
      std::size_t total = 0;
      for (const Operation& operation : ReadAll(bytes, &status)) total += operation.key.size() + operation.value.size();
      REQUIRE(total <= bytes.size());
    }
  }
}

}  // namespace lsmkv
