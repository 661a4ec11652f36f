// Reads one WAL segment: the record at an offset, or the first good record at or after one. It judges bytes, not history:
// what a damaged place means for recovery is decided in wal_replay.cpp.
//
// Whether a segment has ended takes a look at all that follows the end, since what an older segment left there must be told from what
// was written here. That takes up to 0.2 s for 100 MB, and is due only where a segment was not closed in order.
//
// What was left there are clients' values, and some look like headers: bitmaps, arrays of small numbers. Each such place costs a checksum
// of as many bytes as it claims to have. So a number is believed only if as many operations can lie in between; and once that has cost
// too much (half a second, about), the rest is searched for markers only, which are short. They are what decides whether something durable
// is lost.
//
// Memory: a window of the file, 1 MiB more than the largest record in it. A length is believed only when the file has that many
// bytes left.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/wal/log_format.h"
#include "fs/file_system.h"

namespace lsmkv {

/// Which records count, where all that follows a place is looked through. Markers always do.
struct SoughtRecords {
  SequenceNumber from = 1;                ///< those with this sequence number or more
  /// Where in this segment `from` was awaited, if the record before it lies in front of that: numbers grow no faster than bytes then.
  std::optional<std::uint64_t> since = std::nullopt;
};

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
  /// The same for a segment that may be in use: it ends after `most_bytes` at the latest, and is read as fs/passing_file.h says.
  static Result<LogReader> OpenPassing(FileSystem& fs, const std::string& path, std::uint64_t segment, std::uint64_t most_bytes);

  /// What lies at `offset`. kEnd: the end of the file, or of what was written to it (log_format.h).
  Result<Look> At(std::uint64_t offset, const SoughtRecords& sought = {});
  /// The first good record or marker at or after `offset` that counts.
  Result<std::optional<Hit>> Search(std::uint64_t offset, const SoughtRecords& sought = {});
  /// Whether too many bytes looked like records: from some place on only markers were searched for, and are from now on.
  bool passes_over_records() const { return budget_bytes_ == 0; }
  /// The end of what one write can have left at `offset`, where nothing good follows: what lies behind that was there before.
  /// @param awaited  the sequence number of its first record.
  Result<std::uint64_t> TornEnd(std::uint64_t offset, SequenceNumber awaited);
  /// The end of the last byte that is not zero, at least `offset`.
  Result<std::uint64_t> WrittenEnd(std::uint64_t offset);

  std::uint64_t size() const { return size_; }

 private:
  LogReader(std::unique_ptr<RandomAccessFile> file, std::string path, std::uint64_t segment, std::uint64_t most_bytes = UINT64_MAX);
  /// `bytes` at `offset`, which the file has; valid until the next call.
  Result<std::string_view> View(std::uint64_t offset, std::size_t bytes);
  /// Whether what a writer leaves behind its last record, or finds in a file that was another segment's, lies at `offset`.
  Result<bool> LooksLikeEnd(std::uint64_t offset);
  Result<bool> BeginsWithOlderHead();
  /// The first place at or after `offset` whose header could be true of a record to search for.
  Result<std::optional<std::uint64_t>> NextPlausible(std::uint64_t offset, const SoughtRecords& sought);
  /// Takes the cost of a checksum over `bytes` from what a search may cost; false: it is spent.
  bool Spend(std::uint64_t bytes);
  /// A head's version is one that is known.
  Status CheckHead(std::string_view operations) const;
  /// Whether a whole record with a right checksum lies at `offset`; nullopt: it does not.
  Result<std::optional<LogRecord>> TryRecord(std::uint64_t offset);

  std::unique_ptr<RandomAccessFile> file_;
  std::string path_;
  std::uint64_t segment_;
  std::uint64_t size_;
  std::uint64_t budget_bytes_;            // for checksums of what only looks like records
  std::string window_;
  std::uint64_t window_offset_ = 0;
};

}  // namespace lsmkv
