// lsmkv-tool dump: one file as readable text. It takes no lock and believes nothing: what is damaged is said in its place, and the
// rest is shown.
#include <fmt/core.h>

#include "engine/bundle/bundle_description.h"
#include "engine/manifest/manifest.h"
#include "engine/sstable/table_load.h"
#include "engine/wal/aside_file.h"
#include "engine/wal/log_format.h"
#include "tool/blob_lookup.h"
#include "tool/blob_walk.h"
#include "tool/commands.h"
#include "tool/data_directory.h"
#include "tool/dump_log.h"
#include "tool/table_walk.h"
#include "tool/text.h"

namespace lsmkv::tool {
namespace {

// ---- manifests and bundles

Exit DumpManifest(const std::string& path, std::string_view text) {
  const Result<LevelManifest> manifest = DecodeManifest(text, path);
  if (!manifest) {
    Cannot(manifest.error());
    return Exit::kDamage;
  }
  Print(fmt::format("manifest of L{}: revision {}, written {}, last id {}", manifest->level, manifest->revision,
                    TimeText(manifest->written_at_ms), manifest->last_id));
  if (manifest->wal_floor) Print(fmt::format(", wal floor {}", *manifest->wal_floor));
  if (manifest->flushed_sequence) Print(fmt::format(", flushed up to {}", *manifest->flushed_sequence));
  Print(fmt::format("; {} tables\n", manifest->sstables.size()));
  for (const TableRecord& table : manifest->sstables) {
    Print(fmt::format("{}: {} entries, {} tombstones, {}, sequences {}..{}, made {}\n  {} .. {}\n", table.file, table.entries,
                      table.tombstones, BytesText(table.size_bytes), table.smallest_seq, table.largest_seq, TimeText(table.created_at_ms),
                      KeyText(table.smallest_key), KeyText(table.largest_key)));
    if (table.expiring > 0)
      Print(fmt::format("  {} expire, {} .. {}\n", table.expiring, TimeText(table.expires_first_ms), TimeText(table.expires_last_ms)));
    for (const BlobRef& blob : table.blobs)
      Print(fmt::format("  {} values, {}, in {} of {}\n", blob.entries, BytesText(blob.live_bytes), BlobRecordFile(blob.id), BytesText(blob.file_bytes)));
    for (const auto& [level, id] : table.replaces) Print(fmt::format("  replaces {} of L{}\n", TableRecordFile(id), level));
  }
  return Exit::kFine;
}

Exit DumpBundle(const std::string& path, std::string_view text) {
  const Result<BundleDescription> bundle = DecodeBundle(text, path);
  if (!bundle) {
    Cannot(bundle.error());
    return Exit::kDamage;
  }
  Print(fmt::format("bundle for {}: {} entries, made {}; {} tables\n", KeyText(bundle->key_prefix), bundle->entries,
                    TimeText(bundle->made_at_ms), bundle->tables.size()));
  for (const BundleTable& table : bundle->tables) {
    Print(fmt::format("{}: {} entries, {} expire, {}\n  {} .. {}\n", table.file, table.entries, table.expiring,
                      BytesText(table.size_bytes), KeyText(table.smallest_key), KeyText(table.largest_key)));
  }
  return Exit::kFine;
}

// ---- tables

void PrintProperties(const TableProperties& p) {
  Print(fmt::format("format {}, compression {}, {} filter bits a key\n", p.format_version, CompressionText(p.compression),
                    p.bloom_bits_per_key));
  Print(fmt::format("{} entries, {} tombstones, sequences {}..{}\n{} .. {}\n", p.entries, p.tombstones, p.smallest_sequence,
                    p.largest_sequence, KeyText(p.smallest_key), KeyText(p.largest_key)));
  if (p.expiring > 0) Print(fmt::format("{} expire, {} .. {}\n", p.expiring, TimeText(p.expires_first_ms), TimeText(p.expires_last_ms)));
  Print(fmt::format("{} data blocks, {}; index {}, filters {}; keys {}, values {} as they were given\n", p.data_blocks, BytesText(p.data_bytes),
                    BytesText(p.index_bytes), BytesText(p.filter_bytes), BytesText(p.raw_key_bytes), BytesText(p.raw_value_bytes)));
  for (const auto& [id, share] : p.blobs) Print(fmt::format("{} values, {}, in {}\n", share.entries, BytesText(share.bytes), BlobRecordFile(id)));
}

class TablePrinter final : public TableVisitor {
 public:
  /// `blobs` are those of the table's data directory.
  TablePrinter(const DumpOptions& options, std::optional<std::uint64_t> only_block, BlobLookup& blobs)
      : options_(options), only_block_(only_block), blobs_(blobs) {}

