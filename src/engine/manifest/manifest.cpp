#include "engine/manifest/manifest.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/hash.h"
#include "engine/blob_pointer.h"
#include "engine/manifest/text_values.h"

namespace lsmkv {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kChecksumField = "checksum";
// The fields of a table that begin a line of their own, so that one table reads as one paragraph.
constexpr std::string_view kLineStarts[] = {"entries", "smallest_key", "smallest_seq", "created_at", "expiring", "replaces", "blobs"};

std::string ChecksumText(const RunningChecksum& checksum) { return fmt::format("xxh3:{:016x}", checksum.value()); }

/// Of what `without_checksum`, an object, is without any space, one element of an array at a time.
std::string ChecksumText(const Json& without_checksum) {
  RunningChecksum checksum;
  std::string_view before = "{";
  for (const auto& [name, value] : without_checksum.items()) {
    checksum.Add(before);
    checksum.Add(Json(name).dump() + ":");
    before = ",";
    if (!value.is_array() || value.empty()) {
      checksum.Add(value.dump());
      continue;
    }
    for (std::size_t at = 0; at < value.size(); ++at) {
      checksum.Add(at == 0 ? "[" : ",");
      checksum.Add(value[at].dump());
    }
    checksum.Add("]");
  }
  checksum.Add(without_checksum.empty() ? "{}" : "}");
  return ChecksumText(checksum);
}

const char* WrongWith(const std::vector<BlobRef>& blobs, std::uint64_t entries) {
  std::uint64_t last_id = 0;
  for (const BlobRef& blob : blobs) {
    if (blob.id <= last_id) return "\"blobs\" has an id that is 0, or twice, or out of order";
    if (blob.entries == 0 || blob.entries > entries) return "\"blobs\" has impossible entries";
    if (blob.live_bytes == 0 || blob.live_bytes > blob.file_bytes || blob.file_bytes - blob.live_bytes < kBlobOverheadBytes) return "\"blobs\" has impossible bytes";
    last_id = blob.id;
    entries -= blob.entries;
  }
  return nullptr;
}

/// What no table of ours can be like; null when nothing is wrong.
const char* WrongWith(const TableRecord& table) {
  if (table.id == 0) return "\"id\" is 0";
  if (table.file != TableRecordFile(table.id)) return "\"file\" is not the name that goes with the id";
  if (table.entries == 0) return "\"entries\" is 0";
  if (table.tombstones > table.entries) return "\"tombstones\" is more than \"entries\"";
  if (table.expiring > table.entries) return "\"expiring\" is more than \"entries\"";
  if (table.expiring > 0 && table.expires_first_ms > table.expires_last_ms) return "\"expires_first\" is after \"expires_last\"";
  if (table.size_bytes == 0) return "\"size_bytes\" is 0";
  if (table.smallest_key > table.largest_key) return "\"smallest_key\" is after \"largest_key\"";
  if (table.smallest_seq > table.largest_seq) return "\"smallest_seq\" is after \"largest_seq\"";
  return WrongWith(table.blobs, table.entries);
}

// ---- writing

Json TimeValue(std::uint64_t ms) { return ms <= kLastIsoMillis ? Json(FormatIsoTime(ms)) : Json(ms); }

template <typename Value>
Json OptionalValue(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json TableValue(const TableRecord& table) {
  Json replaces = Json::array();
  for (const auto& [level, id] : table.replaces) replaces.push_back(Json::array({level, id}));
  const bool expires = table.expiring > 0;
  Json value = {
      {"id", table.id},
      {"file", table.file},
      {"entries", table.entries},
      {"tombstones", table.tombstones},
      {"size_bytes", table.size_bytes},
      {"smallest_key", EscapeKey(table.smallest_key)},
      {"largest_key", EscapeKey(table.largest_key)},
      {"smallest_seq", table.smallest_seq},
      {"largest_seq", table.largest_seq},
      {"created_at", TimeValue(table.created_at_ms)},
      {"expiring", table.expiring},
      {"expires_first", expires ? TimeValue(table.expires_first_ms) : Json(nullptr)},
      {"expires_last", expires ? TimeValue(table.expires_last_ms) : Json(nullptr)},
      {"replaces", std::move(replaces)},
  };
  if (table.blobs.empty()) return value;
  Json& blobs = value["blobs"] = Json::array();
  for (const BlobRef& blob : table.blobs) blobs.push_back(Json::array({blob.id, blob.entries, blob.live_bytes, blob.file_bytes}));
  return value;
}

/// All but the tables, which come last.
Json HeadValue(const LevelManifest& manifest) {
  Json document = {{"format", kManifestFormat}, {"level", manifest.level}, {"revision", manifest.revision}};
  document["wal_floor"] = OptionalValue(manifest.wal_floor);
  if (manifest.level == 0) document["flushed_sequence"] = OptionalValue(manifest.flushed_sequence);
  document["last_id"] = manifest.last_id;
  document["written_at"] = TimeValue(manifest.written_at_ms);
  return document;
}

void PrintTable(const Json& table, std::string* text) {
  *text += "    { ";
  bool first = true;
  for (const auto& [name, value] : table.items()) {
    const bool new_line = std::ranges::find(kLineStarts, name) != std::end(kLineStarts);
    if (!first) *text += new_line ? ",\n      " : ", ";
    *text += fmt::format("\"{}\": {}", name, value.dump());
    first = false;
  }
  *text += " }";
}

/// More than its text can have.
std::uint64_t TextBytesAtMost(const TableRecord& table) {
  constexpr std::uint64_t kMostPerByte = 5, kFixed = 1024, kPerReplaced = 32, kPerBlob = 96;   // \\xff is what a byte of a key is at most
  return kFixed + kMostPerByte * (table.smallest_key.size() + table.largest_key.size()) + kPerReplaced * table.replaces.size() +
         kPerBlob * table.blobs.size();
}

// ---- reading

/// Takes typed fields out of an object and remembers what was wrong first.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  std::uint64_t Number(const char* name) {
    const Json* value = Find(name);
    if (value == nullptr) return 0;
    if (!value->is_number_unsigned()) return Wrong(name, "is not a whole number"), 0;
    return value->get<std::uint64_t>();
  }
  std::optional<std::uint64_t> OptionalNumber(const char* name) {
    if (const auto it = object_.find(name); it == object_.end() || it->is_null()) return std::nullopt;
    return Number(name);
  }
  std::string Text(const char* name) {
    const Json* value = Find(name);
    if (value == nullptr) return {};
    if (!value->is_string()) return Wrong(name, "is not a string"), std::string();
    return value->get<std::string>();
  }
  std::string Key(const char* name) {
    Result<std::string> key = UnescapeKey(Text(name));
    if (!key) return Wrong(name, key.error().message()), std::string();
    return std::move(*key);
  }
  std::uint64_t Time(const char* name) {
    const Json* value = Find(name);
    if (value != nullptr && value->is_number_unsigned()) return value->get<std::uint64_t>();
    const Result<std::uint64_t> time = ParseIsoTime(Text(name));
    if (!time) return Wrong(name, time.error().message()), 0;
    return *time;
  }
  const Json& Array(const char* name) {
    static const Json kNone = Json::array();
    const Json* value = Find(name);
    if (value == nullptr) return kNone;
    if (!value->is_array()) return Wrong(name, "is not a list"), kNone;
    return *value;
  }
  void Wrong(std::string_view name, std::string_view what) {
    if (status_.ok()) status_ = Status::Corruption(fmt::format("{}\"{}\" {}", where_, name, what));
  }
  bool Has(const char* name) const { return object_.contains(name); }
  const Status& status() const { return status_; }

