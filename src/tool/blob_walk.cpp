#include "tool/blob_walk.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/coding.h"
#include "engine/sstable/format.h"

namespace lsmkv::tool {
namespace {

constexpr std::size_t kVersionAt = sizeof(kBlobMagic);      // in a file's header
constexpr std::size_t kCompressionAt = kBlobStoredBytesAt + sizeof(std::uint32_t);

/// What the record header at `raw` says of its record's size; nothing when no record has such a header.
std::optional<std::uint64_t> ClaimedBytes(const char* raw, std::uint64_t offset, std::uint64_t file_bytes) {
  if (DecodeFixed<std::uint32_t>(raw + kCompressionAt) > static_cast<std::uint32_t>(Compression::kZstd)) return std::nullopt;
  const std::uint64_t bytes = kBlobRecordHeaderBytes + DecodeFixed<std::uint32_t>(raw + kBlobStoredBytesAt);
  if (!BlobRecordFits(offset, bytes, file_bytes)) return std::nullopt;
  return bytes;
}

Status Unreadable(std::uint64_t offset, const Status& why) { return CorruptionAt(offset, "cannot be read: " + why.message()); }

}  // namespace

Result<BlobRecord> ReadBlobRecord(const RandomAccessFile& file, std::uint64_t id, std::uint64_t offset, std::uint64_t record_bytes) {
  // A file that was cut short has no footer behind its last record, so this asks less than BlobRecordFits.
  const bool sensible = record_bytes > kBlobRecordHeaderBytes && record_bytes <= kBlobRecordHeaderBytes + kMaxBlockBytes;
  if (!sensible || offset < kBlobHeaderBytes || offset > file.size() || record_bytes > file.size() - offset)
    return CorruptionAt(offset, fmt::format("a record of {} bytes would lie outside of the file", record_bytes));
  BlobRecord record;
  record.raw = BlockBuffer(record_bytes);
  if (Status read = file.Read(offset, record_bytes, record.raw.data()); !read.ok()) return Unreadable(offset, read);
  const Result<BlobRecordHeader> header = CheckBlobRecord(record.raw.view(), id, offset);
  if (!header) return header.error();
  record.stored = record.raw.view().substr(kBlobRecordHeaderBytes);
  record.compression = header->compression;
  record.key_hash = header->key_hash;
  return record;
}

Result<std::unique_ptr<BlobWalk>> BlobWalk::Open(FileSystem& fs, const std::string& path, std::uint64_t id) {
  Result<std::unique_ptr<RandomAccessFile>> file = fs.NewRandomAccessFile(path);
  if (!file) return file.error();
  return std::unique_ptr<BlobWalk>(new BlobWalk(std::move(*file), id));
}

void BlobWalk::Damage(const Status& damage) {
  summary_.damaged = true;
  visitor_->OnDamage(damage);
}

Result<BlobSummary> BlobWalk::Run(BlobVisitor& visitor) {
  visitor_ = &visitor;
  const std::uint64_t size = file_->size();
  summary_.file_bytes = size;
  if (size < kBlobOverheadBytes) {
    Damage(CorruptionAt(0, fmt::format("a file of {} bytes is no blob file", size)));
    return summary_;
  }
  char raw[std::max(kBlobHeaderBytes, kBlobFooterBytes)];
  if (Status read = file_->Read(0, kBlobHeaderBytes, raw); !read.ok()) {
    Damage(Unreadable(0, read));
  } else if (Status header = CheckBlobHeader(std::string_view(raw, kBlobHeaderBytes), id_); !header.ok()) {
    if (header.code() == StatusCode::kUnsupported) return header;
    Damage(header);
  } else {
    summary_.format_version = DecodeFixed<std::uint32_t>(raw + kVersionAt);
  }
  const std::uint64_t end = size - kBlobFooterBytes;
  WalkRecords(end);
  if (Status read = file_->Read(end, kBlobFooterBytes, raw); !read.ok()) {
    Damage(Unreadable(end, read));
  } else if (const auto footer = DecodeBlobFooter(std::string_view(raw, kBlobFooterBytes), id_, size); !footer) {
    Damage(footer.error());
  } else {
    summary_.footer = *footer;
    if (!summary_.damaged && footer->records != summary_.records)
      Damage(CorruptionAt(end, fmt::format("the footer counts {} records, there are {}", footer->records, summary_.records)));
  }
  return summary_;
}

void BlobWalk::WalkRecords(std::uint64_t end) {
  next_offset_ = kBlobHeaderBytes;
  while (next_offset_ < end) {
    if (TakeRecord(next_offset_)) continue;
    next_offset_ = NextRecord(next_offset_ + 1, end);
    if (search_budget_bytes_ == 0) return Damage(CorruptionAt(next_offset_, "too much damage to look for more records"));
  }
}

/// False when no whole record stands there, which has been said then.
bool BlobWalk::TakeRecord(std::uint64_t offset) {
  char raw[kBlobRecordHeaderBytes];
  if (summary_.file_bytes - kBlobFooterBytes - offset <= sizeof(raw)) return Damage(CorruptionAt(offset, "a record is cut off")), false;
  if (Status read = file_->Read(offset, sizeof(raw), raw); !read.ok()) return Damage(Unreadable(offset, read)), false;
  const std::optional<std::uint64_t> bytes = ClaimedBytes(raw, offset, summary_.file_bytes);
  if (!bytes) return Damage(CorruptionAt(offset, "no record begins here")), false;
  Result<BlobRecord> record = ReadBlobRecord(*file_, id_, offset, *bytes);
  if (!record) return Damage(record.error()), false;
  WalkedRecord walked{offset, record->stored.size(), record->key_hash, record->compression, {}};
  next_offset_ = offset + *bytes;
  const Result<std::shared_ptr<const BlobValue>> value = BlobValue::Make(std::move(*record));
  if (!value) return Damage(CorruptionAt(offset, value.error().message())), true;
  walked.value = (*value)->value();
  ++summary_.records;
  summary_.record_bytes += *bytes;
  visitor_->OnRecord(walked);
  return true;
}

/// Where the first whole record at or behind `offset` begins; `end` when there is none, or the budget is used up.
std::uint64_t BlobWalk::NextRecord(std::uint64_t offset, std::uint64_t end) {
  std::string window;
  while (offset + kBlobRecordHeaderBytes < end) {
    window.resize(static_cast<std::size_t>(std::min(kWindowBytes, end - offset)));
    if (Status read = file_->Read(offset, window.size(), window.data()); !read.ok()) return end;
    const std::size_t starts = window.size() - kBlobRecordHeaderBytes;
    for (std::size_t at = 0; at < starts; ++at) {
      const std::optional<std::uint64_t> bytes = ClaimedBytes(window.data() + at, offset + at, summary_.file_bytes);
      if (!bytes) continue;
      if (ReadBlobRecord(*file_, id_, offset + at, *bytes)) return offset + at;
      search_budget_bytes_ -= std::min(search_budget_bytes_, *bytes);
      if (search_budget_bytes_ == 0) return offset + at;
    }
    offset += starts;
  }
  return end;
}

}  // namespace lsmkv::tool
