#include "engine/wal/durable_note.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/hash.h"

namespace lsmkv {
namespace {

constexpr std::string_view kBefore = "everything up to ";

std::string PathOf(const std::string& wal_dir) { return wal_dir + "/" + std::string(kDurableNoteName); }

std::string LineOf(SequenceNumber durable) {
  const std::string text = fmt::format("{}{} is durable; ", kBefore, durable);
  return fmt::format("{}xxh3:{:016x}\n", text, Checksum(text));
}

/// 0: not a line of ours, or a damaged one.
SequenceNumber ParseLine(std::string_view line) {
  SequenceNumber durable = 0;
  if (line.starts_with(kBefore)) std::from_chars(line.data() + kBefore.size(), line.data() + line.size(), durable);
  return LineOf(durable) == line ? durable : 0;
}

}  // namespace

Status DurableNote::Write(SequenceNumber durable) {
  const std::string line = LineOf(durable);
  MutexLock lock(mutex_);
  if (file_ == nullptr || bytes_ + line.size() > kMostBytes) return Begin(line);
  Status added = Append(line);
  if (!added.ok()) file_.reset();     // half a line would spoil the next one
  return added;
}

Status DurableNote::Append(const std::string& line) {
  if (Status status = file_->Append(line); !status.ok()) return status;
  bytes_ += line.size();
  return file_->Sync();
}

Status DurableNote::Begin(const std::string& line) {
  const std::string path = PathOf(wal_dir_);
  const std::string unfinished = path + ".tmp";
  file_.reset();
  bytes_ = 0;
  Result<std::unique_ptr<WritableFile>> file = fs_.NewWritableFile(unfinished);
  if (!file) return file.error();
  if (Status status = (*file)->Append(line); !status.ok()) return status;
  if (Status status = (*file)->Sync(); !status.ok()) return status;
  if (Status status = fs_.Rename(unfinished, path); !status.ok()) return status;
  if (Status status = fs_.SyncDirectory(wal_dir_); !status.ok()) return status;
  file_ = std::move(*file);
  bytes_ = line.size();
  return {};
}

Status DurableNote::Remove() {
  MutexLock lock(mutex_);
  file_.reset();
  const Status removed = fs_.RemoveFile(PathOf(wal_dir_));
  if (!removed.ok() && removed.code() != StatusCode::kNotFound) return removed;
  return fs_.SyncDirectory(wal_dir_);
}

SequenceNumber DurableNote::Read(FileSystem& fs, const std::string& wal_dir) {
  const std::string path = PathOf(wal_dir);
  const Result<std::uint64_t> bytes = fs.FileSize(path);
  if (!bytes || *bytes > kMostBytes) return 0;
  const Result<std::string> text = fs.ReadWholeFile(path);
  if (!text) return 0;
  SequenceNumber durable = 0;
  for (std::string_view rest = *text; !rest.empty();) {
    const std::string_view line = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
    rest.remove_prefix(line.size());
    durable = std::max(durable, ParseLine(line));
  }
  return durable;
}

}  // namespace lsmkv
