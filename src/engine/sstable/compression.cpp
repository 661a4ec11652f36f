#include "engine/sstable/compression.h"

#include <lz4.h>
#include <zstd.h>

#include "base/assert.h"
#include "base/coding.h"
#include "engine/sstable/format.h"

namespace lsmkv {
namespace {

constexpr int kZstdLevel = 3;
// What one packed byte can stand for at most: an LZ4 length byte adds 255; a ZSTD block of 4 bytes gives 128 KiB.
constexpr std::uint64_t kLz4MaxRatio = 256;
constexpr std::uint64_t kZstdMaxRatio = 32768;
constexpr std::size_t kKeepPackedBytes = 1u << 20;
static_assert(kMaxBlockBytes <= LZ4_MAX_INPUT_SIZE);

struct ZstdUnpacker {
  ~ZstdUnpacker() { ZSTD_freeDCtx(context); }
  ZSTD_DCtx* context = ZSTD_createDCtx();
};

}  // namespace

struct BlockCompressor::ZstdContext {
  ~ZstdContext() { ZSTD_freeCCtx(context); }
  ZSTD_CCtx* context = ZSTD_createCCtx();
};

BlockCompressor::BlockCompressor(Compression compression)
    : compression_(compression), zstd_(compression == Compression::kZstd ? std::make_unique<ZstdContext>() : nullptr) {}
BlockCompressor::~BlockCompressor() = default;

std::string_view BlockCompressor::Compress(std::string_view raw, Compression* used) {
  *used = Compression::kNone;
  if (compression_ == Compression::kNone || raw.empty()) return raw;
  if (packed_.capacity() > kKeepPackedBytes && raw.size() < kKeepPackedBytes / 2) packed_ = std::string();
  char header[kMaxVarint64Bytes];
  const auto header_bytes = static_cast<std::size_t>(EncodeVarint(header, raw.size()) - header);
  const std::size_t packed_bytes = Pack(raw, header_bytes);
  if (packed_bytes == 0 || header_bytes + packed_bytes > raw.size() - raw.size() / 8) return raw;
  packed_.replace(0, header_bytes, header, header_bytes);
  *used = compression_;
  return std::string_view(packed_).substr(0, header_bytes + packed_bytes);
}

std::size_t BlockCompressor::Pack(std::string_view raw, std::size_t header) {
  const std::size_t bound = compression_ == Compression::kLz4
                                ? static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(raw.size())))
                                : ZSTD_compressBound(raw.size());
  if (packed_.size() < header + bound) packed_.resize(header + bound);
  if (compression_ == Compression::kLz4) {
    const int size =
        LZ4_compress_default(raw.data(), packed_.data() + header, static_cast<int>(raw.size()), static_cast<int>(bound));
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  const std::size_t size =
      ZSTD_compressCCtx(zstd_->context, packed_.data() + header, bound, raw.data(), raw.size(), kZstdLevel);
  return ZSTD_isError(size) != 0 ? 0 : size;
}

Result<BlockBuffer> Uncompress(std::string_view packed, Compression compression) {
  std::uint32_t raw_bytes = 0;
  if (!GetVarint32(&packed, &raw_bytes)) return Status::Corruption("packed block without its size");
  const std::uint64_t ratio = compression == Compression::kLz4 ? kLz4MaxRatio : kZstdMaxRatio;
  if (raw_bytes == 0 || raw_bytes > kMaxBlockBytes || raw_bytes / ratio > packed.size()) {
    return Status::Corruption("packed block claims an impossible size");
  }
  BlockBuffer raw(raw_bytes);
  if (compression == Compression::kLz4) {
    const int size =
        LZ4_decompress_safe(packed.data(), raw.data(), static_cast<int>(packed.size()), static_cast<int>(raw_bytes));
    if (size < 0 || static_cast<std::uint32_t>(size) != raw_bytes) return Status::Corruption("LZ4 block does not unpack");
    return raw;
  }
  LSMKV_ASSERT(compression == Compression::kZstd);
  static thread_local ZstdUnpacker unpacker;
  const std::size_t size = ZSTD_decompressDCtx(unpacker.context, raw.data(), raw_bytes, packed.data(), packed.size());
  if (ZSTD_isError(size) != 0 || size != raw_bytes) return Status::Corruption("ZSTD block does not unpack");
  return raw;
}

}  // namespace lsmkv