 private:
  const Json* Find(const char* name) {
    const auto it = object_.find(name);
    if (it != object_.end()) return &*it;
    Wrong(name, "is missing");
    return nullptr;
  }

  const Json& object_;
  const std::string where_;
  Status status_;
};

Result<std::vector<TableRef>> DecodeReplaces(const Json& list) {
  std::vector<TableRef> replaces;
  for (const Json& item : list) {
    const bool is_pair = item.is_array() && item.size() == 2 && item[0].is_number_unsigned() && item[1].is_number_unsigned();
    if (!is_pair || item[0].get<std::uint64_t>() > kMaxManifestLevel || item[1].get<std::uint64_t>() == 0) {
      return Status::Corruption("is not a list of [level, id]");
    }
    replaces.emplace_back(item[0].get<std::uint32_t>(), item[1].get<std::uint64_t>());
  }
  return replaces;
}

Result<std::vector<BlobRef>> DecodeBlobs(const Json& list) {
  std::vector<BlobRef> blobs;
  for (const Json& item : list) {
    const bool is_row = item.is_array() && item.size() == 4 &&
                        std::ranges::all_of(item, [](const Json& figure) { return figure.is_number_unsigned(); });
    if (!is_row) return Status::Corruption("is not a list of [id, entries, live_bytes, file_bytes]");
    const auto figure = [&item](std::size_t index) { return item[index].get<std::uint64_t>(); };
    blobs.push_back({figure(0), figure(1), figure(2), figure(3)});
  }
  return blobs;
}

