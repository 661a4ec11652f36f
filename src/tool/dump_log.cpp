#include "tool/dump_log.h"

#include <fmt/core.h>

#include "engine/wal/aside_file.h"
#include "engine/wal/log_reader.h"
#include "tool/text.h"

namespace lsmkv::tool {
namespace {

class SegmentPrinter {
 public:
  SegmentPrinter(FileSystem& fs, const std::string& path, const DumpOptions& options)
      : fs_(fs), path_(path), options_(options), slash_(path.find_last_of('/')),
        is_spare_(ParseSpareFileName(std::string_view(path).substr(slash_ == std::string::npos ? 0 : slash_ + 1)).has_value()) {}

  Status Run(std::uint64_t segment) {
    Result<LogReader> reader = LogReader::Open(fs_, path_, segment);
    if (!reader) return reader.error();
    if (is_spare_) Print("a spare, to be written over: what it held as a segment is in tables, and no part of the log any more\n");
    std::uint64_t shown = 0;
    for (std::uint64_t offset = 0; shown < options_.limit; ++shown) {
      const Result<LogReader::Look> look = reader->At(offset);
      if (!look) return look.error();
      if (look->found == LogReader::Found::kEnd) break;
      LogRecord record = look->record;
      if (look->found == LogReader::Found::kDamage) {
        const Result<std::optional<LogReader::Hit>> hit = reader->Search(offset);
        if (!hit) return hit.error();
        const std::string_view caveat = reader->passes_over_records() ? " (too many places look like records and are not: from some on only markers were looked for)" : "";
        Damage(fmt::format("offset {}: no record; {}{}", offset, *hit ? fmt::format("the next is at {}", (*hit)->offset) : "none follows", caveat));
        if (!*hit) break;
        offset = (*hit)->offset;
        record = (*hit)->record;
      }
      PrintRecord(offset, record);
      offset += record.size_bytes();
    }
    return {};
  }

  /// Numbered from `first` on.
  void PrintOperations(std::string_view bytes, SequenceNumber first) {
    OperationReader operations(bytes);
    EntryView entry;
    for (entry.sequence = first; operations.Next(&entry); ++entry.sequence) {
      if (entry.sequence - first < options_.limit) Print(EntryText(entry, options_.value_bytes) + "\n");
    }
    if (const SequenceNumber count = entry.sequence - first; count > options_.limit) Print(fmt::format("... {} operations more\n", count - options_.limit));
    if (!operations.status().ok()) Damage(operations.status().message());
  }

  bool damaged() const { return damaged_; }

 private:
  void Damage(const std::string& what) {
    Print(fmt::format("DAMAGE  {}\n", what));
    damaged_ = true;
  }

  void PrintRecord(std::uint64_t offset, const LogRecord& record) {
    if (record.IsHead()) {
      Print(fmt::format("{:>10}  format {}\n", offset, DecodeFixed<std::uint32_t>(record.operations.data() + kLogHeadName.size())));
    } else if (record.IsMarker()) {
      Print(fmt::format("{:>10}  everything up to {} is on disk\n", offset, record.first_sequence));
    } else {
      Print(fmt::format("{:>10}  {} operations from {}, {} bytes\n", offset, record.count, record.first_sequence, record.size_bytes()));
      const std::optional<AsideRef> aside = DecodeAside(record.operations);
      if (aside) return PrintAside(*aside, record.first_sequence);
      PrintOperations(record.operations, record.first_sequence);
    }
  }

  void PrintAside(const AsideRef& aside, SequenceNumber first) {
    Print(fmt::format("            in {}, {} bytes\n", AsideFileName(aside.id), aside.bytes));
    const std::string dir = slash_ == std::string::npos ? "." : path_.substr(0, slash_);
    if (is_spare_ && !fs_.Exists(dir + "/" + AsideFileName(aside.id))) return Print("            which went when the segment did\n");
    const Result<std::string> operations = ReadAside(fs_, dir, aside);
    if (!operations) return Damage(operations.error().message());
    PrintOperations(*operations, first);
  }

  FileSystem& fs_;
  const std::string& path_;
  const DumpOptions& options_;
  const std::size_t slash_;                 // in path_, in front of the file's name
  const bool is_spare_;
  bool damaged_ = false;
};

}  // namespace

Exit DumpSegment(FileSystem& fs, const std::string& path, std::uint64_t segment, const DumpOptions& options) {
  SegmentPrinter printer(fs, path, options);
  if (Status status = printer.Run(segment); !status.ok()) return Cannot(status);
  return printer.damaged() ? Exit::kDamage : Exit::kFine;
}

Exit DumpAside(FileSystem& fs, const std::string& path, const DumpOptions& options) {
  const Result<std::string> operations = fs.ReadWholeFile(path);
  if (!operations) return Cannot(operations.error());
  Print(fmt::format("a batch beside the log, {} bytes; its operations, numbered from 1\n", operations->size()));
  SegmentPrinter printer(fs, path, options);
  printer.PrintOperations(*operations, 1);
  return printer.damaged() ? Exit::kDamage : Exit::kFine;
}

}  // namespace lsmkv::tool
