// What a table says about itself without being read: the manifest, the scheduler and LSM commands live on it.
//
//   contents := (field:varint32 value:length-prefixed)*           fields unknown to the reader are skipped
//
// Integers are varint64 inside their value. Field numbers are part of the format: never changed, never used twice.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lsmkv/options.h"
#include "lsmkv/status.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

/// When the values of a table expire, in at most kMaxBuckets buckets of one width. The width is a power of two of
/// milliseconds, at first about a second, and doubles, merging neighbours, as the deadlines spread; so it needs no clock
/// and no second pass.
class ExpiryHistogram {
 public:
  static constexpr std::size_t kMaxBuckets = 64;

  void Add(std::uint64_t expire_at_ms);
  /// How many of the values have certainly expired by `now_ms`: a bucket counts once it has passed whole.
  std::uint64_t ExpiredBy(std::uint64_t now_ms) const;
  std::uint64_t bucket_width_ms() const { return std::uint64_t{1} << width_log2_; }
  std::uint64_t first_bucket_begins_ms() const { return first_bucket_ << width_log2_; }
  const std::vector<std::uint64_t>& counts() const { return counts_; }

  void EncodeTo(std::string* out) const;
  /// False when malformed.
  bool DecodeFrom(std::string_view in);
  friend bool operator==(const ExpiryHistogram&, const ExpiryHistogram&) = default;

 private:
  void DoubleWidth();

  std::uint32_t width_log2_ = 10;
  std::uint64_t first_bucket_ = 0;  // deadline >> width_log2_ of counts_[0]
  std::vector<std::uint64_t> counts_;
};

/// What a table refers to in one blob file.
struct BlobShare {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  ///< of their records
  friend bool operator==(const BlobShare&, const BlobShare&) = default;
};

struct TableProperties {
  std::uint32_t format_version = 0;
  Compression compression = Compression::kNone;  ///< asked for; a block that does not shrink stays plain
  std::uint32_t bloom_bits_per_key = 0;
  std::uint64_t entries = 0;  ///< tombstones and expiring values included
  std::uint64_t tombstones = 0;
  std::uint64_t expiring = 0;
  std::uint64_t expires_first_ms = 0;  ///< 0 when nothing expires
  std::uint64_t expires_last_ms = 0;
  ExpiryHistogram expiry;
  std::string smallest_key;
  std::string largest_key;
  SequenceNumber smallest_sequence = 0;
  SequenceNumber largest_sequence = 0;
  std::uint64_t raw_key_bytes = 0;
  std::uint64_t raw_value_bytes = 0;
  std::uint64_t data_blocks = 0;
  std::uint64_t data_bytes = 0;  ///< as stored, trailers included; likewise the two below
  std::uint64_t index_bytes = 0;
  std::uint64_t filter_bytes = 0;
  std::map<std::uint64_t, BlobShare> blobs;  ///< by the blob file's number

  /// Counts one entry in; entries come in key order, and a kBlob entry's pointer decodes.
  void Count(const EntryView& entry);
  friend bool operator==(const TableProperties&, const TableProperties&) = default;
};

std::string EncodeProperties(const TableProperties& properties);
/// Errors: kCorruption, worded without file or offset.
Result<TableProperties> DecodeProperties(std::string_view contents);

}  // namespace lsmkv
