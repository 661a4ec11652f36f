// A digest of a set of contents that does not depend on their order, so that a walk over keys can go as it likes: the digests of
// all entries, one xor the other. For tests that compare two states, not for security.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace lsmkv {

class ContentDigest {
 public:
  /// One entry: two texts, of any bytes.
  void Add(std::string_view first, std::string_view second) {
    std::string entry = std::to_string(first.size()) + ':';     // so that (ab, c) is not (a, bc)
    entry.append(first).append(second);
    for (std::uint64_t i = 0; i < words_.size(); ++i) words_[i] ^= XXH3_64bits_withSeed(entry.data(), entry.size(), i + 1);
  }
  /// 40 digits, as long as Redis's; zeros for no entry.
  std::string Hex() const {
    return fmt::format("{:016x}{:016x}{:08x}", words_[0], words_[1], words_[2] >> 32);
  }
  friend bool operator==(const ContentDigest&, const ContentDigest&) = default;

 private:
  std::array<std::uint64_t, 3> words_{};
};

}  // namespace lsmkv
