// lsmkv-tool stats: how large the tree is, level by level, against the limits of a configuration; from the manifests alone, and
// the sizes of the log's files.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "engine/blob_pointer.h"
#include "engine/version/level_limits.h"
#include "engine/wal/aside_file.h"
#include "engine/wal/log_format.h"
#include "tool/commands.h"
#include "tool/data_directory.h"
#include "tool/settings.h"
#include "tool/text.h"

namespace lsmkv::tool {
namespace {

struct LevelFacts {
  std::uint32_t level = 0;
  LevelFigures figures;
  std::uint64_t blob_entries = 0;            ///< whose values are in blob files
  std::uint64_t live_blob_bytes = 0;         ///< of these
  std::uint64_t expiring = 0;
  std::uint64_t tables_expired_whole = 0;
  std::uint64_t first_expiry_ms = 0;         ///< 0: nothing expires
  std::uint64_t last_expiry_ms = 0;
  LevelLimits limits;
  double score = 0;
};

/// The blob files that tables name.
struct BlobFacts {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;                   ///< of the files
  std::uint64_t live_bytes = 0;
  std::uint64_t garbage_bytes = 0;           ///< of values that no table refers to any more

  double garbage_share() const {
    const std::uint64_t values = live_bytes + garbage_bytes;
    return values == 0 ? 0 : static_cast<double>(garbage_bytes) / static_cast<double>(values);
  }
};

BlobFacts BlobFactsOf(const Manifests& live) {
  std::map<std::uint64_t, BlobRef> files;
  for (const auto& [level, manifest] : live) {
    for (const TableRecord& table : manifest.sstables) {
      for (const BlobRef& blob : table.blobs) {
        BlobRef& file = files[blob.id];
        file.file_bytes = blob.file_bytes;
        file.live_bytes += blob.live_bytes;
      }
    }
  }
  BlobFacts facts;
  facts.files = files.size();
  for (const auto& [id, file] : files) {
    const std::uint64_t taken = file.live_bytes + kBlobOverheadBytes;
    facts.bytes += file.file_bytes;
    facts.live_bytes += file.live_bytes;
    facts.garbage_bytes += file.file_bytes - std::min(file.file_bytes, taken);
  }
  return facts;
}

LevelFacts FactsOf(const LevelManifest& manifest, const Options& options, std::uint64_t now_ms) {
  LevelFacts facts;
  facts.level = manifest.level;
  facts.figures.sstables = manifest.sstables.size();
  for (const TableRecord& table : manifest.sstables) {
    facts.figures.entries += table.entries;
    facts.figures.tombstones += table.tombstones;
    facts.figures.bytes += table.size_bytes;
    for (const BlobRef& blob : table.blobs) {
      facts.blob_entries += blob.entries;
      facts.live_blob_bytes += blob.live_bytes;
    }
    facts.expiring += table.expiring;
    if (table.expiring == 0) continue;
    if (table.expiring == table.entries && table.expires_last_ms <= now_ms) ++facts.tables_expired_whole;
    facts.first_expiry_ms = facts.first_expiry_ms == 0 ? table.expires_first_ms : std::min(facts.first_expiry_ms, table.expires_first_ms);
    facts.last_expiry_ms = std::max(facts.last_expiry_ms, table.expires_last_ms);
  }
  facts.limits = LimitsOfLevel(options, manifest.level);
  facts.score = ScoreOf(facts.figures, facts.limits).ratio;
  return facts;
}

std::string LimitText(const Limit& limit, bool bytes) {
  if (limit.hard == 0) return "none";
  return bytes ? BytesText(limit.hard) : fmt::format("{}", limit.hard);
}

struct LogFacts {
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;                   ///< of these
  std::uint64_t batches = 0;                 ///< files beside them
  std::uint64_t batch_bytes = 0;
  std::uint64_t spares = 0;                  ///< files that wait to be segments again
  std::uint64_t spare_bytes = 0;
};

Result<LogFacts> LogFactsOf(FileSystem& fs, const std::string& wal_dir) {
  const Result<std::vector<std::string>> names = NamesIn(fs, wal_dir);
  if (!names) return names.error();
  LogFacts facts;
  for (const std::string& name : *names) {
    const std::uint64_t bytes = fs.FileSize(wal_dir + "/" + name).value_or(0);
    const auto count = [bytes](std::uint64_t* files, std::uint64_t* their_bytes) { ++*files, *their_bytes += bytes; };
    if (ParseSegmentFileName(name)) count(&facts.segments, &facts.bytes);
    if (ParseAsideFileName(name)) count(&facts.batches, &facts.batch_bytes);
    if (ParseSpareFileName(name)) count(&facts.spares, &facts.spare_bytes);
  }
  return facts;
}

std::string Text(const std::vector<LevelFacts>& levels, const BlobFacts& blobs, const LogFacts& log) {
  std::string text = fmt::format("{:5} {:>7} {:>12} {:>11} {:>11} {:>10}   {:>12} {:>11} {:>6}\n", "level", "tables", "entries", "tombstones",
                                 "expiring", "size", "max entries", "max size", "score");
  for (const LevelFacts& facts : levels) {
    text += fmt::format("L{:<4} {:>7} {:>12} {:>11} {:>11} {:>10}   {:>12} {:>11} {:>6.2f}\n", facts.level, facts.figures.sstables,
                        facts.figures.entries, facts.figures.tombstones, facts.expiring, BytesText(facts.figures.bytes),
                        LimitText(facts.limits.entries, false), LimitText(facts.limits.bytes, true), facts.score);
  }
  for (const LevelFacts& facts : levels) {
    if (facts.expiring == 0) continue;
    text += fmt::format("L{}: deadlines from {} to {}; {} tables have expired as a whole\n", facts.level, TimeText(facts.first_expiry_ms),
                        TimeText(facts.last_expiry_ms), facts.tables_expired_whole);
  }
  text += fmt::format("blobs: {} files, {}, {:.1f}% of their values garbage\n", blobs.files, BytesText(blobs.bytes), 100 * blobs.garbage_share());
  return text + fmt::format("log: {} segments, {}; {} batches beside it, {}; {} spare files, {}\n", log.segments, BytesText(log.bytes),
                            log.batches, BytesText(log.batch_bytes), log.spares, BytesText(log.spare_bytes));
}

std::string JsonText(const std::vector<LevelFacts>& levels, const BlobFacts& blobs, const LogFacts& log) {
  using JsonValue = nlohmann::ordered_json;
  JsonValue list = JsonValue::array();
  for (const LevelFacts& facts : levels) {
    list.push_back({{"level", facts.level}, {"sstables", facts.figures.sstables}, {"entries", facts.figures.entries},
                    {"tombstones", facts.figures.tombstones}, {"size_bytes", facts.figures.bytes},
                    {"blob_entries", facts.blob_entries}, {"live_blob_bytes", facts.live_blob_bytes}, {"expiring", facts.expiring},
                    {"expired_sstables", facts.tables_expired_whole}, {"max_entries", facts.limits.entries.hard},
                    {"max_size_bytes", facts.limits.bytes.hard}, {"max_sstables", facts.limits.sstables.hard}, {"score", facts.score}});
  }
  const JsonValue document = {{"levels", std::move(list)}, {"blob_files", blobs.files}, {"blob_file_bytes", blobs.bytes},
                              {"blob_live_bytes", blobs.live_bytes}, {"blob_garbage_bytes", blobs.garbage_bytes},
                              {"blob_garbage_share", blobs.garbage_share()}, {"wal_segments", log.segments}, {"wal_bytes", log.bytes},
                              {"wal_batches", log.batches}, {"wal_batch_bytes", log.batch_bytes},
                              {"wal_spare_files", log.spares}, {"wal_spare_bytes", log.spare_bytes}};
  return document.dump(2) + "\n";
}

}  // namespace

Exit RunStats(const Arguments& arguments) {
  FileSystem& fs = FileSystem::Posix();
  const std::string dir = CleanPath(arguments.operand(0));
  const Result<Settings> settings = ReadSettings(arguments);
  if (!settings) return Cannot(settings.error());
  const Result<std::unique_ptr<FileLock>> lock = LockDataDirectory(fs, dir);
  if (!lock) return Cannot(lock.error());
  const Result<ReadManifests> manifests = ReadAllManifests(fs, dir);
  if (!manifests) return Cannot(manifests.error());
  if (!manifests->complete()) {
    const Status why = !manifests->damaged.empty() ? manifests->damaged.begin()->second : manifests->contradiction;
    return Cannot(why.ok() ? Status::Corruption(dir + ": a manifest is missing; lsmkv-tool check says which") : why);
  }
  std::vector<LevelFacts> levels;
  const Options options = EngineOptions(*settings);
  for (const auto& [level, manifest] : manifests->live) levels.push_back(FactsOf(manifest, options, Clock::System().WallMillis()));
  const BlobFacts blobs = BlobFactsOf(manifests->live);
  const Result<LogFacts> log = LogFactsOf(fs, dir + "/wal");
  if (!log) return Cannot(log.error());
  Print(arguments.Has("json") ? JsonText(levels, blobs, *log) : Text(levels, blobs, *log));
  return Exit::kFine;
}

}  // namespace lsmkv::tool
