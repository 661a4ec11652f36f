#include "tool/text.h"

#include <fmt/core.h>

#include "engine/blob_pointer.h"
#include "engine/manifest/text_values.h"
#include "keyspace/codec.h"

namespace lsmkv::tool {

std::string KeyText(std::string_view engine_key) {
  const std::optional<DecodedKey> key = DecodeEngineKey(engine_key);
  if (!key) return "raw " + EscapeKey(engine_key);
  return fmt::format("db{} {}", key->database, EscapeKey(key->user_key));
}

std::string ValueText(std::string_view value, std::size_t most_bytes) {
  if (const std::optional<DecodedValue> decoded = DecodeValue(value)) value = decoded->payload;
  if (value.size() <= most_bytes) return fmt::format("\"{}\"", EscapeKey(value));
  return fmt::format("\"{}\"... ({} bytes)", EscapeKey(value.substr(0, most_bytes)), value.size());
}

std::string TimeText(std::uint64_t ms) {
  if (ms == 0) return "never";
  return ms <= kLastIsoMillis ? FormatIsoTime(ms) : fmt::format("{} ms", ms);
}

std::string_view KindText(EntryKind kind) {
  switch (kind) {
    case EntryKind::kTombstone: return "delete";
    case EntryKind::kValue:
    case EntryKind::kExpiringValue:
    case EntryKind::kBlob: return "put";
    case EntryKind::kNothing: return "nothing";
  }
  return "unknown";
}

std::string_view CompressionText(Compression compression) {
  switch (compression) {
    case Compression::kNone: return "none";
    case Compression::kLz4: return "lz4";
    case Compression::kZstd: return "zstd";
  }
  return "unknown";
}

namespace {

std::string PointerText(std::string_view encoded) {
  const std::optional<BlobPointer> pointer = DecodeBlobPointer(encoded);
  if (!pointer) return "malformed pointer to a blob";
  std::string text = fmt::format("blob {} @ {} +{} bytes", pointer->blob, pointer->offset, pointer->stored_bytes);
  if (pointer->stored_bytes != pointer->value_bytes) text += fmt::format(" ({} unpacked)", pointer->value_bytes);
  return text;
}

}  // namespace

std::string EntryText(const EntryView& entry, std::size_t most_value_bytes, std::optional<std::string_view> blob_value) {
  std::string line = fmt::format("{:>12} {:8}", entry.sequence, KindText(entry.kind));
  if (entry.kind == EntryKind::kNothing) return line;
  line += KeyText(entry.key);
  if (entry.kind == EntryKind::kTombstone) return line;
  line += " = ";
  if (entry.kind == EntryKind::kBlob) {
    line += PointerText(entry.value);
    if (blob_value) line += " " + ValueText(*blob_value, most_value_bytes);
  } else {
    line += ValueText(entry.value, most_value_bytes);
  }
  if (const std::uint64_t deadline = ExpiryOf(entry); deadline != 0 || entry.kind == EntryKind::kExpiringValue) line += " until " + TimeText(deadline);
  return line;
}

std::string BytesText(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  const char* const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double figure = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (figure /= 1024; figure >= 1024 && unit + 1 < std::size(units); figure /= 1024) ++unit;
  return fmt::format("{:.1f} {}", figure, units[unit]);
}

}  // namespace lsmkv::tool
