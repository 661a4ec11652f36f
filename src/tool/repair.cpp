// lsmkv-tool repair: a new data directory with everything of an old one that is whole. The old one is only read.
//
// When every manifest is whole  the tables keep their levels: whole ones are linked, and the blob files they name; of a damaged
//                               one the whole entries are written into a new table in its place (repair_tables.h), and the
//                               log's records go into L0, large values into blob files, as a flush would place them.
// When one is lost              nobody knows the levels of its tables, and so not which of two versions of a key is newer but by
//                               their sequence numbers: all tables, and the log's records, are merged into one sorted run. Tables
//                               that no manifest names are taken in, but for those that a whole manifest says it replaced.
//                               Pointers are passed on, the values stay in their files.
// The log                       its records up to the first damage, as recovery would read them. A batch that lies beside the log costs
//                               only itself when its file is damaged or gone, for the log says which writes these were.
//
// What is lost is listed: for a block, the range of its keys, of which an older version, in a deeper level, shows again; for a value
// in a blob file, its key.
#include "tool/repair.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/hash.h"
#include "engine/memtable/memtable.h"
#include "engine/wal/log_format.h"
#include "engine/wal/wal_replay.h"
#include "tool/commands.h"
#include "tool/data_directory.h"
#include "tool/new_directory.h"
#include "tool/repair_databases.h"
#include "tool/repair_merge.h"
#include "tool/repair_tables.h"
#include "tool/settings.h"

namespace lsmkv::tool {
namespace {

constexpr std::uint64_t kMemtableBytes = 128ull << 20;       // of the log's records, before they become a table

class Repair {
 public:
  Repair(FileSystem& fs, const std::string& dir, const Options& options, bool copy, Report& report)
      : fs_(fs), dir_(dir), options_(options), copy_(copy), report_(report), old_tables_(fs, dir, report, census_) {}

  /// Errors: what kept it from making the new directory; what is lost is in the report.
  Status Run() {
    Result<ReadManifests> manifests = ReadAllManifests(fs_, dir_);
    if (!manifests) return manifests.error();
    manifests_ = std::move(*manifests);
    Result<std::map<std::uint64_t, std::uint64_t>> on_disk = TablesOnDisk(fs_, dir_);
    if (!on_disk) return on_disk.error();
    const Result<std::map<std::uint64_t, std::uint64_t>> blobs_on_disk = BlobsOnDisk(fs_, dir_);
    if (!blobs_on_disk) return blobs_on_disk.error();
    ReportManifests();
    if (Status status = InspectTables(*on_disk); !status.ok()) return status;
    directory_ = std::make_unique<NewDirectory>(options_, dir_, std::max(LargestId(*on_disk), LargestId(*blobs_on_disk)), copy_);
    if (Status status = directory_->Create(); !status.ok()) return status;
    Status status = merge_all_ ? MergeEverything() : KeepLevels();
    if (status.ok()) status = WriteDatabases();
    if (status.ok()) status = directory_->Finish();
    if (!status.ok()) directory_->Abandon();
    if (!status.ok()) return status;
    report_.Figure("tables as they were", directory_->tables_taken());
    report_.Figure("tables written anew", directory_->tables_written());
    report_.Figure("tables lost", old_tables_.tables_lost());
    report_.Figure("blob files as they were", directory_->blobs_taken());
    report_.Figure("values in blob files lost", old_tables_.values_lost());
    report_.Figure("log records saved", wal_records_);
    return {};
  }

 private:
  void ReportManifests() {
    for (const auto& [level, status] : manifests_.damaged) report_.Damage(status, dir_ + "/" + ManifestFileName(level));
    for (const std::uint32_t level : manifests_.missing) report_.Damage(ManifestFileName(level), std::nullopt, "is missing");
    if (!manifests_.contradiction.ok()) report_.Damage("", std::nullopt, manifests_.contradiction.message());
    merge_all_ = !manifests_.complete();
  }

  std::uint64_t LargestId(const std::map<std::uint64_t, std::uint64_t>& on_disk) const {
    std::uint64_t largest = on_disk.empty() ? 0 : on_disk.rbegin()->first;
    for (const auto& [level, manifest] : manifests_.whole) largest = std::max(largest, manifest.last_id);      // knows of blob files too
    for (const OldTable& table : tables_)
      if (!table.record.blobs.empty()) largest = std::max(largest, table.record.blobs.back().id);
    return largest;
  }

