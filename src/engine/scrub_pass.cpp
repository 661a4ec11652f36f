#include "engine/scrub_pass.h"

#include "base/log.h"
#include "engine/blob/blob_check.h"
#include "engine/manifest/manifest_store.h"
#include "engine/sstable/table_check.h"
#include "fs/passing_file.h"

namespace lsmkv {

struct ScrubPass::Files {
  std::uint32_t levels = 0;
  std::vector<std::weak_ptr<const TableFile>> tables;
  std::vector<std::weak_ptr<const BlobFile>> blobs;
};

ScrubPass::Files ScrubPass::FilesOf(const Version& version) const {
  Files files;
  files.levels = version.level_count();
  for (std::uint32_t n = 0; n < version.level_count(); ++n) {
    for (const TablePtr& table : version.level(n)) files.tables.emplace_back(table);
  }
  for (const auto& [id, usage] : version.blobs()) files.blobs.emplace_back(usage.file);
  return files;
}

std::uint64_t ScrubPass::BytesOf(const Version& version) {
  std::uint64_t bytes = 0;
  for (std::uint32_t n = 0; n < version.level_count(); ++n) bytes += version.figures(n).bytes;
  for (const auto& [id, usage] : version.blobs()) bytes += usage.file->file_bytes();
  return bytes;
}

Result<ScrubReport> ScrubPass::Run() {
  const std::chrono::microseconds start = context_.clock.Monotonic();
  const Files files = FilesOf(*present_());
  if (!CheckManifests(files.levels) || !CheckTables(files) || !CheckBlobs(files)) return Status::ShuttingDown();
  report_.duration = context_.clock.Monotonic() - start;
  return std::move(report_);
}

void ScrubPass::Damage(const Status& damage) {
  ++report_.damage;
  LogError("scrub", "{}", damage.message());
  if (report_.messages.size() < ScrubReport::kMostMessages) report_.messages.push_back(damage.message());
}

// A manifest is replaced by a rename, so whoever opens it reads one whole state of it.
bool ScrubPass::CheckManifests(std::uint32_t levels) {
  for (std::uint32_t level = 0; level < levels; ++level) {
    const std::string path = context_.options.dir + "/" + ManifestFileName(level);
    const Result<std::string> text = ReadManifestText(context_.fs, context_.options.dir, level);
    if (!text) {
      // A level in the middle may never have had a table.
      if (text.error().code() != StatusCode::kNotFound || !present_()->level(level).empty()) Damage(text.error());
      continue;
    }
    if (!pay_(text->size())) return false;
    ++report_.manifests;
    report_.bytes += text->size();
    if (const Result<LevelManifest> manifest = DecodeManifest(*text, path); !manifest) Damage(manifest.error());
  }
  return true;
}

bool ScrubPass::CheckTables(const Files& files) {
  for (const std::weak_ptr<const TableFile>& file : files.tables) {
    const TablePtr table = file.lock();
    if (table == nullptr) {
      ++report_.gone;
      continue;
    }
    ++report_.tables;
    if (!CheckTableFile(*table)) return false;
  }
  return true;
}

bool ScrubPass::CheckTableFile(const TableFile& table) {
  const auto file = NewPassingFile(context_.fs, table.path());
  if (!file) {
    Damage(file.error());
    return true;
  }
  TableProperties properties;
  const FileCheckSummary summary =
      CheckTable(**file, table.path(), {.on_read = pay_, .on_damage = [this](const Status& damage) { Damage(damage); }}, &properties);
  report_.bytes += summary.bytes;
  report_.entries += summary.entries;
  const TableRecord& record = table.record();
  const bool as_named = (*file)->size() == record.size_bytes && properties.entries == record.entries &&
                        properties.smallest_key == record.smallest_key && properties.largest_key == record.largest_key;
  if (!summary.stopped && summary.damage == 0 && !as_named) {
    Damage(CorruptionAt(0, "this is not the table that the manifest describes").WithContext(table.path()));
  }
  return !summary.stopped;
}

bool ScrubPass::CheckBlobs(const Files& files) {
  for (const std::weak_ptr<const BlobFile>& held : files.blobs) {
    const BlobFilePtr blob = held.lock();
    if (blob == nullptr) {
      ++report_.gone;
      continue;
    }
    ++report_.blob_files;
    const auto file = NewPassingFile(context_.fs, blob->path());
    if (!file) {
      Damage(file.error());
      continue;
    }
    const FileCheckSummary summary = CheckBlobFile(
        **file, blob->path(), blob->id(), {.on_read = pay_, .on_damage = [this](const Status& damage) { Damage(damage); }});
    report_.bytes += summary.bytes;
    if (summary.stopped) return false;
  }
  return true;
}

}  // namespace lsmkv
