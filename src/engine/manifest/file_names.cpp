#include "engine/manifest/file_names.h"

#include <fmt/core.h>

#include <charconv>

namespace lsmkv {
namespace {

/// The number in `name` between `prefix` and `suffix`.
std::optional<std::uint64_t> NumberIn(std::string_view name, std::string_view prefix, std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  if (name.size() <= prefix.size() + suffix.size()) return std::nullopt;
  const char* const begin = name.data() + prefix.size();
  const char* const end = name.data() + name.size() - suffix.size();
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace

std::string ManifestFileName(std::uint32_t level) { return fmt::format("manifest_l{}.json", level); }

std::optional<std::uint32_t> ParseManifestFileName(std::string_view name) {
  const std::optional<std::uint64_t> level = NumberIn(name, "manifest_l", ".json");
  if (!level || *level > kMaxManifestLevel) return std::nullopt;
  const auto narrow = static_cast<std::uint32_t>(*level);
  if (ManifestFileName(narrow) != name) return std::nullopt;
  return narrow;
}

std::string TableRecordFile(std::uint64_t id) { return fmt::format("sst/sstable_{:06}.sst", id); }

std::optional<std::uint64_t> ParseTableFileName(std::string_view name) {
  const std::optional<std::uint64_t> id = NumberIn(name, "sstable_", ".sst");
  if (!id || TableRecordFile(*id) != "sst/" + std::string(name)) return std::nullopt;
  return id;
}

std::string BlobRecordFile(std::uint64_t id) { return fmt::format("blob/blob_{:06}.blob", id); }

std::optional<std::uint64_t> ParseBlobFileName(std::string_view name) {
  const std::optional<std::uint64_t> id = NumberIn(name, "blob_", ".blob");
  if (!id || BlobRecordFile(*id) != "blob/" + std::string(name)) return std::nullopt;
  return id;
}

}  // namespace lsmkv
