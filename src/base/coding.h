// Integers as bytes, little-endian, and varints (LevelDB's: 7 bits a byte, low bits first, high bit says more follow).
// Getters take from the front of a view and return false, leaving it as it was, when there is too little or it is malformed.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace lsmkv {

static_assert(std::endian::native == std::endian::little, "the formats are written by plain copies");

inline constexpr std::size_t kMaxVarint32Bytes = 5;
inline constexpr std::size_t kMaxVarint64Bytes = 10;

template <typename Integer>
inline void PutFixed(std::string* out, Integer value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}
template <typename Integer>
inline Integer DecodeFixed(const char* bytes) {
  Integer value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}
template <typename Integer>
inline bool GetFixed(std::string_view* in, Integer* value) {
  if (in->size() < sizeof(Integer)) return false;
  *value = DecodeFixed<Integer>(in->data());
  in->remove_prefix(sizeof(Integer));
  return true;
}

/// Writes at most kMaxVarint64Bytes at `out` and returns the end.
inline char* EncodeVarint(char* out, std::uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}
inline void PutVarint(std::string* out, std::uint64_t value) {
  char buffer[kMaxVarint64Bytes];
  out->append(buffer, static_cast<std::size_t>(EncodeVarint(buffer, value) - buffer));
}
/// Returns the byte after the varint, or null.
inline const char* DecodeVarint(const char* begin, const char* end, std::uint64_t* value) {
  std::uint64_t result = 0;
  for (unsigned shift = 0; shift < 64 && begin < end; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(*begin++);
    if (shift == 63 && byte > 1) return nullptr;
    result |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *value = result;
      return begin;
    }
  }
  return nullptr;
}
inline const char* DecodeVarint32(const char* begin, const char* end, std::uint32_t* value) {
  if (begin < end && static_cast<std::uint8_t>(*begin) < 0x80) {
    *value = static_cast<std::uint8_t>(*begin);
    return begin + 1;
  }
  std::uint64_t wide = 0;
  begin = DecodeVarint(begin, end, &wide);
  if (begin == nullptr || wide > UINT32_MAX) return nullptr;
  *value = static_cast<std::uint32_t>(wide);
  return begin;
}
inline bool GetVarint64(std::string_view* in, std::uint64_t* value) {
  const char* const end = in->data() + in->size();
  const char* const next = DecodeVarint(in->data(), end, value);
  if (next == nullptr) return false;
  *in = std::string_view(next, static_cast<std::size_t>(end - next));
  return true;
}
inline bool GetVarint32(std::string_view* in, std::uint32_t* value) {
  const char* const end = in->data() + in->size();
  const char* const next = DecodeVarint32(in->data(), end, value);
  if (next == nullptr) return false;
  *in = std::string_view(next, static_cast<std::size_t>(end - next));
  return true;
}
/// A varint32 length and that many bytes, borrowed from `in`.
inline bool GetLengthPrefixed(std::string_view* in, std::string_view* bytes) {
  std::string_view rest = *in;
  std::uint32_t size = 0;
  if (!GetVarint32(&rest, &size) || rest.size() < size) return false;
  *bytes = rest.substr(0, size);
  *in = rest.substr(size);
  return true;
}
inline void PutLengthPrefixed(std::string* out, std::string_view bytes) {
  PutVarint(out, bytes.size());
  out->append(bytes);
}

}  // namespace lsmkv
