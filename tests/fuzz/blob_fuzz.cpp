// The blob file's reader. Promises: nothing is read outside the file; no more is allocated than its bytes could unpack to;
// reading all of it ends, with records that fill the file or an error that names file and offset; a pointer, whatever it
// says, leads to its record or to an error.
//   input := mode:u8 pointers:u8 pointer_bytes:u8[16 * (pointers % 8)] file       mode 1: checksums put right
#include <vector>

#include "base/hash.h"
#include "engine/blob/blob_check.h"
#include "engine/blob/blob_reader.h"
#include "fuzz_support.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kId = 7;
constexpr std::string_view kName = "b.blob";

void Replace(std::string* file, std::size_t at, std::uint64_t number) {
  file->replace(at, sizeof(number), reinterpret_cast<const char*>(&number), sizeof(number));
}

void PutChecksumsRight(std::string* file) {
  if (file->size() < kBlobOverheadBytes) return;
  const std::size_t end = file->size() - kBlobFooterBytes;
  Replace(file, 0, kBlobMagic);
  Replace(file, 16, kId);
  Replace(file, 24, Checksum(std::string_view(*file).substr(0, 24)) + kId);
  Replace(file, end + 8, file->size());
  Replace(file, end + 16, Checksum(std::string_view(*file).substr(end, 16)) + kId);
  Replace(file, end + 24, kBlobMagic);
  for (std::size_t at = kBlobHeaderBytes; at + kBlobRecordHeaderBytes < end;) {
    const std::uint64_t bytes = kBlobRecordHeaderBytes + DecodeFixed<std::uint32_t>(file->data() + at + kBlobStoredBytesAt);
    if (!BlobRecordFits(at, bytes, file->size())) return;
    Replace(file, at, Checksum(std::string_view(*file).substr(at + 8, bytes - 8)) + kId * kBlobPlaceFactor + at);
    at += bytes;
  }
}

void MustBeNamed(const Status& status) {
  if (status.ok()) return;
  FUZZ_REQUIRE(status.code() == StatusCode::kCorruption || status.code() == StatusCode::kUnsupported, "it is damage or a newer format");
  FUZZ_REQUIRE(status.message().starts_with(kName), "an error names the file");
}

void Unpack(BlobRecord record) {
  const std::uint64_t key_hash = record.key_hash;
  const auto value = BlobValue::Make(std::move(record));
  if (!value) return;
  FUZZ_REQUIRE((*value)->key_hash() == key_hash, "a value knows whose it is");
  static_cast<void>(Hash((*value)->value()));   // so that the address sanitizer looks at every byte
}

/// True: it is whole.
bool ReadAll(const BlobReader& reader) {
  std::uint64_t next = kBlobHeaderBytes;
  std::vector<BlobPointer> pointers;
  std::vector<std::uint64_t> hashes;
  const Result<std::uint64_t> records = reader.ReadAll([&](std::uint64_t offset, const BlobRecord& record) {
    FUZZ_REQUIRE(offset == next, "records follow each other");
    next = offset + kBlobRecordHeaderBytes + record.stored.size();
    pointers.push_back({kId, offset, record.stored.size(), record.stored.size(), {}});
    hashes.push_back(record.key_hash);
  });
  MustBeNamed(records.status());
  if (records) FUZZ_REQUIRE(*records == pointers.size() && next == reader.file_bytes() - kBlobFooterBytes, "records fill the file");
  for (std::size_t at = 0; at < pointers.size(); ++at) {
    Result<BlobRecord> record = reader.Read(pointers[at], hashes[at]);
    FUZZ_REQUIRE(record.has_value(), "what was visited can be read");
    FUZZ_REQUIRE(!reader.Read(pointers[at], hashes[at] + 1), "and not as another key's");
    Unpack(std::move(*record));
  }
  return records.has_value();
}

}  // namespace
}  // namespace lsmkv

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lsmkv;
  fuzz::Input input(data, size);
  const std::uint8_t mode = input.Byte();
  std::vector<BlobPointer> pointers(input.Byte() % 8);
  for (BlobPointer& pointer : pointers) {
    char raw[16] = {};
    input.Take(sizeof(raw)).copy(raw, sizeof(raw));
    pointer = {kId, DecodeFixed<std::uint64_t>(raw), DecodeFixed<std::uint64_t>(raw + 8), UINT64_MAX, {}};
  }
  const std::string_view rest = input.Rest();
  if (const auto pointer = DecodeBlobPointer(rest)) {
    std::string encoded;
    PutBlobPointer(&encoded, *pointer);
    FUZZ_REQUIRE(DecodeBlobPointer(encoded) == pointer, "a pointer is written exactly");
  }
  std::string file(rest);
  constexpr std::size_t kMostRatio = 32768;   // compression.cpp: what a packed byte may stand for
  constexpr std::size_t kFixedBytes = 1 << 20;
  const fuzz::AllocationBound bound(kFixedBytes + kMostRatio * size);
  if (mode & fuzz::kRightChecksums) PutChecksumsRight(&file);
  const auto reader = BlobReader::Open(std::make_unique<fuzz::StringFile>(file), std::string(kName), kId);
  MustBeNamed(reader.status());
  if (!reader) return 0;
  const bool whole = ReadAll(**reader);
  const FileCheckHooks hooks{.on_read = [](std::uint64_t) { return true; }, .on_damage = &MustBeNamed};
  const FileCheckSummary summary = CheckBlobFile(fuzz::StringFile(file), std::string(kName), kId, hooks);
  FUZZ_REQUIRE(whole == (summary.damage == 0), "the check finds what reading finds");
  FUZZ_REQUIRE(summary.bytes <= 2 * file.size(), "and reads no more than there is");
  for (const BlobPointer& pointer : pointers) MustBeNamed((*reader)->Read(pointer, 1).status());
  return 0;
}
