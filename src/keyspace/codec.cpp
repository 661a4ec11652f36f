#include "keyspace/codec.h"

#include <bit>

#include "base/assert.h"

namespace lsmkv {
namespace {

constexpr std::uint8_t kFirstLongForm = 0xf0;   // smaller first bytes are the number itself

/// The smallest string greater than every one that starts with `prefix`, given that its first byte is not 0xff.
std::string AfterAllWithPrefix(std::string prefix) {
  while (static_cast<std::uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  prefix.back() = static_cast<char>(static_cast<std::uint8_t>(prefix.back()) + 1);
  return prefix;
}

}  // namespace

std::string_view ValueTypeName(ValueType type) {
  switch (type) {
    case ValueType::kString: return "string";
  }
  return "unknown";
}

char* EncodeOrderedVarint(char* out, std::uint64_t value) {
  if (value < kFirstLongForm) {
    *out++ = static_cast<char>(value);
    return out;
  }
  const int bytes = (static_cast<int>(std::bit_width(value)) + 7) / 8;
  *out++ = static_cast<char>(kFirstLongForm + bytes - 1);
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) *out++ = static_cast<char>(value >> shift);
  return out;
}

bool GetOrderedVarint(std::string_view* in, std::uint64_t* value) {
  if (in->empty()) return false;
  const auto first = static_cast<std::uint8_t>(in->front());
  if (first < kFirstLongForm) {
    *value = first;
    in->remove_prefix(1);
    return true;
  }
  const std::size_t bytes = static_cast<std::size_t>(first - kFirstLongForm) + 1;
  if (bytes > 8 || in->size() < 1 + bytes) return false;
  std::uint64_t result = 0;
  for (std::size_t i = 1; i <= bytes; ++i) result = result << 8 | static_cast<std::uint8_t>((*in)[i]);
  const bool shortest = result >= kFirstLongForm && (bytes == 1 || result >> (8 * (bytes - 1)) != 0);
  if (!shortest) return false;
  *value = result;
  in->remove_prefix(1 + bytes);
  return true;
}

std::string DatabaseBegin(std::uint64_t database) { return std::string(EngineKey(database, {}).view()); }

std::string DatabaseEnd(std::uint64_t database) {
  LSMKV_ASSERT(database < UINT64_MAX);
  return DatabaseBegin(database + 1);
}

std::string PrefixEnd(std::uint64_t database, std::string_view prefix) {
  if (prefix.empty()) return DatabaseEnd(database);
  // The tag is below 0xff, so the carry stops at it at the latest; a carry into the id gives the database's end or less.
  return AfterAllWithPrefix(std::string(EngineKey(database, prefix).view()));
}

std::string ServerKey(std::string_view name) {
  std::string key(1, static_cast<char>(KeyTag::kServer));
  return key.append(name);
}

std::optional<DecodedKey> DecodeEngineKey(std::string_view engine_key) {
  if (engine_key.empty() || engine_key.front() != static_cast<char>(KeyTag::kKey)) return std::nullopt;
  DecodedKey decoded;
  decoded.user_key = engine_key.substr(1);
  if (!GetOrderedVarint(&decoded.user_key, &decoded.database)) return std::nullopt;
  return decoded;
}

}  // namespace lsmkv
