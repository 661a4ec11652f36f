// lsmkv-tool check: everything in a data directory, offline.
//
//   manifests   read, checksum, figures, no overlap within a level; none missing; they do not contradict each other
//   tables      every byte of every table that counts (table_walk.h), and that it is what its manifest says
//   blob files  every byte of every file that these tables name, and every pointer to a value in them (check_blobs.h)
//   wal         every record that a start would read, every batch beside the log that one of them names, and what a start would make
//               of the beginning and the end
//
// What a start puts right by itself, such as the torn end of the log or files of an unfinished compaction, is a note.
#include "tool/check.h"

#include <fmt/core.h>

#include <set>

#include "engine/wal/log_format.h"
#include "engine/wal/wal_replay.h"
#include "keyspace/codec.h"
#include "keyspace/database_table.h"
#include "tool/check_blobs.h"
#include "tool/commands.h"
#include "tool/data_directory.h"
#include "tool/table_walk.h"

namespace lsmkv::tool {
namespace {

class Checker {
 public:
  Checker(FileSystem& fs, const std::string& dir, Report& report) : fs_(fs), dir_(dir), report_(report), blobs_(fs, dir, report) {}

  /// Errors: what kept it from looking; damage is in the report.
  Status Run() {
    Result<ReadManifests> manifests = ReadAllManifests(fs_, dir_);
    if (!manifests) return manifests.error();
    ReportManifests(*manifests);
    if (Status status = blobs_.CheckFiles(*manifests); !status.ok()) return status;
    if (Status status = CheckTables(manifests->live); !status.ok()) return status;
    if (Status status = CheckOrphans(*manifests); !status.ok()) return status;
    if (Status status = CheckWal(*manifests); !status.ok()) return status;
    report_.Figure("levels", manifests->live.size());
    report_.Figure("tables", tables_);
    report_.Figure("table bytes", table_bytes_);
    report_.Figure("blocks", blocks_);
    report_.Figure("entries", entries_);
    blobs_.AddFigures();
    report_.Figure("wal segments", wal_.segments);
    report_.Figure("wal records", wal_.records);
    report_.Figure("batches beside the log", wal_.asides.places.size());
    return {};
  }

 private:
  void ReportManifests(const ReadManifests& manifests) {
    for (const auto& [level, status] : manifests.damaged) report_.Damage(status, dir_ + "/" + ManifestFileName(level));
    for (const std::uint32_t level : manifests.missing)
      report_.Damage(ManifestFileName(level), std::nullopt, "is missing; the .prev beside it says that there was one");
    if (!manifests.contradiction.ok()) report_.Damage("", std::nullopt, manifests.contradiction.message());
    for (const std::string& name : manifests.unfinished) report_.Note(name, "a manifest's write that was cut off");
    for (const auto& [level, manifest] : manifests.whole) {
      const auto live = manifests.live.find(level);
      if (live == manifests.live.end() || live->second.sstables.size() == manifest.sstables.size()) continue;
      report_.Note(ManifestFileName(level), fmt::format("a commit was cut off: {} tables are replaced by another level's",
                                                        manifest.sstables.size() - live->second.sstables.size()));
    }
  }

  // ---- tables
  class TableDamage final : public TableVisitor {
   public:
    TableDamage(Report& report, BlobChecker& blobs, const std::string& file) : report_(report), blobs_(blobs), file_(file) {}
    void OnDamage(const Status& damage) override { report_.Damage(damage, file_); }
    void OnEntry(const EntryView& entry) override {
      if (entry.kind != EntryKind::kBlob) return CheckDatabases(entry, entry.value);
      const Result<std::shared_ptr<const BlobValue>> value = blobs_.CheckPointer(file_, entry);
      if (!value && status_.ok()) status_ = value.error();
      if (value && *value != nullptr) CheckDatabases(entry, (*value)->value());
    }
    /// What kept it from looking.
    const Status& status() const { return status_; }

   private:
    void CheckDatabases(const EntryView& entry, std::string_view value) {
      if (entry.key != kDatabasesKey || entry.kind == EntryKind::kTombstone) return;
      if (const auto table = DatabaseTable::Decode(value); !table) report_.Damage(file_, std::nullopt, table.error().message());
    }

    const std::string kDatabasesKey = ServerKey("databases");
    Report& report_;
    BlobChecker& blobs_;
    const std::string& file_;
    Status status_;
  };

  Status CheckTables(const Manifests& live) {
    for (const auto& [level, manifest] : live) {
      for (const TableRecord& record : manifest.sstables)
        if (Status status = CheckTable(level, record); !status.ok()) return status;
    }
    return {};
  }

  Status CheckTable(std::uint32_t level, const TableRecord& record) {
    ++tables_;
    const std::string path = dir_ + "/" + record.file;
    Result<std::unique_ptr<TableWalk>> walk = TableWalk::Open(fs_, path);
    if (!walk && walk.error().code() == StatusCode::kNotFound) {
      report_.Damage(record.file, std::nullopt, fmt::format("is missing; {} names it", ManifestFileName(level)));
      return {};
    }
    if (!walk) return walk.error();
    TableDamage visitor(report_, blobs_, record.file);
    const Result<TableSummary> summary = (*walk)->Run(visitor);
    if (!summary) return summary.error().WithContext(path);
    if (!visitor.status().ok()) return visitor.status();
    blocks_ += summary->blocks;
    entries_ += summary->seen.entries;
    const Result<std::uint64_t> bytes = fs_.FileSize(path);
    if (!bytes) return bytes.error();
    table_bytes_ += *bytes;
    if (*bytes != record.size_bytes) Differs(level, record, fmt::format("{} bytes", *bytes), fmt::format("{}", record.size_bytes));
    if (!summary->damaged) CompareWithManifest(level, record, summary->seen);
    return {};
  }

