// Command names as three words, lower case, so that a name is hashed and compared without a loop over its bytes.
// The generator (proto/) uses the same code to lay out the registry's perfect hash, so the two cannot disagree.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace lsmkv {

/// No command's name is longer; a longer argument is no command.
inline constexpr std::size_t kLongestCommandName = 24;

struct FoldedName {
  std::uint64_t words[3];
  bool operator==(const FoldedName&) const = default;
};

/// ASCII upper case to lower case in all eight bytes at once; other bytes stay.
inline std::uint64_t FoldWord(std::uint64_t word) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  const std::uint64_t low_bits = word & (kEach * 0x7f);
  const std::uint64_t at_least_a = low_bits + kEach * (0x80 - 'A');
  const std::uint64_t above_z = low_bits + kEach * (0x7f - 'Z');
  const std::uint64_t upper = ~word & (at_least_a ^ above_z) & (kEach * 0x80);
  return word | (upper >> 2);
}

/// Up to 8 bytes, zeros behind them. Never reads past the end.
inline std::uint64_t LoadWord(const char* bytes, std::size_t size) {
  std::uint64_t word = 0;
  if (size >= 8) {
    std::memcpy(&word, bytes, 8);
  } else if (size >= 4) {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::memcpy(&first, bytes, 4);
    std::memcpy(&last, bytes + size - 4, 4);
    word = first | static_cast<std::uint64_t>(last) << (8 * (size - 4));
  } else if (size > 0) {
    word = static_cast<std::uint8_t>(bytes[0]);
    word |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[size / 2])) << (8 * (size / 2));
    word |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[size - 1])) << (8 * (size - 1));
  }
  return word;
}

/// `name` is at most kLongestCommandName bytes. Two names fold alike only when they are equal but for ASCII case, or differ by
/// zero bytes at their end, which no command's name has: callers compare the size too.
inline FoldedName FoldName(std::string_view name) {
  const char* const bytes = name.data();
  const std::size_t size = name.size();
  FoldedName folded{{FoldWord(LoadWord(bytes, size)), 0, 0}};
  if (size > 8) folded.words[1] = FoldWord(LoadWord(bytes + 8, size - 8));
  if (size > 16) folded.words[2] = FoldWord(LoadWord(bytes + 16, size - 16));
  return folded;
}

/// Hash and displace: the hash picks a bucket, the bucket's displacement sends each of its names to a slot of its own.
inline std::uint64_t HashName(const FoldedName& name) {
  std::uint64_t hash = name.words[0] ^ (name.words[1] * 0xC2B2AE3D27D4EB4F) ^ (name.words[2] * 0x165667B19E3779F9);
  hash *= 0x9E3779B97F4A7C15;
  return hash ^ (hash >> 32);
}
inline std::size_t SlotOf(std::uint64_t hash, std::uint64_t displacement, unsigned slot_bits) {
  return static_cast<std::size_t>(((hash ^ (displacement * 0xD6E8FEB86659FD93)) * 0x9E3779B97F4A7C15) >> (64 - slot_bits));
}

}  // namespace lsmkv
