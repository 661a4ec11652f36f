// Every byte of one blob file, in file order: what check reports and dump shows.
//
//   header, footer    magic, version, checksum; they name this file, its size, its number of records
//   record            checksum; it unpacks to the size it claims
//
// Behind a record that is damaged the next whole one is looked for byte by byte: the place is part of a record's checksum, so
// nothing but a record that was written at this very place passes for one.
// Not here  who refers to a record (blob_lookup.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/blob/blob_reader.h"
#include "fs/file_system.h"

namespace lsmkv::tool {

/// The record of `record_bytes` at `offset` of blob file `id`, found whole; `record_bytes` may be any claim. Errors: kCorruption
/// "offset N: ...", also for bytes that cannot be read.
Result<BlobRecord> ReadBlobRecord(const RandomAccessFile& file, std::uint64_t id, std::uint64_t offset, std::uint64_t record_bytes);

/// A whole record; what it borrows lives until the visitor returns.
struct WalkedRecord {
  std::uint64_t offset = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t key_hash = 0;
  Compression compression = Compression::kNone;
  std::string_view value;              ///< unpacked
};

class BlobVisitor {
 public:
  virtual ~BlobVisitor() = default;
  /// "offset N: what"; the file's name is not in it.
  virtual void OnDamage(const Status& damage) = 0;
  virtual void OnRecord(const WalkedRecord& /*record*/) {}
};

struct BlobSummary {
  std::uint64_t file_bytes = 0;
  std::uint64_t records = 0;           ///< whole ones
  std::uint64_t record_bytes = 0;      ///< of these, headers and all
  std::optional<std::uint32_t> format_version;   ///< when the header is whole
  std::optional<BlobFooter> footer;    ///< when it is whole
  bool damaged = false;
};

class BlobWalk {
 public:
  /// `id` is what the file's name says.
  static Result<std::unique_ptr<BlobWalk>> Open(FileSystem& fs, const std::string& path, std::uint64_t id);
  /// Damage goes to `visitor`. Errors: kUnsupported: a newer format.
  Result<BlobSummary> Run(BlobVisitor& visitor);

 private:
  BlobWalk(std::unique_ptr<RandomAccessFile> file, std::uint64_t id) : file_(std::move(file)), id_(id) {}

  void WalkRecords(std::uint64_t end);
  bool TakeRecord(std::uint64_t offset);
  std::uint64_t NextRecord(std::uint64_t offset, std::uint64_t end);
  void Damage(const Status& damage);

  static constexpr std::uint64_t kWindowBytes = 1u << 20;

  const std::unique_ptr<RandomAccessFile> file_;
  const std::uint64_t id_;
  BlobVisitor* visitor_ = nullptr;
  BlobSummary summary_;
  std::uint64_t next_offset_ = 0;
  std::uint64_t search_budget_bytes_ = 8ull << 30;     // to be hashed in search of records
};

}  // namespace lsmkv::tool
