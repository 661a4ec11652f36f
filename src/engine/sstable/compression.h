// LZ4 and ZSTD for single blocks. A packed block says how many bytes it unpacks to, in front: `raw_bytes:varint32 packed`.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/sstable/block_contents.h"
#include "lsmkv/options.h"

namespace lsmkv {

/// Packs block after block, keeping the library's working memory between them. One thread at a time.
class BlockCompressor {
 public:
  explicit BlockCompressor(Compression compression);
  ~BlockCompressor();
  BlockCompressor(const BlockCompressor&) = delete;
  BlockCompressor& operator=(const BlockCompressor&) = delete;

  /// What to write for `raw`: the packed bytes where they save at least an eighth, else `raw` itself. `*used` says which.
  /// The view lives until the next call, or as long as `raw`.
  std::string_view Compress(std::string_view raw, Compression* used);

 private:
  struct ZstdContext;
  /// Packs into `packed_` behind its first `header` bytes; 0 when the library gave up.
  std::size_t Pack(std::string_view raw, std::size_t header);

  const Compression compression_;
  std::unique_ptr<ZstdContext> zstd_;
  std::string packed_;
};

/// Unpacks what Compress made. Errors: kCorruption, worded without file or offset.
Result<BlockBuffer> Uncompress(std::string_view packed, Compression compression);

}  // namespace lsmkv
