// What damage does to a blob file: an error that says where, never a wrong value.
#include "blob_test_util.h"
#include "engine/blob/blob_check.h"

using namespace lsmkv;
using namespace lsmkv::blob_test;

namespace {

std::string BlobBytes(std::uint64_t id, Compression compression, std::vector<Stored>* values) {
  FaultFileSystem fs;
  WriteBlobFile(fs, "b.blob", id, compression, values);
  return *fs.ReadWholeFile("b.blob");
}

void CheckError(const Status& status) {
  if (status.code() != StatusCode::kCorruption && status.code() != StatusCode::kUnsupported) FAIL(status.message());
  if (!status.message().starts_with("b.blob: ")) FAIL(status.message());
}

/// What CheckBlobFile finds.
std::uint64_t DamageIn(std::string_view bytes) {
  const FileCheckHooks hooks{.on_read = [](std::uint64_t) { return true; }, .on_damage = &CheckError};
  return CheckBlobFile(StringFile(bytes), "b.blob", 7, hooks).damage;
}

struct Answers {
  int wrong_values = 0;   // errors met by lookups
  bool whole = false;     // ReadAll found nothing wrong
};

/// Every answer is right or an error.
Answers CheckAnswers(std::string_view bytes, std::uint64_t id, const std::vector<Stored>& values) {
  Answers answers;
  const auto reader = OpenString(bytes, id);
  if (!reader) {
    CheckError(reader.error());
    answers.wrong_values = static_cast<int>(values.size());
    return answers;
  }
  for (const Stored& stored : values) {
    const Result<std::string> value = ReadValue(**reader, stored);
    if (value) {
      if (*value != stored.value) FAIL("a wrong value for " + stored.key);
    } else {
      CheckError(value.error());
      ++answers.wrong_values;
    }
  }
  const auto records = (*reader)->ReadAll(nullptr);
  answers.whole = records.has_value();
  if (records) {
    if (*records != values.size()) FAIL("records missing without an error");
  } else {
    CheckError(records.error());
  }
  return answers;
}

}  // namespace

TEST_CASE("no flipped byte anywhere gives a wrong value, and none goes unnoticed", "[blob]") {
  const auto compression = GENERATE(Compression::kNone, Compression::kLz4, Compression::kZstd);
  std::mt19937_64 random(5);
  std::vector<Stored> values = SomeValues(random, 12, 700);
  std::string bytes = BlobBytes(7, compression, &values);
  REQUIRE(CheckAnswers(bytes, 7, values).whole);
  REQUIRE(DamageIn(bytes) == 0);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char saved = bytes[at];
    const std::uint64_t flipped = random() % 2 == 0 ? std::uint64_t{1} << random() % 8 : 1 + random() % 255;
    bytes[at] = static_cast<char>(saved ^ static_cast<char>(flipped));
    const Answers answers = CheckAnswers(bytes, 7, values);
    if (answers.whole) FAIL("unnoticed at " << at);
    if (DamageIn(bytes) == 0) FAIL("unnoticed by the check at " << at);
    const bool in_record = at >= kBlobHeaderBytes && at < bytes.size() - kBlobFooterBytes;
    if (in_record && answers.wrong_values != 1) FAIL(answers.wrong_values << " values are gone for a byte at " << at);
    bytes[at] = saved;
  }
}

TEST_CASE("a cut or shifted blob file is not whole, and what is not there is not read", "[blob]") {
  std::mt19937_64 random(6);
  std::vector<Stored> values = SomeValues(random, 12, 700);
  const std::string bytes = BlobBytes(7, Compression::kLz4, &values);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (CheckAnswers(std::string_view(bytes).substr(0, size), 7, values).whole) FAIL("whole when cut to " << size);
    if (DamageIn(std::string_view(bytes).substr(0, size)) == 0) FAIL("unnoticed by the check when cut to " << size);
  }
  CHECK_FALSE(CheckAnswers(bytes + "x", 7, values).whole);
  CHECK(CheckAnswers("x" + bytes, 7, values).wrong_values == 12);
}

