// How a Redis key is written as engine keys: the one place that knows.
//
//   engine key   := tag:u8 rest
//   kServerTag   := 0x01 name                      records of the server itself ("databases": database_table.h)
//   kKeyTag      := 0x10 database user_key         one per Redis key: its type, its value or the head of its elements
//   database     := physical id, ordered varint    0..239: that byte; else 0xf0 + (n - 1) and n bytes, big-endian
//   value        := type:u8 payload                the deadline is the engine's, not in here
//   type         := ValueType, plus kEditedBit when the string was made by changing another one (APPEND, SETRANGE)
//
// Invariants
//   1. Engine keys sort by tag, then physical id, then user key as bytes: a database is one range, and SCAN's order is
//      the user keys'. The ordered varint is prefix-free and the shortest form is the only one that decodes.
//   2. A user key may hold any bytes and any number of them: it is last, so nothing needs escaping.
//   3. Tags and types only ever get added; their numbers are on disk.
//
// Threads  none: pure functions.
// Source   ordered varints as in SQLite4's key encoding, one length class a byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lsmkv {

enum class KeyTag : std::uint8_t { kServer = 0x01, kKey = 0x10 };

/// What a Redis key holds. Other types get the numbers after, up to 127.
enum class ValueType : std::uint8_t { kString = 1 };
/// Redis keeps a string that was changed in place in another form, and OBJECT ENCODING says so.
inline constexpr std::uint8_t kEditedBit = 0x80;

/// As TYPE says it.
std::string_view ValueTypeName(ValueType type);

inline constexpr std::size_t kMaxOrderedVarintBytes = 9;
/// Writes at most kMaxOrderedVarintBytes at `out` and returns the end. Byte order is number order.
char* EncodeOrderedVarint(char* out, std::uint64_t value);
/// Takes one from the front of `in`; false, and `in` as it was, when it is cut off or not the shortest form.
bool GetOrderedVarint(std::string_view* in, std::uint64_t* value);

/// One engine key, built in place: no allocation for a user key of up to about 200 bytes.
class EngineKey {
 public:
  /// The record of `user_key` in the database with physical id `database`.
  EngineKey(std::uint64_t database, std::string_view user_key) {
    char prefix[1 + kMaxOrderedVarintBytes];
    prefix[0] = static_cast<char>(KeyTag::kKey);
    const auto prefix_bytes = static_cast<std::size_t>(EncodeOrderedVarint(prefix + 1, database) - prefix);
    size_ = prefix_bytes + user_key.size();
    char* out = inline_.data();
    if (size_ > inline_.size()) {
      heap_ = std::make_unique_for_overwrite<char[]>(size_);
      out = heap_.get();
    }
    std::memcpy(out, prefix, prefix_bytes);
    if (!user_key.empty()) std::memcpy(out + prefix_bytes, user_key.data(), user_key.size());
  }
  EngineKey(const EngineKey&) = delete;
  EngineKey& operator=(const EngineKey&) = delete;

  /// Valid as long as this object.
  std::string_view view() const { return {heap_ != nullptr ? heap_.get() : inline_.data(), size_}; }

 private:
  std::array<char, 208> inline_;            // not zeroed: only the first size_ bytes are ever read
  std::unique_ptr<char[]> heap_;
  std::size_t size_ = 0;
};

/// The first engine key that a database's keys may have, and the first after all of them.
std::string DatabaseBegin(std::uint64_t database);
std::string DatabaseEnd(std::uint64_t database);
/// The first engine key after every one whose user key starts with `prefix`.
std::string PrefixEnd(std::uint64_t database, std::string_view prefix);
/// A record of the server itself.
std::string ServerKey(std::string_view name);
inline constexpr std::string_view kDatabaseTableName = "databases";   ///< database_table.h

struct DecodedKey {
  std::uint64_t database = 0;       ///< physical id
  std::string_view user_key;        ///< a part of the engine key
};
/// Nothing when it is not the engine key of a Redis key (or of one of its elements).
std::optional<DecodedKey> DecodeEngineKey(std::string_view engine_key);

struct DecodedValue {
  ValueType type = ValueType::kString;
  bool edited = false;
  std::string_view payload;         ///< a part of the value
};
/// Nothing when the type is unknown: damage, or data of a newer version.
inline std::optional<DecodedValue> DecodeValue(std::string_view value) {
  if (value.empty()) return std::nullopt;
  const auto type = static_cast<std::uint8_t>(value.front());
  if ((type & ~kEditedBit) != static_cast<std::uint8_t>(ValueType::kString)) return std::nullopt;
  return DecodedValue{ValueType::kString, (type & kEditedBit) != 0, value.substr(1)};
}

}  // namespace lsmkv
