#include "engine/wal/closing_note.h"

#include <fmt/core.h>

#include <charconv>

#include "base/hash.h"

namespace lsmkv {
namespace {

constexpr std::string_view kBefore = "everything up to ";
constexpr std::uint64_t kMostBytes = 256;

std::string PathOf(const std::string& wal_dir) { return wal_dir + "/" + std::string(kClosingNoteName); }

std::string TextOf(SequenceNumber durable) {
  const std::string text = fmt::format("{}{} was durable when the log was closed; ", kBefore, durable);
  return fmt::format("{}xxh3:{:016x}\n", text, Checksum(text));
}

}  // namespace

Status WriteClosingNote(FileSystem& fs, const std::string& wal_dir, SequenceNumber durable) {
  const std::string path = PathOf(wal_dir);
  const std::string unfinished = path + ".tmp";
  Result<std::unique_ptr<WritableFile>> file = fs.NewWritableFile(unfinished);
  if (!file) return file.error();
  if (Status status = (*file)->Append(TextOf(durable)); !status.ok()) return status;
  if (Status status = (*file)->Sync(); !status.ok()) return status;
  if (Status status = (*file)->Close(); !status.ok()) return status;
  if (Status status = fs.Rename(unfinished, path); !status.ok()) return status;
  return fs.SyncDirectory(wal_dir);
}

Status RemoveClosingNote(FileSystem& fs, const std::string& wal_dir) {
  const Status removed = fs.RemoveFile(PathOf(wal_dir));
  if (!removed.ok() && removed.code() != StatusCode::kNotFound) return removed;
  return fs.SyncDirectory(wal_dir);
}

SequenceNumber ReadClosingNote(FileSystem& fs, const std::string& wal_dir) {
  const std::string path = PathOf(wal_dir);
  const Result<std::uint64_t> bytes = fs.FileSize(path);
  if (!bytes) return 0;
  const Result<std::string> text = *bytes <= kMostBytes ? fs.ReadWholeFile(path) : Result<std::string>(std::string());
  if (!text) return 0;
  SequenceNumber durable = 0;
  if (text->starts_with(kBefore)) std::from_chars(text->data() + kBefore.size(), text->data() + text->size(), durable);
  return TextOf(durable) == *text ? durable : 0;
}

}  // namespace lsmkv