Result<TableRecord> DecodeTable(const Json& value, std::size_t index) {
  if (!value.is_object()) return Status::Corruption(fmt::format("sstables[{}] is not an object", index));
  Fields fields(value, fmt::format("sstables[{}]: ", index));
  TableRecord table;
  table.id = fields.Number("id");
  table.file = fields.Text("file");
  table.entries = fields.Number("entries");
  table.tombstones = fields.Number("tombstones");
  table.size_bytes = fields.Number("size_bytes");
  table.smallest_key = fields.Key("smallest_key");
  table.largest_key = fields.Key("largest_key");
  table.smallest_seq = fields.Number("smallest_seq");
  table.largest_seq = fields.Number("largest_seq");
  table.created_at_ms = fields.Time("created_at");
  table.expiring = fields.Number("expiring");
  if (table.expiring > 0) {
    table.expires_first_ms = fields.Time("expires_first");
    table.expires_last_ms = fields.Time("expires_last");
  }
  Result<std::vector<TableRef>> replaces = DecodeReplaces(fields.Array("replaces"));
  if (replaces) {
    table.replaces = std::move(*replaces);
  } else {
    fields.Wrong("replaces", replaces.error().message());
  }
  if (fields.Has("blobs")) {
    Result<std::vector<BlobRef>> blobs = DecodeBlobs(fields.Array("blobs"));
    if (blobs) {
      table.blobs = std::move(*blobs);
    } else {
      fields.Wrong("blobs", blobs.error().message());
    }
  }
  if (!fields.status().ok()) return fields.status();
  return table;
}

Result<LevelManifest> DecodeDocument(const Json& document) {
  Fields fields(document, "");
  LevelManifest manifest;
  const std::uint64_t level = fields.Number("level");
  if (level > kMaxManifestLevel) fields.Wrong("level", fmt::format("is more than {}", kMaxManifestLevel));
  manifest.level = static_cast<std::uint32_t>(std::min<std::uint64_t>(level, kMaxManifestLevel));
  manifest.revision = fields.Number("revision");
  manifest.wal_floor = fields.OptionalNumber("wal_floor");
  manifest.flushed_sequence = fields.OptionalNumber("flushed_sequence");
  manifest.last_id = fields.Number("last_id");
  manifest.written_at_ms = fields.Time("written_at");
  const Json& tables = fields.Array("sstables");
  if (!fields.status().ok()) return fields.status();
  for (std::size_t index = 0; index < tables.size(); ++index) {
    Result<TableRecord> table = DecodeTable(tables[index], index);
    if (!table) return table.error();
    manifest.sstables.push_back(std::move(*table));
  }
  if (Status checked = CheckManifest(manifest); !checked.ok()) return checked;
  return manifest;
}

Result<Json> ParseJson(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    return Status::Corruption(fmt::format("is not JSON at offset {}: it is damaged", error.byte));
  } catch (const Json::exception&) {   // a number that no number can hold
    return Status::Corruption("is not JSON of ours: it is damaged");
  }
}

