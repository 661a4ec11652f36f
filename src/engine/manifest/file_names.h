// What the files of a data directory that manifests know of are called: themselves, tables and blob files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lsmkv {

inline constexpr std::uint32_t kMaxManifestLevel = 63;

/// "manifest_l1.json", beside the sst and wal directories.
std::string ManifestFileName(std::uint32_t level);
/// The level in "manifest_l1.json"; nullopt for any other name.
std::optional<std::uint32_t> ParseManifestFileName(std::string_view name);
/// "sst/sstable_000007.sst".
std::string TableRecordFile(std::uint64_t id);
/// The id in "sstable_000007.sst" (without a folder); nullopt for any other name.
std::optional<std::uint64_t> ParseTableFileName(std::string_view name);
/// "blob/blob_000012.blob".
std::string BlobRecordFile(std::uint64_t id);
/// The id in "blob_000012.blob" (without a folder); nullopt for any other name.
std::optional<std::uint64_t> ParseBlobFileName(std::string_view name);

}  // namespace lsmkv
