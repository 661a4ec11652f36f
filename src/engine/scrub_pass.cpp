#include "engine/scrub_pass.h"

#include "base/log.h"
#include "engine/blob/blob_check.h"
#include "engine/manifest/manifest_store.h"
#include "engine/sstable/table_check.h"
#include "engine/wal/log_check.h"
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
  // The log first: of all files it is the one of which a damaged one can still be replaced.
  if (!CheckLogFiles() || !CheckManifests(files.levels) || !CheckTables(files) || !CheckBlobs(files)) return Status::ShuttingDown();
  report_.duration = context_.clock.Monotonic() - start;
  return std::move(report_);
}

void ScrubPass::Damage(const Status& damage) {
  ++report_.damage;
  LogError("scrub", "{}", damage.message());
  Remember(damage.message());
}

void ScrubPass::Remember(std::string message) {
  if (report_.messages.size() < ScrubReport::kMostMessages) report_.messages.push_back(std::move(message));
}

bool ScrubPass::CheckLogFiles() {
  const LogBeginning beginning = BeginningOfLog();
  const LogExtent extent = wal_.Extent();
  LogCheckHooks hooks;
  hooks.on_read = pay_;
  hooks.on_damage = [this](std::uint64_t segment, const Status& damage) {
    ++report_.damage;
    LogError("scrub", "{}", damage.message());
    if (log_damage_.size() < ScrubReport::kMostMessages) log_damage_.push_back({segment, damage});
  };
  hooks.given_up_below = [this] { return wal_.given_up_below(); };
  const LogCheckSummary summary = CheckLog(context_.fs, context_.wal_dir, beginning, extent, hooks);
  report_.log_segments = summary.segments;
  report_.log_records = summary.records;
  report_.aside_files = summary.asides;
  report_.bytes += summary.bytes;
  report_.gone += summary.gone;
  if (!log_damage_.empty()) FlushDamagedLog();      // also where it is to end: there may be no other time for it
  return !summary.stopped;
}

/// Read from the disk, so that floor and sequence number are of one moment. One that cannot be read is told of by CheckManifests().
LogBeginning ScrubPass::BeginningOfLog() {
  const Result<std::string> text = ReadManifestText(context_.fs, context_.options.dir, 0);
  const bool nothing_flushed = !text && text.error().code() == StatusCode::kNotFound && BytesOf(*present_()) == 0;
  if (nothing_flushed) return {0, 0};
  if (!text) return {wal_.given_up_below(), std::nullopt};
  const Result<LevelManifest> manifest = DecodeManifest(*text, ManifestFileName(0));
  if (!manifest || !manifest->wal_floor) return {wal_.given_up_below(), std::nullopt};
  return {*manifest->wal_floor, manifest->flushed_sequence};
}

void ScrubPass::FlushDamagedLog() {
  const Status flushed = flush_();
  for (const LogDamage& found : log_damage_) {
    const bool needless = flushed.ok() && wal_.current_segment() > found.segment;
    const std::string outcome =
        needless ? "Nothing is lost: what the log held has been flushed into tables from memory, and no start needs this part of it any more"
                 : fmt::format("What the log holds is in memory still, and flushing it into tables has failed ({}). Do not stop the server "
                               "before LSM FLUSH has succeeded", flushed.ok() ? "it is still written to" : flushed.message());
    LogWarning("scrub", "{}. {}", found.damage.message(), outcome);
    Remember(fmt::format("{}. {}", found.damage.message(), outcome));
  }
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
