// Write-ahead log: every batch that is applied but not yet in an SSTable.
//   segment := head record* end?                  DIR/wal/wal_000012.log
//   end     := zero{24} byte*                     or the end of the file
//   record  := length:u32 checksum:u64 first_sequence:u64 count:u32 operations
//              little-endian; length counts the bytes after the checksum; operations as in lsmkv/write_batch.h
//   checksum = XXH3 of those bytes, folded with the segment's id and the record's offset
//
// A record with count 0 has no operations and is a *sync marker*: everything up to and including `first_sequence` was
// durable when it was written. One follows every sync, the one of a segment left behind and the one at close included.
//
// The head is a sync marker that says nothing was (its `first_sequence` is 0), with "lsmkvwal" format_version:u32 as its operations. It
// keeps its layout in every later version, so that a reader can name a version that it does not know. It comes with the first
// record: a segment that nobody wrote to is empty, and making one needs no room.
//
// Why the place is part of the checksum: after damage the reader looks for the next good record byte by byte. A value may
// hold the bytes of a WAL, and a copy of a record in a value must not pass for a record. Nor must what the file held before.
//
// What lies behind the end. A segment may be written over the file of an older one (segment_recycler.h), whose bytes then follow the last
// record. So every write ends in a header of zeros, which the next write goes over, in one call. A kill in the middle of the call leaves
// a part of it, since the system asks for signals between two pages: then a torn record lies in front of the old bytes, of a write that
// nobody was told of, and is cut off. In a file that nobody has written to yet the old owner's head is in that place. Either of these is
// the end if no good record or marker of this segment follows. If one does, it is not: the place had been written to, and what was there
// is damaged or has not reached the disk. Where a segment is closed in order, what follows its end is cut off the file.
//
//   version 1   nothing but zeros follows the end
//   version 2   anything may
//
// Invariants
//   1. Records appear in sequence-number order, without gaps, across segments in the order of their ids.
//   2. A marker is written only after the sync that it tells of has succeeded.
//   3. A segment's name is durable before its first record is written; the segments before it are synced before it is.
//   4. An id is never given to a second segment.
//
// Recovery reads from the floor (the oldest segment that the manifest still needs) on. At a place that is not a record, or
// where the next sequence number is not the one awaited, it looks through all that follows:
//
//     the next good record carries the awaited sequence number ──────► nothing was lost: go on there, with a log line
//     a marker there covers the awaited sequence number ─────────────► it had been durable: corruption, refuse
//     neither ───────────────────────────────────────────────────────► what a power cut left of unsynced pages, which
//                                                                      reach the disk in any order: cut off here
//
// A file that is cut short has lost its markers as well; durable_note.h tells that. What no marker vouches for is written anew before
// the log goes on: unsynced_tail.h.
//
// A batch of several megabytes lies in a file of its own, which its record names: aside_file.h.
//
// `wal-skip-corruption yes` goes on at the next good record where recovery would refuse. What is cut off is not destroyed:
// the rest of the segment and all later segments stay beside the log as `*.log.dropped`; of these, the newest few are kept. The
// rest is what one write can have left behind the last that is good; what follows that is an older segment's, and is let go.
// On a full disk there is no copy: what is cut off was never acknowledged as safe, and a start needs no room.
//
// Threads     none here; the writer's are in wal.h.
// Not here    what an operation means (write_batch.h), when a segment may go (the engine, by the manifest's wal_floor).
// Source      LevelDB doc/log_format.md, without its 32 KiB blocks; markers are ours.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "base/coding.h"
#include "base/hash.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

