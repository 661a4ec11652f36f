// Reads one WAL segment: the record at an offset, or the first good record at or after one. It judges bytes, not history:
// what a damaged place means for recovery is decided in wal_replay.cpp.
//
// Memory: a window of the file, as large as the largest record in it and at least 1 MiB. A length is believed only when
// the file has that many bytes left.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/wal/log_format.h"
#include "fs/file_system.h"

namespace lsmkv {

class LogReader {
 public:
  enum class Found : std::uint8_t { kRecord, kEnd, kDamage };
  struct Look {
    Found found = Found::kEnd;
    LogRecord record;                       ///< kRecord; its operations live until the next call
  };
  struct Hit {
    std::uint64_t offset = 0;
    LogRecord record;
  };

  /// Reading, here and below: kUnsupported for a segment of a newer format, by its number.
  static Result<LogReader> Open(FileSystem& fs, const std::string& path, std::uint64_t segment);

  /// What lies at `offset`. kEnd: the end of the file, or nothing but zeros up to it.
  Result<Look> At(std::uint64_t offset);
  /// The first good record at or after `offset` whose sequence number is `from` or more, or that is a marker.
  /// Errors   kCorruption when the work grew out of all proportion (bytes made to look like records).
  Result<std::optional<Hit>> Search(std::uint64_t offset, SequenceNumber from);
  /// The end of the last byte that is not zero, at least `offset`.
  Result<std::uint64_t> WrittenEnd(std::uint64_t offset);

  std::uint64_t size() const { return file_->size(); }

 private:
  LogReader(std::unique_ptr<RandomAccessFile> file, std::string path, std::uint64_t segment);
  /// `bytes` at `offset`, which the file has; valid until the next call.
  Result<std::string_view> View(std::uint64_t offset, std::size_t bytes);
  /// A head's version is one that is known.
  Status CheckHead(std::string_view operations) const;
  /// Whether a whole record with a right checksum lies at `offset`; nullopt: it does not.
  Result<std::optional<LogRecord>> TryRecord(std::uint64_t offset);

  std::unique_ptr<RandomAccessFile> file_;
  std::string path_;
  std::uint64_t segment_;
  std::string window_;
  std::uint64_t window_offset_ = 0;
};

}  // namespace lsmkv
