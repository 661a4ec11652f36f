#include "tool/block_search.h"

#include <algorithm>

#include "base/coding.h"
#include "base/hash.h"

namespace lsmkv::tool {
namespace {

std::optional<BlockKind> KindOf(char type) {
  const auto byte = static_cast<std::uint8_t>(type);
  const bool known = byte >> 4 >= static_cast<unsigned>(BlockKind::kData) && byte >> 4 <= static_cast<unsigned>(BlockKind::kProperties) &&
                     (byte & 15) <= static_cast<unsigned>(Compression::kZstd);
  if (!known) return std::nullopt;
  return static_cast<BlockKind>(byte >> 4);
}

}  // namespace

Status BlockSearch::Fill(std::uint64_t offset) {
  const std::uint64_t wanted = std::min(end_, offset + kLongestBlock + kBlockTrailerBytes);
  if (offset >= window_begin_ && wanted <= window_begin_ + window_.size()) return {};
  window_begin_ = offset;
  window_.resize(static_cast<std::size_t>(std::min(kWindowBytes, end_ - offset)));
  return file_.Read(offset, window_.size(), window_.data());
}

Result<std::optional<FoundBlock>> BlockSearch::StartingAt(std::uint64_t offset) {
  if (Status status = Fill(offset); !status.ok()) return status;
  const std::string_view bytes = std::string_view(window_).substr(static_cast<std::size_t>(offset - window_begin_));
  RunningChecksum checksum;
  std::size_t hashed = 0;
  const std::size_t most = std::min<std::size_t>(bytes.size(), kLongestBlock + kBlockTrailerBytes);
  for (std::size_t size = 1; size + kBlockTrailerBytes <= most; ++size) {
    const std::optional<BlockKind> kind = KindOf(bytes[size]);
    if (!kind) continue;
    checksum.Add(bytes.substr(hashed, size + 1 - hashed));       // contents and type
    hashed = size + 1;
    if (DecodeFixed<std::uint64_t>(bytes.data() + hashed) == checksum.value() + offset) return FoundBlock{{offset, size}, *kind};
  }
  budget_bytes_ -= std::min<std::uint64_t>(budget_bytes_, hashed);
  return std::nullopt;
}

Result<std::optional<FoundBlock>> BlockSearch::Next(std::uint64_t offset) {
  for (; offset + 1 + kBlockTrailerBytes <= end_ && budget_bytes_ > 0; ++offset) {
    Result<std::optional<FoundBlock>> found = StartingAt(offset);
    if (!found || *found) return found;
  }
  return std::nullopt;
}

}  // namespace lsmkv::tool
