// Manifests, and the two other texts of JSON that a data directory may hold: history.jsonl and a bundle's description.
// Promises: every text is a manifest or an error that begins with the file's name; what was decoded is what an encoder could
// have written, so encoding and decoding are stable; resolving the manifests of a commit that was cut off is done once.
//   input := mode:u8 text             mode 1: checksum put right; 2: history; 4: bundle; else manifests, RS between them
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/hash.h"
#include "engine/bundle/bundle_description.h"
#include "engine/manifest/history.h"
#include "engine/manifest/manifest.h"
#include "engine/manifest/text_values.h"
#include "engine/manifest/version_edit.h"
#include "fs/fault_file_system.h"
#include "fuzz_support.h"

namespace lsmkv {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint8_t kHistory = 2;
constexpr std::uint8_t kBundle = 4;
constexpr std::string_view kName = "manifest.json";
constexpr char kRecordSeparator = '\x1e';

/// The text with the checksum that belongs to it, if it is JSON that can have one.
std::string WithRightChecksum(std::string_view text) {
  Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return std::string(text);
  document.erase("checksum");
  const std::uint64_t checksum = Checksum(document.dump());
  char hex[17];
  std::snprintf(hex, sizeof(hex), "%016llx", static_cast<unsigned long long>(checksum));
  document["checksum"] = std::string("xxh3:") + hex;
  return document.dump();
}

template <typename Value>
void MustBeNamed(const Result<Value>& result) {
  if (result) return;
  FUZZ_REQUIRE(result.error().message().starts_with(kName), "an error names the file");
  const StatusCode code = result.error().code();
  FUZZ_REQUIRE(code == StatusCode::kCorruption || code == StatusCode::kUnsupported, "it is damage or a newer format");
}

std::optional<LevelManifest> Decode(std::string_view text) {
  const Result<LevelManifest> manifest = DecodeManifest(text, kName);
  MustBeNamed(manifest);
  if (!manifest) return std::nullopt;
  FUZZ_REQUIRE(CheckManifest(*manifest).ok(), "what was decoded would be written");
  const std::string encoded = EncodeManifest(*manifest);
  const Result<LevelManifest> again = DecodeManifest(encoded, kName);
  FUZZ_REQUIRE(again && *again == *manifest, "what was encoded decodes to the same");
  FUZZ_REQUIRE(EncodeManifest(*again) == encoded, "and is encoded the same");
  for (const TableRecord& table : manifest->sstables) {
    FUZZ_REQUIRE(UnescapeKey(EscapeKey(table.smallest_key)).value_or("") == table.smallest_key, "keys are written exactly");
  }
  return *manifest;
}

void ResolveIsDoneOnce(const Manifests& on_disk) {
  const Result<Resolution> first = Resolve(on_disk, 1);
  if (!first) return;
  Manifests finished = on_disk;
  for (const LevelManifest& manifest : first->to_write) {
    FUZZ_REQUIRE(CheckManifest(manifest).ok(), "recovery writes only what can be read");
    finished[manifest.level] = manifest;
  }
  const Result<Resolution> second = Resolve(finished, 2);
  FUZZ_REQUIRE(second && second->to_write.empty(), "a commit is finished once");
  const auto tables = [](const Manifests& manifests) {
    std::vector<TableRef> refs;
    for (const auto& [level, manifest] : manifests) {
      for (const TableRecord& table : manifest.sstables) refs.emplace_back(level, table.id);
    }
    return refs;
  };
  FUZZ_REQUIRE(tables(second->live) == tables(first->live), "and shows the same tables before and after");
}

void TryManifests(std::string_view text, bool right_checksums) {
  Manifests manifests;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(kRecordSeparator), text.size());
    const std::string one = right_checksums ? WithRightChecksum(text.substr(0, end)) : std::string(text.substr(0, end));
    if (std::optional<LevelManifest> manifest = Decode(one)) manifests[manifest->level] = *std::move(manifest);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (!manifests.empty()) ResolveIsDoneOnce(manifests);
}

void TryHistory(std::string_view text) {
  FaultFileSystem fs;
  FUZZ_REQUIRE(fs.CreateDirectories("db").ok(), "a directory can be made");
  fuzz::WriteFile(fs, "db/history.jsonl", text);
  HistoryLog history(fs, "db", Clock::System());
  const std::vector<std::string> lines = history.Last(SIZE_MAX);
  FUZZ_REQUIRE(lines.size() <= HistoryLog::kMostLines, "no more is remembered than that");
  for (const std::string& line : lines) FUZZ_REQUIRE(Json::parse(line, nullptr, false).is_object(), "every line is an object");
}

void TryBundle(std::string_view text) {
  const Result<BundleDescription> bundle = DecodeBundle(text, kName);
  MustBeNamed(bundle);
  if (!bundle) return;
  const Result<BundleDescription> again = DecodeBundle(EncodeBundle(*bundle), kName);
  FUZZ_REQUIRE(again && *again == *bundle, "what was encoded decodes to the same");
}

}  // namespace
}  // namespace lsmkv

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lsmkv;
  fuzz::Input input(data, size);
  const std::uint8_t mode = input.Byte();
  const bool right_checksums = (mode & fuzz::kRightChecksums) != 0;
  const std::string_view text = input.Rest();
  constexpr std::size_t kFixedBytes = 1 << 20;
  const fuzz::AllocationBound bound(kFixedBytes + 64 * size);
  if (mode & kHistory) {
    TryHistory(text);
  } else if (mode & kBundle) {
    TryBundle(right_checksums ? WithRightChecksum(text) : std::string(text));
  } else {
    TryManifests(text, right_checksums);
  }
  return 0;
}