  // ---- looking
  Status InspectTables(const std::map<std::uint64_t, std::uint64_t>& on_disk) {
    const bool manifests_are_whole = !merge_all_;        // what they do not name is no part of the tree then
    std::set<std::uint64_t> named;
    std::set<std::uint64_t> replaced;
    for (const auto& [level, manifest] : manifests_.contradiction.ok() ? manifests_.live : manifests_.whole) {
      for (const TableRecord& record : manifest.sstables) {
        named.insert(record.id);
        if (Status status = Inspect(level, record, true); !status.ok()) return status;
      }
    }
    if (manifests_are_whole) return {};
    for (const auto& [level, manifest] : manifests_.whole)
      for (const TableRecord& record : manifest.sstables)
        for (const TableRef& ref : record.replaces) replaced.insert(ref.second);
    for (const auto& [id, bytes] : on_disk) {
      if (named.contains(id)) continue;
      if (replaced.contains(id)) {
        report_.Note(TableRecordFile(id), "is left out: a manifest says that it was replaced");
        continue;
      }
      TableRecord record;
      record.id = id;
      record.file = TableRecordFile(id);
      record.size_bytes = bytes;
      if (Status status = Inspect(0, record, false); !status.ok()) return status;
    }
    return {};
  }

  Status Inspect(std::uint32_t level, const TableRecord& record, bool has_manifest) {
    Result<std::optional<OldTable>> table = old_tables_.Inspect(level, record, has_manifest);
    if (!table) return table.error();
    if (!*table) return {};
    merge_all_ = merge_all_ || !(*table)->as_described;
    tables_.push_back(std::move(**table));
    return {};
  }

  // ---- making: levels as they were
  Status KeepLevels() {
    for (const OldTable& table : tables_) {
      if (table.whole) {
        if (Status status = directory_->Take(table.level, table.record); !status.ok()) return status;
        continue;
      }
      if (Status status = Save(table, table.level, [](NewTables& saved) { return saved.Finish(); }); !status.ok()) return status;
    }
    return ReadLog([this](const MemTable& records) {
      NewTables tables(*directory_, 0);
      if (Status status = WriteAll(records, &tables); !status.ok()) return status;
      return tables.Finish();
    });
  }

  Status Save(const OldTable& table, std::uint32_t level, const std::function<Status(NewTables& saved)>& finish) {
    const Result<VersionPtr> sources = OldTables::SourcesOf(*directory_, table);
    if (!sources) return sources.error();
    NewTables saved(*directory_, level, *sources);
    if (Status status = old_tables_.Save(table, &saved); !status.ok()) return status;
    return finish(saved);
  }

  static Status WriteAll(const MemTable& records, NewTables* into) {
    const auto entries = records.NewIterator(~SequenceNumber{0});
    for (entries->SeekToFirst(); entries->Valid(); entries->Next())
      if (Status status = into->Add(entries->entry()); !status.ok()) return status;
    return entries->status();
  }

  // ---- making: one run of everything
  Status MergeEverything() {
    RunMerger merger(*directory_);
    for (const OldTable& table : tables_) {
      if (table.whole) {
        merger.Add(table.record, dir_ + "/" + table.record.file);
      } else if (Status status = Save(table, 1, [&merger](NewTables& saved) { return merger.AddAside(saved); }); !status.ok()) {
        return status;
      }
    }
    const Status read = ReadLog([this, &merger](const MemTable& records) {
      NewTables tables(*directory_, 1);
      if (Status status = WriteAll(records, &tables); !status.ok()) return status;
      return merger.AddAside(tables);
    });
    if (!read.ok()) return read;
    report_.Note("", "a manifest is lost, so all tables were merged by their sequence numbers");
    return merger.Run();
  }