TEST_CASE("a check goes on behind a damaged value", "[blob]") {
  std::mt19937_64 random(9);
  std::vector<Stored> values = SomeValues(random, 12, 700);
  std::string bytes = BlobBytes(7, Compression::kNone, &values);
  for (const std::size_t damaged : {1u, 5u, 9u}) bytes[values[damaged].pointer.offset + kBlobRecordHeaderBytes] ^= 1;
  CHECK(DamageIn(bytes) == 3);
}

TEST_CASE("a record in another place, another file or for another key is noticed", "[blob]") {
  std::vector<Stored> values = {{"a", std::string(100, 'a'), {}}, {"b", std::string(100, 'b'), {}}};
  const std::string bytes = BlobBytes(7, Compression::kNone, &values);
  const auto reader = OpenString(bytes, 7);
  REQUIRE(reader);
  const Stored crossed{"a", {}, values[1].pointer};
  CHECK(ReadValue(**reader, crossed).error().message() == "b.blob: offset 156: this is another key's value");

  std::string moved = bytes;     // the second record's bytes where the first one was
  const std::size_t record_bytes = values[0].pointer.record_bytes();
  moved.replace(values[0].pointer.offset, record_bytes, bytes.substr(values[1].pointer.offset, record_bytes));
  const auto moved_reader = OpenString(moved, 7);
  CHECK(ReadValue(**moved_reader, values[0]).error().message() == "b.blob: offset 32: record checksum does not match");

  std::vector<Stored> same = values;
  std::string other = BlobBytes(8, Compression::kNone, &same);
  REQUIRE(other.size() == bytes.size());
  CHECK(OpenString(other, 7).error().message() == "b.blob: offset 0: this is blob file 8 under another's name");
  other.replace(0, kBlobHeaderBytes, bytes.substr(0, kBlobHeaderBytes));
  CHECK(ReadValue(**OpenString(other, 7), values[0]).error().code() == StatusCode::kCorruption);
}

TEST_CASE("a pointer may say anything", "[blob]") {
  std::vector<Stored> values = {{"a", std::string(100, 'a'), {}}};
  const std::string bytes = BlobBytes(7, Compression::kNone, &values);
  const auto reader = OpenString(bytes, 7);
  REQUIRE(reader);
  std::mt19937_64 random(8);
  for (int i = 0; i < 2000; ++i) {
    Stored wild = values[0];
    if (random() % 2 == 0) wild.pointer.offset = random() >> random() % 64;
    if (random() % 2 == 0) wild.pointer.stored_bytes = random() >> random() % 64;
    if (random() % 8 == 0) wild.pointer.blob = random();
    if (wild.pointer == values[0].pointer) continue;
    const auto value = ReadValue(**reader, wild);
    if (value) FAIL("read from " << wild.pointer.offset << ", " << wild.pointer.stored_bytes << " bytes");
    CheckError(value.error());
  }
}

TEST_CASE("a newer blob format is refused by name", "[blob]") {
  std::vector<Stored> values = {{"a", std::string(100, 'a'), {}}};
  std::string bytes = BlobBytes(7, Compression::kNone, &values);
  bytes[8] = static_cast<char>(kBlobFormatVersion + 1);
  CHECK(OpenString(bytes, 7).error().code() == StatusCode::kCorruption);
  const std::uint64_t checksum = Checksum(std::string_view(bytes).substr(0, 24)) + 7;
  bytes.replace(24, 8, reinterpret_cast<const char*>(&checksum), 8);
  const Status refused = OpenString(bytes, 7).error();
  CHECK(refused.code() == StatusCode::kUnsupported);
  CHECK(refused.message() == "b.blob: blob file format 2 is newer than this program, which reads up to 1");
}
