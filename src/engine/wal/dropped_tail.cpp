#include "engine/wal/dropped_tail.h"

#include <algorithm>
#include <memory>

#include "base/log.h"
#include "engine/wal/log_format.h"
#include "engine/wal/log_reader.h"

namespace lsmkv {

std::string DroppedTail::Path(std::uint64_t segment) const { return dir_ + "/" + SegmentFileName(segment); }

std::string DroppedTail::KeptPath(std::uint64_t segment) const { return Path(segment) + std::string(kDroppedSuffix); }

Status DroppedTail::Copy(const Tail& tail) {
  for (std::size_t index = 0; index < tail.segments.size(); ++index) {
    const std::uint64_t segment = tail.segments[index];
    const Result<bool> empty = index == 0 ? Result<bool>(false) : IsEmpty(segment);
    if (!empty) return empty.error();
    if (*empty) continue;
    if (Status copied = CopySegment(segment, index == 0 ? tail.cut_offset : 0, tail.ends[index]); !copied.ok()) return copied;
  }
  return fs_.SyncDirectory(dir_);
}

/// Newest first, so that what remains after a crash in between is judged as before.
Status DroppedTail::SetAside(const Tail& tail) {
  for (std::size_t index = tail.segments.size(); index-- > 1;) {
    const std::uint64_t segment = tail.segments[index];
    const Result<bool> empty = IsEmpty(segment);
    if (!empty) return empty.error();
    if (*empty) continue;
    Status moved = fs_.Rename(Path(segment), KeptPath(segment));
    if (moved.ok()) kept_.push_back(segment);
    if (moved.code() == StatusCode::kNoSpace) {      // not even a name
      LogWarning("wal", "{}; removed without a copy", moved.message());
      moved = fs_.RemoveFile(Path(segment));
    }
    if (!moved.ok()) return moved;
  }
  if (Status synced = fs_.SyncDirectory(dir_); !synced.ok()) return synced;
  const std::uint64_t cut = tail.segments.front();
  if (Status copied = CopySegment(cut, tail.cut_offset, tail.ends.front()); !copied.ok()) return copied;
  if (Status synced = fs_.SyncDirectory(dir_); !synced.ok()) return synced;
  if (Status truncated = fs_.Truncate(Path(cut), tail.cut_offset); !truncated.ok()) return truncated;
  return fs_.SyncFile(Path(cut));
}

void DroppedTail::RemoveOld() {
  std::ranges::sort(kept_);
  const auto last = std::ranges::unique(kept_).begin();
  kept_.erase(last, kept_.end());
  for (std::size_t index = 0; index + kMostKept < kept_.size(); ++index) {
    const std::string path = KeptPath(kept_[index]);
    const Status removed = fs_.RemoveFile(path);
    if (removed.ok()) {
      LogInfo("wal", "{} removed: the newest {} of what was set aside are kept", path, kMostKept);
    } else {
      LogWarning("wal", "{}", removed.message());
    }
  }
}

/// Whether nobody has written to a segment, whatever its file held before.
Result<bool> DroppedTail::IsEmpty(std::uint64_t segment) {
  Result<LogReader> reader = LogReader::Open(fs_, Path(segment), segment);
  if (!reader) return reader.error();
  const Result<LogReader::Look> look = reader->At(0);
  if (!look) return look.error();
  return look->found == LogReader::Found::kEnd;
}

/// Where the disk is full it is done without: a start must not hang on a copy for people.
Status DroppedTail::CopySegment(std::uint64_t segment, std::uint64_t begin, std::uint64_t end) {
  if (end == 0) end = fs_.FileSize(Path(segment)).value_or(begin);
  Status copied = CopyBytes(Path(segment), begin, end, KeptPath(segment));
  if (copied.ok()) kept_.push_back(segment);
  if (copied.code() != StatusCode::kNoSpace) return copied;
  IgnoreError(fs_.RemoveFile(KeptPath(segment)), "it may not have come into being");
  LogWarning("wal", "{}; what is cut off is dropped without a copy", copied.message());
  return Status::Ok();
}

Status DroppedTail::CopyBytes(const std::string& from, std::uint64_t begin, std::uint64_t end, const std::string& to) {
  constexpr std::uint64_t kCopyBytes = 1 << 20;
  const Result<std::unique_ptr<RandomAccessFile>> source = fs_.NewRandomAccessFile(from);
  if (!source) return source.error();
  Result<std::unique_ptr<WritableFile>> file = fs_.NewWritableFile(to);
  if (!file) return file.error();
  std::string buffer;
  for (std::uint64_t at = begin; at < end; at += buffer.size()) {
    buffer.resize(static_cast<std::size_t>(std::min(kCopyBytes, end - at)));
    if (Status read = (*source)->Read(at, buffer.size(), buffer.data()); !read.ok()) return read;
    if (Status written = (*file)->Append(buffer); !written.ok()) return written;
  }
  if (Status synced = (*file)->Sync(); !synced.ok()) return synced;
  return (*file)->Close();
}

}  // namespace lsmkv
