#include "engine/blob/blob_writer.h"

#include <algorithm>

#include "base/assert.h"

namespace lsmkv {

BlobWriter::BlobWriter(WritableFile& file, std::uint64_t id, Compression compression)
    : file_(file), id_(id), compressor_(compression), buffer_(EncodeBlobHeader(id)) {
  LSMKV_ASSERT(file.size() == 0 && id != 0);
}

Result<BlobPointer> BlobWriter::Add(std::uint64_t key_hash, std::string_view value) {
  Compression used = Compression::kNone;
  const std::string_view stored = LooksPackable(value) ? compressor_.Compress(value, &used) : value;
  return AddStored(key_hash, stored, used, value.size());
}

/// Packing takes as much memory again as the value: not for one of hundreds of megabytes that gains nothing by it.
bool BlobWriter::LooksPackable(std::string_view value) {
  if (value.size() < 4 * kSampleBytes) return true;
  Compression used = Compression::kNone;
  compressor_.Compress(value.substr(value.size() / 2, kSampleBytes), &used);
  return used != Compression::kNone;
}

Result<BlobPointer> BlobWriter::AddStored(std::uint64_t key_hash, std::string_view stored, Compression compression,
                                          std::uint64_t value_bytes) {
  LSMKV_ASSERT(!finished_);
  if (!status_.ok()) return status_;
  const BlobPointer pointer{id_, written_ + buffer_.size(), stored.size(), value_bytes, {}};
  Append(EncodeBlobRecordHeader(key_hash, stored, compression, id_, pointer.offset));
  Append(stored);
  ++records_;
  if (!status_.ok()) return status_;
  return pointer;
}

Status BlobWriter::Finish() {
  LSMKV_ASSERT(!finished_);
  const BlobFooter footer{records_, file_bytes()};
  finished_ = true;
  Append(EncodeBlobFooter(footer, id_));
  FlushBuffer();
  LSMKV_ASSERT(!status_.ok() || file_.size() == footer.file_bytes);
  return status_;
}

void BlobWriter::Append(std::string_view bytes) {
  if (bytes.size() >= kCopyBytes) {
    FlushBuffer();
    return Write(bytes);
  }
  buffer_.append(bytes);
  if (buffer_.size() >= kBufferBytes) FlushBuffer();
}

void BlobWriter::FlushBuffer() {
  Write(buffer_);
  buffer_.clear();
}

void BlobWriter::Write(std::string_view bytes) {
  for (; status_.ok() && !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kWritebackBytes))) {
    const std::string_view piece = bytes.substr(0, kWritebackBytes);
    status_ = file_.Append(piece);
    written_ += piece.size();
    if (written_ - hinted_ < kWritebackBytes) continue;
    file_.StartWriteback();
    hinted_ = written_;
  }
}

}  // namespace lsmkv
