// Blob files as they should be; damaged ones are in blob_damage_test.cpp.
#include "blob_test_util.h"

using namespace lsmkv;
using namespace lsmkv::blob_test;

TEST_CASE("every value is read back through its pointer, whatever its size and compression", "[blob]") {
  const auto seed = GENERATE(range(0u, 12u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto compression = static_cast<Compression>(seed % 3);
  std::vector<Stored> values = SomeValues(random, 60, seed % 4 == 0 ? 400'000 : 9000);   // some pass by the writer's buffer
  FaultFileSystem fs;
  WriteBlobFile(fs, "b.blob", 7, compression, &values);
  auto file = fs.NewRandomAccessFile("b.blob");
  REQUIRE(file);
  const auto reader = BlobReader::Open(std::move(*file), "b.blob", 7);
  REQUIRE(reader);
  std::uint64_t bytes = kBlobOverheadBytes;
  for (const Stored& stored : values) {
    CHECK(stored.pointer.value_bytes == stored.value.size());
    CHECK((stored.pointer.stored_bytes == stored.value.size() || compression != Compression::kNone));
    REQUIRE(*ReadValue(**reader, stored) == stored.value);
    bytes += stored.pointer.record_bytes();
  }
  CHECK((*reader)->file_bytes() == bytes);
  std::size_t seen = 0;
  const auto records = (*reader)->ReadAll([&](std::uint64_t offset, const BlobRecord& record) {
    REQUIRE(seen < values.size());
    CHECK(offset == values[seen].pointer.offset);
    CHECK(record.key_hash == Hash(values[seen].key));
    ++seen;
  });
  REQUIRE(records);
  CHECK(*records == values.size());
  CHECK(seen == values.size());
}

TEST_CASE("a record moved as it is stored reads the same in its new file", "[blob]") {
  const auto compression = GENERATE(Compression::kNone, Compression::kLz4, Compression::kZstd);
  std::mt19937_64 random(3);
  std::vector<Stored> values = SomeValues(random, 40, 5000);
  FaultFileSystem fs;
  WriteBlobFile(fs, "old.blob", 7, compression, &values);
  const auto old = BlobReader::Open(std::move(*fs.NewRandomAccessFile("old.blob")), "old.blob", 7);
  REQUIRE(old);
  {
    auto file = fs.NewWritableFile("new.blob");
    BlobWriter writer(**file, 8, Compression::kNone);
    for (Stored& stored : values) {
      const Result<BlobRecord> record = (*old)->Read(stored.pointer, Hash(stored.key));
      REQUIRE(record);
      const auto moved = writer.AddStored(Hash(stored.key), record->stored, record->compression, stored.pointer.value_bytes);
      REQUIRE(moved);
      CHECK(moved->stored_bytes == stored.pointer.stored_bytes);
      stored.pointer = *moved;
    }
    REQUIRE(writer.Finish().ok());
  }
  const auto moved = BlobReader::Open(std::move(*fs.NewRandomAccessFile("new.blob")), "new.blob", 8);
  REQUIRE(moved);
  for (const Stored& stored : values) REQUIRE(*ReadValue(**moved, stored) == stored.value);
}

TEST_CASE("a pointer survives its encoding, and half of one is none", "[blob]") {
  std::mt19937_64 random(4);
  for (int i = 0; i < 300; ++i) {
    BlobPointer pointer;
    pointer.blob = 1 + (random() >> random() % 64) % UINT64_MAX;
    pointer.offset = random() >> random() % 64;
    pointer.stored_bytes = 1 + random() % 10'000;
    pointer.value_bytes = pointer.stored_bytes + random() % 3;
    const std::string head = std::string("abcdefgh").substr(0, std::min<std::size_t>(8, pointer.value_bytes));
    pointer.head = head;
    std::string encoded;
    PutBlobPointer(&encoded, pointer);
    REQUIRE(DecodeBlobPointer(encoded) == pointer);
    for (std::size_t size = 0; size < encoded.size(); ++size) REQUIRE_FALSE(DecodeBlobPointer(encoded.substr(0, size)));
    REQUIRE_FALSE(DecodeBlobPointer(encoded + "x"));
  }
}

TEST_CASE("a write that fails fails for good", "[blob][fault]") {
  FaultFileSystem fs;
  auto file = fs.NewWritableFile("b.blob");
  BlobWriter writer(**file, 7, Compression::kNone);
  fs.SetCapacity(1000);
  const std::string large(300'000, 'x');
  Result<BlobPointer> pointer = writer.Add(1, large);
  REQUIRE_FALSE(pointer);
  CHECK(pointer.error().code() == StatusCode::kNoSpace);
  fs.SetCapacity(10'000'000);
  CHECK_FALSE(writer.Add(1, "small"));
  CHECK_FALSE(writer.Finish().ok());
}