inline constexpr std::size_t kLogPrefixBytes = 4 + 8;                    ///< length and checksum
inline constexpr std::size_t kLogBodyHeaderBytes = 8 + 4;                ///< first_sequence and count
inline constexpr std::size_t kLogHeaderBytes = kLogPrefixBytes + kLogBodyHeaderBytes;
inline constexpr std::size_t kMinOperationBytes = 2;                     ///< kind and the length of an empty key
/// The most operations one record may hold. The engine refuses a larger batch.
inline constexpr std::size_t kMaxLogOperationsBytes = 0x7fff'0000;
inline constexpr std::uint32_t kLogFormatVersion = 2;
inline constexpr std::string_view kLogHeadName = "lsmkvwal";
inline constexpr std::size_t kLogHeadOperationsBytes = 8 + 4;            ///< of a head: name and version
inline constexpr std::size_t kLogHeadBytes = kLogHeaderBytes + kLogHeadOperationsBytes;
inline constexpr std::string_view kDroppedSuffix = ".dropped";

/// A record as it lies in a segment; `operations` borrows from the reader.
struct LogRecord {
  SequenceNumber first_sequence = 0;
  std::uint32_t count = 0;
  std::string_view operations;

  bool IsMarker() const { return count == 0; }                            ///< a head too
  bool IsHead() const { return count == 0 && !operations.empty(); }
  SequenceNumber last_sequence() const { return first_sequence + count - 1; }
  std::uint64_t size_bytes() const { return kLogHeaderBytes + operations.size(); }
};

/// A bijection of each, spread over all bits.
inline std::uint64_t LogPlace(std::uint64_t segment, std::uint64_t offset) {
  std::uint64_t place = segment * 0x9e3779b97f4a7c15 + offset;
  place = (place ^ (place >> 30)) * 0xbf58476d1ce4e5b9;
  place = (place ^ (place >> 27)) * 0x94d049bb133111eb;
  return place ^ (place >> 31);
}
inline std::uint64_t LogChecksum(std::uint64_t segment, std::uint64_t offset, std::string_view body) {
  return Checksum(body) ^ LogPlace(segment, offset);
}

/// Appends the record that will lie at `offset` of `segment`.
inline void EncodeLogRecord(std::string* out, std::uint64_t segment, std::uint64_t offset, const LogRecord& record) {
  char header[kLogHeaderBytes] = {};
  const auto length = static_cast<std::uint32_t>(kLogBodyHeaderBytes + record.operations.size());
  std::memcpy(header, &length, 4);
  std::memcpy(header + kLogPrefixBytes, &record.first_sequence, 8);
  std::memcpy(header + kLogPrefixBytes + 8, &record.count, 4);
  const std::size_t start = out->size();
  out->append(header, sizeof(header));
  out->append(record.operations);
  const std::string_view body = std::string_view(*out).substr(start + kLogPrefixBytes);
  const std::uint64_t checksum = LogChecksum(segment, offset, body);
  std::memcpy(out->data() + start + 4, &checksum, 8);
}

/// The operations of a head.
inline std::string LogHeadOperations(std::uint32_t version = kLogFormatVersion) {
  std::string out(kLogHeadName);
  PutFixed(&out, version);
  return out;
}

inline std::string SegmentFileName(std::uint64_t id) { return fmt::format("wal_{:06}.log", id); }

/// Of a segment whose writes are in tables, while its file waits to become another one (segment_recycler.h).
inline std::string SpareFileName(std::uint64_t id) { return fmt::format("wal_spare_{:06}.log", id); }

/// The id in `wal_000012.log`; nullopt for any other name.
inline std::optional<std::uint64_t> ParseSegmentFileName(std::string_view name) {
  if (!name.starts_with("wal_") || !name.ends_with(".log")) return std::nullopt;
  const std::string_view digits = name.substr(4, name.size() - 8);
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (error != std::errc() || end != digits.data() + digits.size() || SegmentFileName(id) != name) return std::nullopt;
  return id;
}

/// The id in `wal_spare_000012.log`; nullopt for any other name.
inline std::optional<std::uint64_t> ParseSpareFileName(std::string_view name) {
  constexpr std::string_view kPrefix = "wal_spare_";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  return ParseSegmentFileName("wal_" + std::string(name.substr(kPrefix.size())));
}

}  // namespace lsmkv