  void Differs(std::uint32_t level, const TableRecord& record, std::string_view has, std::string_view says) {
    report_.Damage(record.file, std::nullopt, fmt::format("has {}; {} says {}", has, ManifestFileName(level), says));
  }
  void CompareWithManifest(std::uint32_t level, const TableRecord& record, const TableProperties& seen) {
    const auto number = [&](std::string_view what, std::uint64_t has, std::uint64_t says) {
      if (has != says) Differs(level, record, fmt::format("{} {}", has, what), fmt::format("{}", says));
    };
    number("entries", seen.entries, record.entries);
    number("tombstones", seen.tombstones, record.tombstones);
    number("as its smallest sequence number", seen.smallest_sequence, record.smallest_seq);
    number("as its largest sequence number", seen.largest_sequence, record.largest_seq);
    number("expiring entries", seen.expiring, record.expiring);
    if (seen.smallest_key != record.smallest_key || seen.largest_key != record.largest_key)
      report_.Damage(record.file, std::nullopt, fmt::format("has other first and last keys than {} says", ManifestFileName(level)));
    blobs_.Compare(level, record, seen.blobs);
  }

  Status CheckOrphans(const ReadManifests& manifests) {
    const Result<std::map<std::uint64_t, std::uint64_t>> on_disk = TablesOnDisk(fs_, dir_);
    if (!on_disk) return on_disk.error();
    std::set<std::uint64_t> named;
    for (const auto& [level, manifest] : manifests.live)
      for (const TableRecord& record : manifest.sstables) named.insert(record.id);
    for (const auto& [id, bytes] : *on_disk) {
      if (named.contains(id)) continue;
      report_.Note(TableRecordFile(id), manifests.complete() ? "is named by no manifest; the next start removes it"
                                                             : "is named by no manifest that can be read");
    }
    return {};
  }

  // ---- the log
  Status CheckWal(const ReadManifests& manifests) {
    const auto check_record = [this](std::uint64_t segment, SequenceNumber first, std::uint32_t count, std::string_view operations) {
      OperationReader reader(operations);
      EntryView entry;
      std::uint32_t read = 0;
      while (reader.Next(&entry)) ++read;
      if (!reader.status().ok() || read != count)
        report_.Damage("wal/" + SegmentFileName(segment), std::nullopt, fmt::format("the batch at sequence number {} is malformed", first));
      return Status();
    };
    const std::string wal_dir = dir_ + "/wal";
    const Result<std::vector<std::string>> names = NamesIn(fs_, wal_dir);
    if (!names) return names.error();
    if (names->empty()) return {};
    std::vector<LostBatch> lost;
    const Result<ReplaySummary> replayed = ReplayWal(fs_, wal_dir, WalFloor(manifests), LookingReplay(manifests), check_record, &lost);
    for (const LostBatch& batch : lost) ReportWalDamage(batch.damage);
    if (!replayed && replayed.error().code() != StatusCode::kCorruption) return replayed.error();
    if (!replayed) return ReportWalDamage(replayed.error()), Status();
    wal_ = *replayed;
    ReportReplay();
    return {};
  }

  void ReportWalDamage(const Status& damage) {
    const std::string& message = damage.message();
    report_.Damage(damage, message.substr(0, message.find(": ")));
  }

  /// What a start would make of a log that it reads to its end.
  void ReportReplay() {
    if (wal_.cut_segment != 0) {
      report_.Note("wal/" + SegmentFileName(wal_.cut_segment),
                   fmt::format("offset {}: {} bytes with {} whole records that a power cut left unsynced; the next start sets them aside",
                               wal_.cut_offset, wal_.dropped_bytes, wal_.dropped_records));
    }
    if (wal_.skipped_segment != 0) {
      report_.Damage("wal/" + SegmentFileName(wal_.skipped_segment), wal_.skipped_offset,
                     fmt::format("no record; going on behind it, a start loses no write ({} bytes in all)", wal_.skipped_bytes));
    }
    for (const std::uint64_t id : wal_.asides.unnamed)
      report_.Note("wal/" + AsideFileName(id), "is named by no record of the log that counts; the next start removes it");
  }

  FileSystem& fs_;
  const std::string dir_;
  Report& report_;
  BlobChecker blobs_;
  std::uint64_t tables_ = 0;
  std::uint64_t table_bytes_ = 0;
  std::uint64_t blocks_ = 0;
  std::uint64_t entries_ = 0;
  ReplaySummary wal_;
};

}  // namespace

Status CheckDirectory(FileSystem& fs, const std::string& dir, Report& report) { return Checker(fs, dir, report).Run(); }

Exit RunCheck(const Arguments& arguments) {
  FileSystem& fs = FileSystem::Posix();
  const std::string dir = CleanPath(arguments.operand(0));
  const Result<std::unique_ptr<FileLock>> lock = LockDataDirectory(fs, dir);
  if (!lock) return Cannot(lock.error());
  Report report(dir);
  if (Status status = CheckDirectory(fs, dir, report); !status.ok()) return Cannot(status);
  Print(arguments.Has("json") ? report.Json() : report.Text());
  return report.damaged() ? Exit::kDamage : Exit::kFine;
}

}  // namespace lsmkv::tool
