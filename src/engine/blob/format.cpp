#include "engine/blob/format.h"

#include "base/assert.h"
#include "base/coding.h"
#include "base/hash.h"
#include "engine/sstable/format.h"

namespace lsmkv {
namespace {

constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kIdAt = 16;
constexpr std::size_t kHeaderChecksumAt = 24;
constexpr std::size_t kFooterChecksumAt = 16;
constexpr std::size_t kFooterMagicAt = 24;

std::uint64_t FixedAt(std::string_view raw, std::size_t at) { return DecodeFixed<std::uint64_t>(raw.data() + at); }

/// The same for every record with these bytes, at one place only.
std::uint64_t InPlace(std::uint64_t checksum, std::uint64_t id, std::uint64_t offset) {
  return checksum + id * kBlobPlaceFactor + offset;
}

/// Checksum(fields + stored) without copying a value of perhaps many megabytes behind its header.
std::uint64_t ChecksumOfTwo(std::string_view fields, std::string_view stored) {
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_64bits_reset_withSeed(&state, kChecksumSeed);
  XXH3_64bits_update(&state, fields.data(), fields.size());
  XXH3_64bits_update(&state, stored.data(), stored.size());
  return XXH3_64bits_digest(&state);
}

}  // namespace

std::string EncodeBlobHeader(std::uint64_t id) {
  std::string out;
  PutFixed(&out, kBlobMagic);
  PutFixed(&out, kBlobFormatVersion);
  PutFixed(&out, std::uint32_t{0});
  PutFixed(&out, id);
  PutFixed(&out, Checksum(out) + id);
  LSMKV_ASSERT(out.size() == kBlobHeaderBytes);
  return out;
}

Status CheckBlobHeader(std::string_view raw, std::uint64_t id) {
  LSMKV_ASSERT(raw.size() == kBlobHeaderBytes);
  if (FixedAt(raw, 0) != kBlobMagic) return CorruptionAt(0, "no blob file header");
  const std::uint64_t stored_id = FixedAt(raw, kIdAt);
  if (FixedAt(raw, kHeaderChecksumAt) != Checksum(raw.substr(0, kHeaderChecksumAt)) + stored_id) {
    return CorruptionAt(0, "header checksum does not match");
  }
  const auto version = DecodeFixed<std::uint32_t>(raw.data() + kVersionAt);
  if (version > kBlobFormatVersion) {
    return Status::Unsupported("blob file format " + std::to_string(version) +
                               " is newer than this program, which reads up to " + std::to_string(kBlobFormatVersion));
  }
  if (version == 0) return CorruptionAt(0, "blob file format 0 does not exist");
  if (stored_id != id) return CorruptionAt(0, "this is blob file " + std::to_string(stored_id) + " under another's name");
  return {};
}

std::string EncodeBlobFooter(const BlobFooter& footer, std::uint64_t id) {
  std::string out;
  PutFixed(&out, footer.records);
  PutFixed(&out, footer.file_bytes);
  PutFixed(&out, Checksum(out) + id);
  PutFixed(&out, kBlobMagic);
  LSMKV_ASSERT(out.size() == kBlobFooterBytes);
  return out;
}

Result<BlobFooter> DecodeBlobFooter(std::string_view raw, std::uint64_t id, std::uint64_t file_bytes) {
  LSMKV_ASSERT(raw.size() == kBlobFooterBytes && file_bytes >= kBlobFooterBytes);
  const std::uint64_t offset = file_bytes - kBlobFooterBytes;
  if (FixedAt(raw, kFooterMagicAt) != kBlobMagic) return CorruptionAt(offset, "no blob file footer");
  if (FixedAt(raw, kFooterChecksumAt) != Checksum(raw.substr(0, kFooterChecksumAt)) + id) {
    return CorruptionAt(offset, "footer checksum does not match");
  }
  const BlobFooter footer{FixedAt(raw, 0), FixedAt(raw, sizeof(std::uint64_t))};
  if (footer.file_bytes == file_bytes) return footer;
  return CorruptionAt(offset, "the file has " + std::to_string(file_bytes) + " bytes, its footer says " +
                                  std::to_string(footer.file_bytes));
}

std::string EncodeBlobRecordHeader(std::uint64_t key_hash, std::string_view stored, Compression compression, std::uint64_t id,
                                   std::uint64_t offset) {
  LSMKV_ASSERT(!stored.empty() && stored.size() <= kMaxBlockBytes);
  std::string out(sizeof(std::uint64_t), '\0');
  PutFixed(&out, key_hash);
  PutFixed(&out, static_cast<std::uint32_t>(stored.size()));
  PutFixed(&out, static_cast<std::uint32_t>(compression));
  const std::uint64_t checksum = InPlace(ChecksumOfTwo(std::string_view(out).substr(sizeof(std::uint64_t)), stored), id, offset);
  out.replace(0, sizeof(checksum), reinterpret_cast<const char*>(&checksum), sizeof(checksum));
  LSMKV_ASSERT(out.size() == kBlobRecordHeaderBytes);
  return out;
}

Result<BlobRecordHeader> CheckBlobRecord(std::string_view raw, std::uint64_t id, std::uint64_t offset) {
  LSMKV_ASSERT(raw.size() > kBlobRecordHeaderBytes);
  if (FixedAt(raw, 0) != InPlace(Checksum(raw.substr(sizeof(std::uint64_t))), id, offset)) {
    return CorruptionAt(offset, "record checksum does not match");
  }
  BlobRecordHeader header;
  header.key_hash = FixedAt(raw, 8);
  header.stored_bytes = DecodeFixed<std::uint32_t>(raw.data() + kBlobStoredBytesAt);
  const auto compression = DecodeFixed<std::uint32_t>(raw.data() + 20);
  if (header.stored_bytes != raw.size() - kBlobRecordHeaderBytes) return CorruptionAt(offset, "record of another size than expected");
  if (compression > static_cast<std::uint32_t>(Compression::kZstd)) return CorruptionAt(offset, "unknown compression");
  header.compression = static_cast<Compression>(compression);
  return header;
}

bool BlobRecordFits(std::uint64_t offset, std::uint64_t record_bytes, std::uint64_t file_bytes) {
  if (record_bytes <= kBlobRecordHeaderBytes || record_bytes > kBlobRecordHeaderBytes + kMaxBlockBytes) return false;
  if (offset < kBlobHeaderBytes || offset > file_bytes) return false;
  return record_bytes + kBlobFooterBytes <= file_bytes - offset;
}

}  // namespace lsmkv
