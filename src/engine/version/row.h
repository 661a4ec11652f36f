#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include "base/size_class.h"

namespace lsmkv {

class Row;
using RowRef = std::shared_ptr<const Row>;

/// A key with its value and deadline, immutable for all who hold it. Key and value lie behind the object in the same allocation, reference counts before
/// it, so that a hit touches neighbouring cache lines and a short row wastes little.
class Row {
 public:
  static RowRef Make(std::string_view key, std::string_view value, std::uint64_t expire_at_ms);
  /// What such a row takes of memory.
  static std::uint64_t ChargeBytes(std::size_t key_bytes, std::size_t value_bytes, std::uint64_t expire_at_ms) {
    return SizeClassBytes(kCountsBytes + sizeof(Row) + TrailingBytes(key_bytes, value_bytes, expire_at_ms));
  }

  std::string_view key() const { return {trailing() + DeadlineBytes(), key_bytes_}; }
  std::string_view value() const { return {trailing() + DeadlineBytes() + key_bytes_, value_bytes_}; }
  /// 0: never.
  std::uint64_t expire_at_ms() const {
    std::uint64_t deadline = 0;
    if (expires_ != 0) std::memcpy(&deadline, trailing(), sizeof(deadline));
    return deadline;
  }
  std::uint64_t charge_bytes() const { return ChargeBytes(key_bytes_, value_bytes_, expires_); }

  /// Under the mutex of the row's shard: puts another value in the place of the present one, when it has the same size and nobody
  /// but the cache has the row.
  bool Overwrite(std::string_view value, std::uint64_t expire_at_ms) const {
    if (value.size() != value_bytes_ || (expire_at_ms != 0) != (expires_ != 0)) return false;
    if (self.use_count() != 1) return false;
    const RowRef held = self;                                // counting up acquires what the last reader released when it counted down
    char* const at = const_cast<char*>(trailing());          // made by Make(), and not const there
    if (expires_ != 0) std::memcpy(at, &expire_at_ms, sizeof(expire_at_ms));
    if (!value.empty()) std::memcpy(at + DeadlineBytes() + key_bytes_, value.data(), value.size());
    return true;
  }

  mutable RowRef self;       ///< the cache's own reference, under the mutex of the row's shard

  Row(std::string_view key, std::string_view value, std::uint64_t expire_at_ms)
      : key_bytes_(static_cast<std::uint32_t>(key.size())),
        expires_(expire_at_ms != 0 ? 1u : 0u),
        value_bytes_(static_cast<std::uint32_t>(value.size()) & 0x7fffffffu) {}

 private:
  static constexpr std::uint64_t kCountsBytes = 16;    // of std::shared_ptr, in front
  template <typename T>
  struct Allocator;

  static std::size_t TrailingBytes(std::size_t key_bytes, std::size_t value_bytes, std::uint64_t expire_at_ms) {
    return (expire_at_ms != 0 ? sizeof(expire_at_ms) : 0) + key_bytes + value_bytes;
  }
  std::size_t DeadlineBytes() const { return expires_ != 0 ? sizeof(std::uint64_t) : 0; }
  const char* trailing() const { return reinterpret_cast<const char*>(this + 1); }
  char* trailing() { return reinterpret_cast<char*>(this + 1); }

  const std::uint32_t key_bytes_;
  const std::uint32_t expires_ : 1;
  const std::uint32_t value_bytes_ : 31;
};

/// Has no state, since each row would carry it: how much comes behind the object is the thread's for the time of Make().
template <typename T>
struct Row::Allocator {
  using value_type = T;
  static inline thread_local std::size_t trailing_bytes = 0;

  Allocator() = default;
  template <typename U>
  explicit(false) Allocator(const Allocator<U>& /*other*/) {}
  T* allocate(std::size_t /*one*/) { return static_cast<T*>(::operator new(sizeof(T) + Allocator<Row>::trailing_bytes)); }
  void deallocate(T* memory, std::size_t /*one*/) { ::operator delete(memory); }
  friend bool operator==(const Allocator&, const Allocator&) { return true; }
};

inline RowRef Row::Make(std::string_view key, std::string_view value, std::uint64_t expire_at_ms) {
  Allocator<Row>::trailing_bytes = TrailingBytes(key.size(), value.size(), expire_at_ms);
  const std::shared_ptr<Row> row = std::allocate_shared<Row>(Allocator<Row>(), key, value, expire_at_ms);
  char* at = row->trailing();
  if (expire_at_ms != 0) std::memcpy(at, &expire_at_ms, sizeof(expire_at_ms));
  at += row->DeadlineBytes();
  if (!key.empty()) std::memcpy(at, key.data(), key.size());
  if (!value.empty()) std::memcpy(at + key.size(), value.data(), value.size());
  return row;
}

}  // namespace lsmkv
