#include "engine/sstable/block_contents.h"

#include <cstring>

#include "base/assert.h"
#include "base/coding.h"
#include "base/hash.h"
#include "engine/sstable/compression.h"

namespace lsmkv {
namespace {

/// Over contents and type as they stand in the file; the offset makes a block in the wrong place a damaged one.
std::uint64_t BlockChecksum(std::string_view contents_and_type, std::uint64_t offset) {
  return Checksum(contents_and_type) + offset;
}

/// The compression of a block whose trailer is right, or why it is not.
Result<Compression> CheckTrailer(std::string_view raw, std::uint64_t offset, BlockKind kind) {
  LSMKV_ASSERT(raw.size() > kBlockTrailerBytes);
  const std::string_view guarded = raw.substr(0, raw.size() - sizeof(std::uint64_t));
  if (DecodeFixed<std::uint64_t>(guarded.data() + guarded.size()) != BlockChecksum(guarded, offset)) {
    return CorruptionAt(offset, "block checksum does not match");
  }
  const auto type = static_cast<std::uint8_t>(guarded.back());
  if (type >> 4 != static_cast<unsigned>(kind)) return CorruptionAt(offset, "block of another kind than expected");
  if ((type & 15) > static_cast<unsigned>(Compression::kZstd)) return CorruptionAt(offset, "unknown block compression");
  return static_cast<Compression>(type & 15);
}

Result<BlockContents> Unpack(std::string_view packed, std::uint64_t offset, Compression compression) {
  Result<BlockBuffer> raw = Uncompress(packed, compression);
  if (!raw) return CorruptionAt(offset, raw.error().message());
  BlockContents contents;
  contents.owned = std::move(*raw);
  contents.bytes = contents.owned.view();
  return contents;
}

}  // namespace

void BlockContents::Own() {
  owned = BlockBuffer(bytes.size());
  std::memcpy(owned.data(), bytes.data(), bytes.size());
  bytes = owned.view();
}

Result<BlockContents> OpenBlock(std::string_view raw, std::uint64_t offset, BlockKind kind) {
  const Result<Compression> compression = CheckTrailer(raw, offset, kind);
  if (!compression) return compression.error();
  const std::string_view stored = raw.substr(0, raw.size() - kBlockTrailerBytes);
  if (*compression != Compression::kNone) return Unpack(stored, offset, *compression);
  BlockContents contents;
  contents.bytes = stored;
  return contents;
}

Status ReadAt(const RandomAccessFile& file, std::uint64_t offset, std::size_t size, char* buffer, OnDisk on_disk) {
  if (on_disk == OnDisk::kWait) return file.Read(offset, size, buffer);
  if (size > kMostCachedBytes) return Status::WouldBlock();
  return file.ReadCached(offset, size, buffer);
}

Result<BlockContents> ReadBlock(const RandomAccessFile& file, BlockHandle handle, BlockKind kind, OnDisk on_disk) {
  LSMKV_ASSERT(HandleFits(handle, file.size()));
  BlockBuffer buffer(handle.size + kBlockTrailerBytes);
  const Status read = ReadAt(file, handle.offset, buffer.size(), buffer.data(), on_disk);
  if (read.code() == StatusCode::kWouldBlock) return read;
  if (!read.ok()) return read.WithContext("offset " + std::to_string(handle.offset));
  Result<BlockContents> contents = OpenBlock(buffer.view(), handle.offset, kind);
  if (contents && contents->borrowed()) contents->owned = std::move(buffer);
  return contents;
}

void AppendBlock(std::string* out, std::string_view contents, BlockKind kind, Compression compression,
                 std::uint64_t offset) {
  LSMKV_ASSERT(!contents.empty() && contents.size() <= kMaxBlockBytes);
  const std::size_t start = out->size();
  out->append(contents);
  out->push_back(static_cast<char>(static_cast<unsigned>(kind) << 4 | static_cast<unsigned>(compression)));
  PutFixed(out, BlockChecksum(std::string_view(*out).substr(start), offset));
}

}  // namespace lsmkv