  void OnDamage(const Status& damage) override {
    Print(fmt::format("DAMAGE  {}\n", damage.message()));
    damaged_ = true;
  }
  void OnDataBlock(BlockHandle block, std::string_view index_key) override {
    shown_block_ = !only_block_ || block.offset == *only_block_;
    found_ = found_ || shown_block_;
    if (options_.blocks || only_block_.has_value()) {
      if (shown_block_) Print(fmt::format("block at {}, {} bytes, index key {}\n", block.offset, block.size, KeyText(index_key)));
    }
  }
  void OnEntry(const EntryView& entry) override {
    if (!shown_block_ || shown_ >= options_.limit) return;
    ++shown_;
    if (entry.kind == EntryKind::kBlob && options_.blob_values) return PrintWithBlob(entry);
    Print(EntryText(entry, options_.value_bytes) + "\n");
  }
  void OnLost(std::string_view after, std::optional<std::string> up_to) override {
    Print(fmt::format("        keys behind {}{} may be missing\n", KeyText(after), up_to ? ", up to " + KeyText(*up_to) : ""));
  }
  bool damaged() const { return damaged_; }
  bool found() const { return found_; }
  std::uint64_t shown() const { return shown_; }

 private:
  void PrintWithBlob(const EntryView& entry) {
    const Result<std::shared_ptr<const BlobValue>> value = blobs_.Read(entry);
    Print(EntryText(entry, options_.value_bytes, value ? std::optional((*value)->value()) : std::nullopt) + "\n");
    if (!value) OnDamage(value.error());
  }

  const DumpOptions& options_;
  const std::optional<std::uint64_t> only_block_;
  BlobLookup& blobs_;
  bool shown_block_ = true;
  bool found_ = false;
  bool damaged_ = false;
  std::uint64_t shown_ = 0;
};

Exit DumpTable(FileSystem& fs, const std::string& path, const DumpOptions& options, std::optional<std::uint64_t> only_block) {
  Result<std::unique_ptr<TableWalk>> walk = TableWalk::Open(fs, path);
  if (!walk) return Cannot(walk.error());
  const std::size_t slash = path.find_last_of('/');
  BlobLookup blobs(fs, slash == std::string::npos ? ".." : path.substr(0, slash) + "/..");
  TablePrinter printer(options, only_block, blobs);
  const Result<TableSummary> summary = (*walk)->Run(printer);
  if (!summary) return Cannot(summary.error().WithContext(path));
  if (only_block && !printer.found() && !printer.damaged())
    return Cannot(Status::InvalidArgument(fmt::format("{}: no data block begins at {}; --blocks shows where they are", path, *only_block)));
  if (!only_block && printer.shown() < summary->seen.entries) Print(fmt::format("... {} entries more\n", summary->seen.entries - printer.shown()));
  if (!only_block && summary->stated) PrintProperties(*summary->stated);
  return printer.damaged() ? Exit::kDamage : Exit::kFine;
}

// ---- blob files

class BlobPrinter final : public BlobVisitor {
 public:
  explicit BlobPrinter(const DumpOptions& options) : options_(options) {}

