#include "engine/wal/unsynced_tail.h"

#include <algorithm>

#include "engine/wal/log_reader.h"

namespace lsmkv {

void UnsyncedTail::Add(std::uint64_t segment, std::uint64_t offset, const LogRecord& record) {
  if (parts_.empty() || parts_.back().segment != segment || parts_.back().end != offset) parts_.push_back({segment, offset, offset});
  parts_.back().end = offset + record.size_bytes();
  if (!record.IsMarker()) {
    last_sequence_ = record.last_sequence();
    has_records_ = true;
    return;
  }
  // The marker itself is not vouched for, so it stays.
  if (record.first_sequence >= last_sequence_) {
    DropBefore(segment, offset);
    has_records_ = false;
  } else if (record.first_sequence >= before_.last_sequence) {
    DropBefore(before_.segment, before_.offset);
  }
  before_ = {segment, offset, last_sequence_};
}

void UnsyncedTail::DropBefore(std::uint64_t segment, std::uint64_t offset) {
  std::erase_if(parts_, [&](const Part& part) { return part.segment < segment || (part.segment == segment && part.end <= offset); });
  if (!parts_.empty() && parts_.front().segment == segment) parts_.front().begin = std::max(parts_.front().begin, offset);
}

Status UnsyncedTail::WriteAnew(FileSystem& fs, const std::string& wal_dir) const {
  if (!has_records_) return Status::Ok();
  for (const Part& part : parts_) {
    const std::string path = wal_dir + "/" + SegmentFileName(part.segment);
    if (Status written = WritePart(fs, path, part); !written.ok()) return written.WithContext("writing the WAL's unsynced tail anew");
  }
  return Status::Ok();
}

Status UnsyncedTail::WritePart(FileSystem& fs, const std::string& path, const Part& part) {
  constexpr std::size_t kPieceBytes = 1 << 20;
  Result<LogReader> reader = LogReader::Open(fs, path, part.segment);
  if (!reader) return reader.error();
  const Result<std::unique_ptr<WritableFile>> file = fs.OpenToRewrite(path, part.begin);
  if (!file) return file.error();
  std::string piece;
  for (std::uint64_t offset = part.begin; offset < part.end;) {
    const Result<LogReader::Look> look = reader->At(offset);
    if (!look) return look.error();
    if (look->found != LogReader::Found::kRecord) {
      return Status::IoError(fmt::format("{}: the record at offset {} was there a moment ago and is not any more; look for errors of the disk, and "
                                         "start again", path, offset));
    }
    EncodeLogRecord(&piece, part.segment, offset, look->record);      // the bytes that were read
    offset += look->record.size_bytes();
    if (piece.size() < kPieceBytes && offset < part.end) continue;
    if (Status written = (*file)->Append(piece); !written.ok()) return written;
    piece.clear();
  }
  if (Status synced = (*file)->Sync(); !synced.ok()) return synced;
  return (*file)->Close();
}

}  // namespace lsmkv