Result<LevelManifest> DecodeText(std::string_view text) {
  if (text.size() > kMaxManifestBytes) return Status::Corruption("is too large for a manifest");
  Result<Json> parsed = ParseJson(text);
  if (!parsed) return parsed.error();
  Json& document = *parsed;
  if (!document.is_object()) return Status::Corruption("is not a JSON object: it is damaged");
  Fields head(document, "");
  const std::uint64_t format = head.Number("format");
  const std::string stored = head.Text("checksum");
  if (!head.status().ok()) return head.status();
  if (format > kManifestFormat) {
    return Status::Unsupported(fmt::format("has format {}; this version knows formats up to {}", format, kManifestFormat));
  }
  if (format == 0) return Status::Corruption("has format 0");
  document.erase(kChecksumField);
  if (stored != ChecksumText(document)) {
    return Status::Corruption("does not match its checksum: it was changed by hand or is damaged");
  }
  return DecodeDocument(document);
}

}  // namespace

Status CheckManifest(const LevelManifest& manifest) {
  if (manifest.level > kMaxManifestLevel) return Status::Corruption("there is no such level");
  if (manifest.level > 0 && (manifest.wal_floor || manifest.flushed_sequence)) {
    return Status::Corruption("\"wal_floor\" and \"flushed_sequence\" belong to level 0");
  }
  std::set<std::uint64_t> ids;
  const TableRecord* before = nullptr;
  for (const TableRecord& table : manifest.sstables) {
    if (const char* wrong = WrongWith(table)) return Status::Corruption(fmt::format("{}: {}", table.file, wrong));
    if (!ids.insert(table.id).second) return Status::Corruption(fmt::format("{} is named twice", table.file));
    if (table.id > manifest.last_id || (!table.blobs.empty() && table.blobs.back().id > manifest.last_id)) {
      return Status::Corruption("\"last_id\" is smaller than an id");
    }
    if (manifest.level > 0 && before != nullptr && before->largest_key >= table.smallest_key) {
      return Status::Corruption(fmt::format("{} and {} overlap", before->file, table.file));
    }
    before = &table;
  }
  return Status::Ok();
}

Status EncodeManifest(const LevelManifest& manifest, const TextSink& sink) {
  constexpr std::size_t kPieceBytes = 1 << 20;
  const Json head = HeadValue(manifest);
  RunningChecksum checksum;   // of all as one object without any space
  std::string dumped = head.dump();
  dumped.back() = ',';        // the object goes on
  checksum.Add(dumped + "\"sstables\":[");
  std::string text = "{\n";
  for (const auto& [name, value] : head.items()) text += fmt::format("  \"{}\": {},\n", name, value.dump());
  text += "  \"sstables\": [";
  bool first = true;
  for (const TableRecord& record : manifest.sstables) {
    const Json table = TableValue(record);
    if (!first) checksum.Add(",");
    checksum.Add(table.dump());
    text += first ? "\n" : ",\n";
    PrintTable(table, &text);
    first = false;
    if (text.size() < kPieceBytes) continue;
    if (Status status = sink(text); !status.ok()) return status;
    text.clear();
  }
  checksum.Add("]}");
  text += fmt::format("{}],\n  \"{}\": \"{}\"\n}}\n", first ? "" : "\n  ", kChecksumField, ChecksumText(checksum));
  return sink(text);
}

std::string EncodeManifest(const LevelManifest& manifest) {
  std::string text;
  IgnoreError(EncodeManifest(manifest, [&text](std::string_view piece) {
    text += piece;
    return Status::Ok();
  }), "a string takes everything");
  return text;
}

std::uint64_t ManifestBytes(const LevelManifest& manifest, std::uint64_t enough) {
  std::uint64_t bytes = 1024;
  for (const TableRecord& table : manifest.sstables) bytes += TextBytesAtMost(table);
  if (bytes <= enough) return bytes;
  bytes = 0;
  IgnoreError(EncodeManifest(manifest, [&bytes](std::string_view piece) {
    bytes += piece.size();
    return Status::Ok();
  }), "counting takes everything");
  return bytes;
}

Result<LevelManifest> DecodeManifest(std::string_view text, std::string_view file_name) {
  Result<LevelManifest> manifest = DecodeText(text);
  if (manifest) return manifest;
  const Status& error = manifest.error();
  if (error.code() != StatusCode::kCorruption) return error.WithContext(file_name);
  return Status::Corruption(fmt::format("{}: {}. Put back a good copy ({}.prev is the one before it, if nothing was compacted since)",
                                        file_name, error.message(), file_name));
}

}  // namespace lsmkv