  void OnDamage(const Status& damage) override { Print(fmt::format("DAMAGE  {}\n", damage.message())); }
  void OnRecord(const WalkedRecord& record) override {
    if (shown_ >= options_.limit) return;
    ++shown_;
    Print(fmt::format("{:>12} +{} bytes, key hash {:016x}, {}", record.offset, record.stored_bytes, record.key_hash,
                      record.compression == Compression::kNone ? "plain" : CompressionText(record.compression)));
    if (record.compression != Compression::kNone) Print(fmt::format(" of {}", record.value.size()));
    Print(options_.value_bytes > 0 ? " = " + ValueText(record.value, options_.value_bytes) + "\n" : "\n");
  }
  std::uint64_t shown() const { return shown_; }

 private:
  const DumpOptions& options_;
  std::uint64_t shown_ = 0;
};

Exit DumpBlob(FileSystem& fs, const std::string& path, std::uint64_t id, const DumpOptions& options) {
  Result<std::unique_ptr<BlobWalk>> walk = BlobWalk::Open(fs, path, id);
  if (!walk) return Cannot(walk.error());
  Print(fmt::format("blob file {}; of each record offset, bytes as stored, hash of its key, value\n", id));
  BlobPrinter printer(options);
  const Result<BlobSummary> summary = (*walk)->Run(printer);
  if (!summary) return Cannot(summary.error().WithContext(path));
  if (printer.shown() < summary->records) Print(fmt::format("... {} records more\n", summary->records - printer.shown()));
  if (summary->format_version) Print(fmt::format("header: format {}\n", *summary->format_version));
  Print(fmt::format("{} whole records, {}\n", summary->records, BytesText(summary->record_bytes)));
  if (summary->footer) Print(fmt::format("footer: {} records, a file of {} bytes\n", summary->footer->records, summary->footer->file_bytes));
  return summary->damaged ? Exit::kDamage : Exit::kFine;
}

}  // namespace

Exit RunDump(const Arguments& arguments) {
  const Result<std::uint64_t> limit = arguments.Number("limit", 100, 0, UINT64_MAX);
  const Result<std::uint64_t> value_bytes = arguments.Number("values", 80, 0, kMaxValueBytes);
  const Result<std::uint64_t> block = arguments.Number("block", 0, 0, UINT64_MAX);
  for (const Status& status : {limit.status(), value_bytes.status(), block.status()})
    if (!status.ok()) return Cannot(status);
  const DumpOptions options{*limit, *value_bytes, arguments.Has("blocks"), arguments.Has("values")};
  FileSystem& fs = FileSystem::Posix();
  const std::string path = arguments.operand(0);
  const std::string name = path.substr(path.find_last_of('/') + 1);
  if (const auto id = ParseBlobFileName(name)) return DumpBlob(fs, path, *id, options);
  if (name.ends_with(".sst"))
    return DumpTable(fs, path, options, arguments.Has("block") ? std::optional(*block) : std::nullopt);
  if (const auto segment = ParseSegmentFileName(name.substr(0, name.find(kDroppedSuffix)))) return DumpSegment(fs, path, *segment, options);
  if (const auto spare = ParseSpareFileName(name)) return DumpSegment(fs, path, *spare, options);      // what it held as a segment
  if (ParseAsideFileName(name)) return DumpAside(fs, path, options);
  if (name.find(".json") != std::string::npos) {
    const Result<std::string> text = fs.ReadWholeFile(path);
    if (!text) return Cannot(text.error());
    return name.starts_with("manifest_l") ? DumpManifest(path, *text) : DumpBundle(path, *text);
  }
  return Cannot(Status::InvalidArgument(path + ": not a name of a table (.sst), a blob file (blob_….blob), a log segment (wal_….log), a batch beside the log (aside_….ops), a manifest or a bundle.json"));
}

}  // namespace lsmkv::tool
