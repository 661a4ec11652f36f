#include "engine/bundle/bundle_description.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "engine/manifest/text_values.h"

namespace lsmkv {
namespace {

using Json = nlohmann::ordered_json;

/// More text than this is not a bundle's description.
constexpr std::uint64_t kMaxTextBytes = 1ull << 30;

std::string ChecksumText(const Json& without_checksum) {
  return fmt::format("xxh3:{:016x}", Checksum(without_checksum.dump()));
}

/// Empty when nothing is wrong.
std::string WrongWith(const BundleDescription& bundle) {
  std::uint64_t entries = 0;
  const BundleTable* before = nullptr;
  for (const BundleTable& table : bundle.tables) {
    if (table.file.empty() || table.file.find('/') != std::string::npos) return "a table's \"file\" is not a plain name";
    if (table.entries == 0 || table.expiring > table.entries || table.size_bytes == 0) return table.file + ": impossible figures";
    if (table.smallest_key > table.largest_key) return table.file + ": \"smallest_key\" is after \"largest_key\"";
    if (!table.smallest_key.starts_with(bundle.key_prefix) || !table.largest_key.starts_with(bundle.key_prefix))
      return table.file + ": keys without \"key_prefix\"";
    if (before != nullptr && before->largest_key >= table.smallest_key) return before->file + " and " + table.file + " overlap";
    entries += table.entries;
    before = &table;
  }
  if (bundle.tables.empty()) return "there are no tables";
  return entries == bundle.entries ? "" : "\"entries\" is not the sum of the tables'";
}

/// Throws nlohmann::json::exception where a field is missing or of another type.
Result<BundleDescription> ReadFields(const Json& document) {
  const auto key = [](const Json& text) { return UnescapeKey(text.get_ref<const std::string&>()); };
  BundleDescription bundle;
  const Result<std::string> prefix = key(document.at("key_prefix"));
  const Result<std::uint64_t> made_at = ParseIsoTime(document.at("made_at").get_ref<const std::string&>());
  if (!prefix) return prefix.error();
  if (!made_at) return made_at.error();
  bundle.key_prefix = *prefix;
  bundle.made_at_ms = *made_at;
  bundle.entries = document.at("entries").get<std::uint64_t>();
  for (const Json& each : document.at("tables")) {
    BundleTable table;
    const Result<std::string> smallest = key(each.at("smallest_key"));
    const Result<std::string> largest = key(each.at("largest_key"));
    if (!smallest) return smallest.error();
    if (!largest) return largest.error();
    table.file = each.at("file").get<std::string>();
    table.entries = each.at("entries").get<std::uint64_t>();
    table.expiring = each.at("expiring").get<std::uint64_t>();
    table.size_bytes = each.at("size_bytes").get<std::uint64_t>();
    table.smallest_key = *smallest;
    table.largest_key = *largest;
    bundle.tables.push_back(std::move(table));
  }
  return bundle;
}

Result<BundleDescription> DecodeText(std::string_view text) {
  if (text.size() > kMaxTextBytes) return Status::Corruption("is too large for a bundle's description");
  Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return Status::Corruption("is not JSON: it is damaged");
  try {
    const auto format = document.at("format").get<std::uint64_t>();
    const auto stored = document.at("checksum").get<std::string>();
    if (format > kBundleFormat)
      return Status::Unsupported(fmt::format("has format {}; this version knows formats up to {}", format, kBundleFormat));
    document.erase("checksum");
    if (stored != ChecksumText(document))
      return Status::Corruption("does not match its checksum: it was changed by hand or is damaged; build the bundle again");
    Result<BundleDescription> bundle = ReadFields(document);
    if (!bundle) return bundle;
    if (const std::string wrong = WrongWith(*bundle); !wrong.empty()) return Status::Corruption(wrong);
    return bundle;
  } catch (const nlohmann::json::exception& error) {
    return Status::Corruption(error.what());
  }
}

}  // namespace

std::uint64_t BundleDescription::size_bytes() const {
  std::uint64_t bytes = 0;
  for (const BundleTable& table : tables) bytes += table.size_bytes;
  return bytes;
}

std::string BundleTableFile(std::uint64_t number) { return fmt::format("table_{:06}.sst", number); }

std::string EncodeBundle(const BundleDescription& bundle) {
  Json tables = Json::array();
  for (const BundleTable& table : bundle.tables) {
    tables.push_back({{"file", table.file},
                      {"entries", table.entries},
                      {"expiring", table.expiring},
                      {"size_bytes", table.size_bytes},
                      {"smallest_key", EscapeKey(table.smallest_key)},
                      {"largest_key", EscapeKey(table.largest_key)}});
  }
  Json document = {{"format", kBundleFormat},
                   {"key_prefix", EscapeKey(bundle.key_prefix)},
                   {"entries", bundle.entries},
                   {"made_at", FormatIsoTime(std::min(bundle.made_at_ms, kLastIsoMillis))},
                   {"tables", std::move(tables)}};
  document["checksum"] = ChecksumText(document);
  return document.dump(2) + "\n";
}

Result<BundleDescription> DecodeBundle(std::string_view text, std::string_view file_name) {
  Result<BundleDescription> bundle = DecodeText(text);
  if (!bundle) return bundle.error().WithContext(file_name);
  return bundle;
}

}  // namespace lsmkv
