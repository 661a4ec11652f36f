// Filter of one section: says "not here" without reading anything else, never wrongly.
//
//   contents := line:64 bytes[line_count] probe_count:u8
//
// A Bloom filter whose bits for one key all lie in one 512-bit line, so that a question costs one cache miss. The key's
// hash (base/hash.h) picks the line by its upper bits; probes take 9 bits at a time from a word mixed out of it. The hash
// comes with the question: a lookup that asks many tables hashes its key once.
//
// Source   Putze, Sanders, Singler: "Cache-, Hash- and Space-Efficient Bloom Filters" (2007), blocked filters.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/sstable/cached_block.h"

namespace lsmkv {

/// Contents of a filter over the keys with these hashes; at least one. `bits_per_key` is 1 or more.
std::string BuildFilter(std::span<const std::uint64_t> hashes, std::uint32_t bits_per_key);

class FilterBlock final : public CachedBlock {
 public:
  static constexpr BlockKind kKind = BlockKind::kFilter;

  explicit FilterBlock(BlockContents contents);  ///< for Parse, which checks it
  /// Errors: kCorruption, worded without file or offset.
  static Result<std::shared_ptr<const FilterBlock>> Parse(BlockContents contents, std::uint64_t file_bytes);

  /// False: no key with this hash is in the section.
  bool MayContain(std::uint64_t hash) const;
  /// Starts loading what MayContain(hash) will look at.
  void PrefetchLine(std::uint64_t hash) const;

 private:
  const BlockContents contents_;
  const std::uint64_t line_count_;
  const unsigned probe_count_;
};

}  // namespace lsmkv
