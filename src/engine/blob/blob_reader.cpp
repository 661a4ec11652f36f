#include "engine/blob/blob_reader.h"

#include "base/coding.h"
#include "engine/sstable/compression.h"
#include "engine/sstable/format.h"

namespace lsmkv {

Result<std::shared_ptr<const BlobValue>> BlobValue::Make(BlobRecord record) {
  std::string_view value = record.stored;
  if (record.compression != Compression::kNone) {
    Result<BlockBuffer> unpacked = Uncompress(record.stored, record.compression);
    if (!unpacked) return unpacked.error();
    record.raw = std::move(*unpacked);
    value = record.raw.view();
  }
  return std::make_shared<const BlobValue>(std::move(record.raw), value, record.key_hash);
}

Result<std::unique_ptr<BlobReader>> BlobReader::Open(std::unique_ptr<RandomAccessFile> file, std::string name, std::uint64_t id) {
  if (file->size() < kBlobOverheadBytes) {
    return CorruptionAt(0, "a file of " + std::to_string(file->size()) + " bytes is no blob file").WithContext(name);
  }
  char raw[kBlobHeaderBytes];
  if (Status read = file->Read(0, kBlobHeaderBytes, raw); !read.ok()) return read.WithContext(name + ": offset 0");
  if (Status checked = CheckBlobHeader(std::string_view(raw, kBlobHeaderBytes), id); !checked.ok()) return checked.WithContext(name);
  return std::unique_ptr<BlobReader>(new BlobReader(std::move(file), std::move(name), id));
}

Result<BlobRecord> BlobReader::ReadRecord(std::uint64_t offset, std::uint64_t record_bytes, OnDisk on_disk) const {
  BlobRecord record;
  record.raw = BlockBuffer(record_bytes);
  if (Status read = ReadAt(*file_, offset, record_bytes, record.raw.data(), on_disk); !read.ok()) {
    if (read.code() == StatusCode::kWouldBlock) return read;
    return read.WithContext(name_ + ": offset " + std::to_string(offset));
  }
  const Result<BlobRecordHeader> header = CheckBlobRecord(record.raw.view(), id_, offset);
  if (!header) return header.error().WithContext(name_);
  record.stored = record.raw.view().substr(kBlobRecordHeaderBytes);
  record.compression = header->compression;
  record.key_hash = header->key_hash;
  return record;
}

Result<BlobRecord> BlobReader::Read(const BlobPointer& pointer, std::uint64_t key_hash, OnDisk on_disk) const {
  if (pointer.blob != id_ || pointer.stored_bytes > kMaxBlockBytes ||
      !BlobRecordFits(pointer.offset, pointer.record_bytes(), file_bytes())) {
    return CorruptionAt(pointer.offset, "pointer leads outside the file").WithContext(name_);
  }
  Result<BlobRecord> record = ReadRecord(pointer.offset, pointer.record_bytes(), on_disk);
  if (record && record->key_hash != key_hash) {
    return CorruptionAt(pointer.offset, "this is another key's value").WithContext(name_);
  }
  return record;
}

void BlobReader::WillRead(const BlobPointer& pointer) const {
  constexpr std::uint64_t kWorthAsking = 1 << 20;      // one read of more keeps the disk busy by itself
  if (pointer.stored_bytes <= kWorthAsking && BlobRecordFits(pointer.offset, pointer.record_bytes(), file_bytes()))
    file_->WillNeed(pointer.offset, pointer.record_bytes());
}

Result<std::uint64_t> BlobReader::ReadAll(const std::function<void(std::uint64_t, const BlobRecord&)>& visit) const {
  const std::uint64_t end = file_bytes() - kBlobFooterBytes;
  char raw[kBlobFooterBytes];
  if (Status read = file_->Read(end, kBlobFooterBytes, raw); !read.ok()) return read.WithContext(name_ + ": offset " + std::to_string(end));
  const Result<BlobFooter> footer = DecodeBlobFooter(std::string_view(raw, kBlobFooterBytes), id_, file_bytes());
  if (!footer) return footer.error().WithContext(name_);
  std::uint64_t records = 0;
  for (std::uint64_t offset = kBlobHeaderBytes; offset < end; ++records) {
    // The size that a record claims is only a claim until its checksum is found right.
    char header[kBlobRecordHeaderBytes];
    if (end - offset <= kBlobRecordHeaderBytes) return CorruptionAt(offset, "a record is cut off").WithContext(name_);
    if (Status read = file_->Read(offset, sizeof(header), header); !read.ok()) return read.WithContext(name_ + ": offset " + std::to_string(offset));
    const std::uint64_t bytes = kBlobRecordHeaderBytes + DecodeFixed<std::uint32_t>(header + kBlobStoredBytesAt);
    if (!BlobRecordFits(offset, bytes, file_bytes())) return CorruptionAt(offset, "a record runs out of the file").WithContext(name_);
    const Result<BlobRecord> record = ReadRecord(offset, bytes, OnDisk::kWait);
    if (!record) return record.error();
    if (visit) visit(offset, *record);
    offset += bytes;
  }
  if (records == footer->records) return records;
  return CorruptionAt(end, "the footer counts " + std::to_string(footer->records) + " records, there are " + std::to_string(records))
      .WithContext(name_);
}

}  // namespace lsmkv
