#include "lsmkv/write_batch.h"

#include <bit>
#include <cstring>

#include "base/assert.h"
#include "base/coding.h"

namespace lsmkv {
namespace {

constexpr std::size_t VarintBytes(std::size_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

char* EncodeBytes(char* out, std::string_view bytes) {
  out = EncodeVarint(out, bytes.size());
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

/// Makes room for `bytes` more without zeroing them first, lets `encode(char*)` fill them, and checks that it did.
template <typename Encode>
void AppendExactly(std::string* out, std::size_t bytes, Encode encode) {
  const std::size_t before = out->size();
  const std::size_t after = before + bytes;
  out->resize_and_overwrite(after, [&](char* data, std::size_t) {   // libstdc++ 12 passes the capacity, not `after`
    const char* const end = encode(data + before);
    LSMKV_ASSERT(end == data + after);
    return after;
  });
}

}  // namespace

void WriteBatch::Put(std::string_view key, std::string_view value, std::uint64_t expire_at_ms) {
  PutPieces(key, {&value, 1}, expire_at_ms);
}

void WriteBatch::PutPieces(std::string_view key, std::span<const std::string_view> pieces, std::uint64_t expire_at_ms) {
  std::size_t value_bytes = 0;
  for (const std::string_view piece : pieces) value_bytes += piece.size();
  LSMKV_ASSERT(key.size() <= UINT32_MAX && value_bytes <= UINT32_MAX);
  oversized_ |= key.size() > kMaxKeyBytes || value_bytes > kMaxValueBytes;
  const bool expires = expire_at_ms != 0;
  const std::size_t bytes = 1 + VarintBytes(key.size()) + key.size() + (expires ? sizeof(expire_at_ms) : 0) +
                            VarintBytes(value_bytes) + value_bytes;
  AppendExactly(&operations_, bytes, [&](char* out) {
    *out++ = static_cast<char>(expires ? EntryKind::kExpiringValue : EntryKind::kValue);
    out = EncodeBytes(out, key);
    if (expires) {
      std::memcpy(out, &expire_at_ms, sizeof(expire_at_ms));
      out += sizeof(expire_at_ms);
    }
    out = EncodeVarint(out, value_bytes);
    for (const std::string_view piece : pieces) {
      if (!piece.empty()) std::memcpy(out, piece.data(), piece.size());
      out += piece.size();
    }
    return out;
  });
  ++count_;
}

void WriteBatch::Delete(std::string_view key) {
  LSMKV_ASSERT(key.size() <= UINT32_MAX);
  oversized_ |= key.size() > kMaxKeyBytes;
  AppendExactly(&operations_, 1 + VarintBytes(key.size()) + key.size(), [&](char* out) {
    *out++ = static_cast<char>(EntryKind::kTombstone);
    return EncodeBytes(out, key);
  });
  ++count_;
}

bool OperationReader::Next(EntryView* entry) {
  if (damaged_ || rest_.empty()) return false;
  std::string_view rest = rest_;
  const auto kind = static_cast<std::uint8_t>(rest.front());
  if (rest.starts_with(kNothingOperation)) {
    rest_.remove_prefix(kNothingOperation.size());
    *entry = {{}, {}, entry->sequence, 0, EntryKind::kNothing};
    return true;
  }
  rest.remove_prefix(1);
  std::string_view key;
  std::string_view value;
  std::uint64_t expire_at_ms = 0;
  bool whole = kind <= static_cast<std::uint8_t>(EntryKind::kExpiringValue) && GetLengthPrefixed(&rest, &key);
  if (whole && kind == static_cast<std::uint8_t>(EntryKind::kExpiringValue)) {
    // A deadline of 0 means "never" everywhere else and is not written with this kind, so it is damage.
    whole = GetFixed(&rest, &expire_at_ms) && expire_at_ms != 0;
  }
  if (whole && kind != static_cast<std::uint8_t>(EntryKind::kTombstone)) whole = GetLengthPrefixed(&rest, &value);
  if (!whole) {
    damaged_ = true;
    return false;
  }
  rest_ = rest;
  entry->key = key;
  entry->value = value;
  entry->expire_at_ms = expire_at_ms;
  entry->kind = static_cast<EntryKind>(kind);
  return true;
}

}  // namespace lsmkv
