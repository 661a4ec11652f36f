#include "engine/sstable/table_properties.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "base/coding.h"
#include "engine/blob_pointer.h"

namespace lsmkv {
namespace {

constexpr std::uint32_t kMaxWidthLog2 = 63;

/// The integer fields, by their number in the file.
struct IntegerField {
  std::uint32_t number;
  std::uint64_t TableProperties::*member;
};
constexpr IntegerField kIntegerFields[] = {
    {4, &TableProperties::entries},           {5, &TableProperties::tombstones},
    {6, &TableProperties::expiring},          {7, &TableProperties::expires_first_ms},
    {8, &TableProperties::expires_last_ms},   {12, &TableProperties::smallest_sequence},
    {13, &TableProperties::largest_sequence}, {14, &TableProperties::raw_key_bytes},
    {15, &TableProperties::raw_value_bytes},  {16, &TableProperties::data_blocks},
    {17, &TableProperties::data_bytes},       {18, &TableProperties::index_bytes},
    {19, &TableProperties::filter_bytes},
};
// Those of other types.
constexpr std::uint32_t kFormatVersionField = 1;
constexpr std::uint32_t kCompressionField = 2;
constexpr std::uint32_t kBloomBitsField = 3;
constexpr std::uint32_t kExpiryField = 9;
constexpr std::uint32_t kSmallestKeyField = 10;
constexpr std::uint32_t kLargestKeyField = 11;
constexpr std::uint32_t kBlobsField = 20;

void PutBytes(std::string* out, std::uint32_t number, std::string_view bytes) {
  PutVarint(out, number);
  PutLengthPrefixed(out, bytes);
}

void PutInteger(std::string* out, std::uint32_t number, std::uint64_t integer) {
  char bytes[kMaxVarint64Bytes];
  PutBytes(out, number, std::string_view(bytes, static_cast<std::size_t>(EncodeVarint(bytes, integer) - bytes)));
}

bool ReadInteger(std::string_view bytes, std::uint64_t limit, std::uint64_t* integer) {
  return GetVarint64(&bytes, integer) && bytes.empty() && *integer <= limit;
}

/// (number entries bytes)*, ascending by number.
std::string EncodeBlobs(const std::map<std::uint64_t, BlobShare>& blobs) {
  std::string out;
  for (const auto& [number, share] : blobs) {
    for (const std::uint64_t figure : {number, share.entries, share.bytes}) PutVarint(&out, figure);
  }
  return out;
}

bool DecodeBlobs(std::string_view in, std::map<std::uint64_t, BlobShare>* blobs) {
  while (!in.empty()) {
    std::uint64_t number = 0;
    BlobShare share;
    if (!GetVarint64(&in, &number) || !GetVarint64(&in, &share.entries) || !GetVarint64(&in, &share.bytes)) return false;
    if (!blobs->empty() && blobs->rbegin()->first >= number) return false;
    blobs->emplace_hint(blobs->end(), number, share);
  }
  return true;
}

/// False when the value is malformed.
bool ReadField(std::uint32_t number, std::string_view bytes, TableProperties* properties) {
  std::uint64_t integer = 0;
  switch (number) {
    case kFormatVersionField:
      if (!ReadInteger(bytes, UINT32_MAX, &integer)) return false;
      properties->format_version = static_cast<std::uint32_t>(integer);
      return true;
    case kCompressionField:
      if (!ReadInteger(bytes, static_cast<std::uint64_t>(Compression::kZstd), &integer)) return false;
      properties->compression = static_cast<Compression>(integer);
      return true;
    case kBloomBitsField:
      if (!ReadInteger(bytes, UINT32_MAX, &integer)) return false;
      properties->bloom_bits_per_key = static_cast<std::uint32_t>(integer);
      return true;
    case kExpiryField: return properties->expiry.DecodeFrom(bytes);
    case kSmallestKeyField: properties->smallest_key = bytes; return true;
    case kLargestKeyField: properties->largest_key = bytes; return true;
    case kBlobsField: return DecodeBlobs(bytes, &properties->blobs);
    default: break;
  }
  for (const IntegerField& field : kIntegerFields) {
    if (field.number == number) return ReadInteger(bytes, UINT64_MAX, &(properties->*field.member));
  }
  return true;
}

}  // namespace

void ExpiryHistogram::DoubleWidth() {
  std::vector<std::uint64_t> wider((first_bucket_ + counts_.size() - 1) / 2 - first_bucket_ / 2 + 1);
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    wider[(first_bucket_ + i) / 2 - first_bucket_ / 2] += counts_[i];
  }
  counts_ = std::move(wider);
  first_bucket_ /= 2;
  ++width_log2_;
}

