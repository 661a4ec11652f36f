// One hash for everything: XXH3 64 bit (xxhash). Hash() places keys in tables and filters; Checksum() guards bytes
// on disk. Both are part of the file formats: the seeds never change.
#pragma once

#include <cstdint>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace lsmkv {

inline std::uint64_t Hash(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }
inline constexpr std::uint64_t kChecksumSeed = 0x6c736d6b76;
inline std::uint64_t Checksum(std::string_view bytes) { return XXH3_64bits_withSeed(bytes.data(), bytes.size(), kChecksumSeed); }

/// The Checksum() of bytes that come piece by piece, at any time.
class RunningChecksum {
 public:
  RunningChecksum() { Restart(); }
  void Restart() { XXH3_64bits_reset_withSeed(&state_, kChecksumSeed); }
  void Add(std::string_view bytes) { XXH3_64bits_update(&state_, bytes.data(), bytes.size()); }
  std::uint64_t value() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_{};
};

}  // namespace lsmkv