  // ---- the log
  /// Gives its records to `take` in memtables; up to damage, which is in the report then.
  Status ReadLog(const std::function<Status(const MemTable&)>& take) {
    const std::string wal_dir = dir_ + "/wal";
    const Result<std::vector<std::string>> names = NamesIn(fs_, wal_dir);
    if (!names) return names.error();
    if (names->empty()) return {};
    auto records = std::make_unique<MemTable>();
    const auto hand_over = [&]() -> Status {
      if (records->entries() == 0) return {};
      records->Freeze();
      if (Status status = take(*records); !status.ok()) return status;
      records = std::make_unique<MemTable>();
      return {};
    };
    const auto on_record = [&](std::uint64_t, SequenceNumber first, std::uint32_t, std::string_view operations) -> Status {
      OperationReader reader(operations);
      EntryView entry;
      for (entry.sequence = first; reader.Next(&entry); ++entry.sequence) {
        if (entry.kind == EntryKind::kNothing) continue;
        census_.See(entry);
        records->Add(entry.sequence, entry, Hash(entry.key));
      }
      ++wal_records_;
      return records->bytes() >= kMemtableBytes ? hand_over() : reader.status();
    };
    std::vector<LostBatch> lost;
    const Result<ReplaySummary> replayed = ReplayWal(fs_, wal_dir, WalFloor(manifests_), LookingReplay(manifests_), on_record, &lost);
    for (const LostBatch& batch : lost) ReportLost(batch);
    if (!replayed && replayed.error().code() != StatusCode::kCorruption) return replayed.error();
    if (!replayed) {
      const std::string& message = replayed.error().message();
      report_.Damage(replayed.error(), message.substr(0, message.find(": ")));
      report_.Damage("wal", std::nullopt, "lost: the log's records from there on");
    } else if (replayed->cut_segment != 0) {
      report_.Note("wal/" + SegmentFileName(replayed->cut_segment),
                   fmt::format("offset {}: {} bytes that a power cut left unsynced are left out", replayed->cut_offset, replayed->dropped_bytes));
    }
    return hand_over();
  }

  void ReportLost(const LostBatch& lost) {
    const std::string& message = lost.damage.message();
    const std::string file = message.substr(0, message.find(": "));
    report_.Damage(lost.damage, file);
    report_.Damage(file, std::nullopt, fmt::format("lost: this batch, of {} writes; what follows it in the log is saved", lost.last_sequence - lost.first_sequence + 1));
  }

  // ---- the table of databases
  Status WriteDatabases() {
    const std::optional<DatabaseTable> databases = census_.Missing();
    if (!databases) return {};
    report_.Damage("", std::nullopt, "lost: which database is which; they are numbered anew, in the order in which they were made");
    for (std::size_t i = 0; i < databases->size(); ++i)
      if (databases->id(static_cast<std::uint32_t>(i)) != i) report_.Note("", fmt::format("database {} was made as number {}", i, databases->id(static_cast<std::uint32_t>(i))));
    NewTables table(*directory_, 0);
    const std::string value = databases->Encode();
    if (Status status = table.Add({census_.key(), value, census_.largest_sequence() + 1, 0, EntryKind::kValue}); !status.ok()) return status;
    return table.Finish();
  }

  FileSystem& fs_;
  const std::string dir_;
  const Options options_;
  const bool copy_;
  Report& report_;
  ReadManifests manifests_;
  bool merge_all_ = false;
  DatabaseCensus census_;
  OldTables old_tables_;
  std::vector<OldTable> tables_;
  std::unique_ptr<NewDirectory> directory_;
  std::uint64_t wal_records_ = 0;
};

}  // namespace

Status RepairDirectory(FileSystem& fs, const std::string& dir, const Options& options, bool copy, Report& report) {
  return Repair(fs, dir, options, copy, report).Run();
}

Exit RunRepair(const Arguments& arguments) {
  FileSystem& fs = FileSystem::Posix();
  const std::string dir = CleanPath(arguments.operand(0));
  const Result<Settings> settings = ReadSettings(arguments);
  if (!settings) return Cannot(settings.error());
  Options options = EngineOptions(*settings);
  options.dir = CleanPath(arguments.operand(1));
  const Result<std::unique_ptr<FileLock>> lock = LockDataDirectory(fs, dir);
  if (!lock) return Cannot(lock.error());
  Report report(dir);
  const Status status = RepairDirectory(fs, dir, options, arguments.Has("copy"), report);
  Print(arguments.Has("json") ? report.Json() : report.Text());
  if (!status.ok()) return Cannot(status);
  if (!arguments.Has("json")) Print(fmt::format("{} is ready\n", options.dir));
  return report.damaged() ? Exit::kDamage : Exit::kFine;
}

}  // namespace lsmkv::tool