void ExpiryHistogram::Add(std::uint64_t expire_at_ms) {
  if (counts_.empty()) {
    first_bucket_ = expire_at_ms >> width_log2_;
    counts_.push_back(1);
    return;
  }
  for (;; DoubleWidth()) {  // ends: at 63 bits there are two buckets in all
    const std::uint64_t bucket = expire_at_ms >> width_log2_;
    const std::uint64_t first = std::min(first_bucket_, bucket);
    const std::uint64_t last = std::max(first_bucket_ + counts_.size() - 1, bucket);
    if (last - first >= kMaxBuckets) continue;
    counts_.insert(counts_.begin(), first_bucket_ - first, 0);
    counts_.resize(last - first + 1);
    first_bucket_ = first;
    ++counts_[bucket - first];
    return;
  }
}

std::uint64_t ExpiryHistogram::ExpiredBy(std::uint64_t now_ms) const {
  const std::uint64_t now_bucket = now_ms >> width_log2_;
  std::uint64_t expired = 0;
  for (std::size_t i = 0; i < counts_.size() && first_bucket_ + i < now_bucket; ++i) expired += counts_[i];
  return expired;
}

void ExpiryHistogram::EncodeTo(std::string* out) const {
  PutVarint(out, width_log2_);
  PutVarint(out, first_bucket_);
  for (const std::uint64_t count : counts_) PutVarint(out, count);
}

bool ExpiryHistogram::DecodeFrom(std::string_view in) {
  std::uint32_t width_log2 = 0;
  std::uint64_t first_bucket = 0;
  std::vector<std::uint64_t> counts;
  if (!GetVarint32(&in, &width_log2) || !GetVarint64(&in, &first_bucket) || width_log2 > kMaxWidthLog2) return false;
  while (!in.empty() && counts.size() < kMaxBuckets) {
    if (!GetVarint64(&in, &counts.emplace_back())) return false;
  }
  const std::uint64_t last_possible = std::numeric_limits<std::uint64_t>::max() >> width_log2;
  if (!in.empty() || first_bucket > last_possible || counts.size() > last_possible - first_bucket + 1) return false;
  width_log2_ = width_log2;
  first_bucket_ = first_bucket;
  counts_ = std::move(counts);
  return true;
}

void TableProperties::Count(const EntryView& entry) {
  if (entries == 0) {
    smallest_key = entry.key;
    smallest_sequence = entry.sequence;
  }
  ++entries;
  smallest_sequence = std::min(smallest_sequence, entry.sequence);
  largest_sequence = std::max(largest_sequence, entry.sequence);
  raw_key_bytes += entry.key.size();
  raw_value_bytes += entry.value.size();
  if (entry.kind == EntryKind::kTombstone) ++tombstones;
  if (entry.kind == EntryKind::kBlob) {
    const std::optional<BlobPointer> pointer = DecodeBlobPointer(entry.value);
    LSMKV_ASSERT(pointer.has_value());
    BlobShare& share = blobs[pointer->blob];
    ++share.entries;
    share.bytes += pointer->record_bytes();
  }
  const std::uint64_t deadline = ExpiryOf(entry);
  if (entry.kind != EntryKind::kExpiringValue && deadline == 0) return;
  expires_first_ms = expiring == 0 ? deadline : std::min(expires_first_ms, deadline);
  expires_last_ms = std::max(expires_last_ms, deadline);
  ++expiring;
  expiry.Add(deadline);
}

std::string EncodeProperties(const TableProperties& properties) {
  std::string out;
  PutInteger(&out, kFormatVersionField, properties.format_version);
  PutInteger(&out, kCompressionField, static_cast<std::uint64_t>(properties.compression));
  PutInteger(&out, kBloomBitsField, properties.bloom_bits_per_key);
  for (const IntegerField& field : kIntegerFields) PutInteger(&out, field.number, properties.*field.member);
  std::string expiry;
  properties.expiry.EncodeTo(&expiry);
  PutBytes(&out, kExpiryField, expiry);
  PutBytes(&out, kSmallestKeyField, properties.smallest_key);
  PutBytes(&out, kLargestKeyField, properties.largest_key);
  if (!properties.blobs.empty()) PutBytes(&out, kBlobsField, EncodeBlobs(properties.blobs));
  return out;
}

Result<TableProperties> DecodeProperties(std::string_view contents) {
  TableProperties properties;
  while (!contents.empty()) {
    std::uint32_t number = 0;
    std::string_view bytes;
    if (!GetVarint32(&contents, &number) || !GetLengthPrefixed(&contents, &bytes) ||
        !ReadField(number, bytes, &properties)) {
      return Status::Corruption("malformed table properties");
    }
  }
  return properties;
}

}  // namespace lsmkv
