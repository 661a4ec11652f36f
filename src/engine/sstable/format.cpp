#include "engine/sstable/format.h"

#include "base/assert.h"
#include "base/coding.h"
#include "base/hash.h"

namespace lsmkv {
namespace {

constexpr std::size_t kVersionAt = 32;
constexpr std::size_t kFileBytesAt = 40;
constexpr std::size_t kChecksumAt = 48;
constexpr std::size_t kMagicAt = 56;
static_assert(kMagicAt + sizeof(kTableMagic) == kTableFooterBytes);

}  // namespace

void PutHandle(std::string* out, BlockHandle handle) {
  PutVarint(out, handle.offset);
  PutVarint(out, handle.size);
}

bool GetHandle(std::string_view* in, BlockHandle* handle) {
  std::string_view rest = *in;
  if (!GetVarint64(&rest, &handle->offset) || !GetVarint64(&rest, &handle->size)) return false;
  *in = rest;
  return true;
}

bool HandleFits(BlockHandle handle, std::uint64_t file_bytes) {
  if (handle.size == 0 || handle.size > kMaxBlockBytes || handle.offset > file_bytes) return false;
  return handle.size + kBlockTrailerBytes + kTableFooterBytes <= file_bytes - handle.offset;
}

std::string EncodeFooter(const TableFooter& footer) {
  std::string out;
  PutFixed(&out, footer.top_index.offset);
  PutFixed(&out, footer.top_index.size);
  PutFixed(&out, footer.properties.offset);
  PutFixed(&out, footer.properties.size);
  PutFixed(&out, kTableFormatVersion);
  PutFixed(&out, std::uint32_t{0});
  PutFixed(&out, footer.file_bytes);
  PutFixed(&out, Checksum(out));
  PutFixed(&out, kTableMagic);
  LSMKV_ASSERT(out.size() == kTableFooterBytes);
  return out;
}

Result<TableFooter> DecodeFooter(std::string_view raw, std::uint64_t file_bytes) {
  LSMKV_ASSERT(raw.size() == kTableFooterBytes);
  LSMKV_ASSERT(file_bytes >= kTableFooterBytes);
  const std::uint64_t offset = file_bytes - kTableFooterBytes;
  if (DecodeFixed<std::uint64_t>(raw.data() + kMagicAt) != kTableMagic) return CorruptionAt(offset, "no SSTable footer");
  if (DecodeFixed<std::uint64_t>(raw.data() + kChecksumAt) != Checksum(raw.substr(0, kChecksumAt))) {
    return CorruptionAt(offset, "footer checksum does not match");
  }
  const auto version = DecodeFixed<std::uint32_t>(raw.data() + kVersionAt);
  if (version > kTableFormatVersion) {
    return Status::Unsupported("SSTable format " + std::to_string(version) +
                               " is newer than this program, which reads up to " + std::to_string(kTableFormatVersion));
  }
  if (version == 0) return CorruptionAt(offset, "SSTable format 0 does not exist");
  TableFooter footer;
  footer.top_index = {DecodeFixed<std::uint64_t>(raw.data()), DecodeFixed<std::uint64_t>(raw.data() + 8)};
  footer.properties = {DecodeFixed<std::uint64_t>(raw.data() + 16), DecodeFixed<std::uint64_t>(raw.data() + 24)};
  footer.file_bytes = DecodeFixed<std::uint64_t>(raw.data() + kFileBytesAt);
  if (footer.file_bytes != file_bytes) {
    return CorruptionAt(offset, "the file has " + std::to_string(file_bytes) + " bytes, its footer says " +
                                    std::to_string(footer.file_bytes));
  }
  if (!HandleFits(footer.top_index, file_bytes) || !HandleFits(footer.properties, file_bytes)) {
    return CorruptionAt(offset, "the footer points outside the file");
  }
  return footer;
}

Status CorruptionAt(std::uint64_t offset, std::string_view what) {
  return Status::Corruption("offset " + std::to_string(offset) + ": " + std::string(what));
}

}  // namespace lsmkv
