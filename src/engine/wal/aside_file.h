// A batch too large to lie in the log: its operations are a file of their own beside it, and the log has a record that names them.
//
//   DIR/wal/aside_000003.ops      the operations of one batch, as lsmkv/write_batch.h has them; nothing else
//   record's operations := 14:u8 0:u8 id:u64 bytes:u64 checksum:u64 zeros        as many bytes as a record of its count has at least
//   checksum            := XXH3 of the file's bytes + id
//
// Why: the log is one sequence of bytes, so everybody's next record, and with it their replies, would wait until hundreds of megabytes
// before it are written; and they would lie in memory once more until then. The file is written by the thread that
// brings the batch, in pieces, while the log goes on.
//
// Invariants
//   1. The file is whole, synced, and its name is safe, before the record that names it is appended. So a record whose file is
//      missing or damaged is corruption, never the torn end of the log.
//   2. The file goes when the segment with its record goes, and not before. One that no record names is what a death left, or a write that
//      failed: recovery removes it.
//   3. Ids are never used twice while a record may still name them: recovery goes on above the largest there is.
// A disk that is full, or fails, while the file is written refuses that one batch; the log is as it was.
//
// Threads  none here.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/file_system.h"
#include "lsmkv/status.h"

namespace lsmkv {

struct AsideRef {
  std::uint64_t id = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
  friend bool operator==(const AsideRef&, const AsideRef&) = default;
};

/// A record that names a file, and which segment it lies in.
struct AsidePlace {
  std::uint64_t segment = 0;
  std::uint64_t id = 0;
};

/// What recovery finds of them.
struct RecoveredAsides {
  std::vector<AsidePlace> places;
  std::vector<std::uint64_t> unnamed;   ///< there are, and no record that counts names them: recovery removes them
  std::uint64_t max_id = 0;             ///< of any file there was, named or not
};

std::string AsideFileName(std::uint64_t id);
std::optional<std::uint64_t> ParseAsideFileName(std::string_view name);

/// The operations of the record that stands for a batch of `count`.
std::string EncodeAside(const AsideRef& ref, std::uint32_t count);
/// nullopt: these are operations themselves.
std::optional<AsideRef> DecodeAside(std::string_view operations);

/// Writes, syncs, and makes the name safe; on an error nothing is left. Blocks on the disk. Errors: kNoSpace, kIoError.
Result<AsideRef> WriteAside(FileSystem& fs, const std::string& wal_dir, std::uint64_t id, std::string_view operations);
/// Errors: kCorruption when it is missing, or not what was written; kIoError. They name the file.
Result<std::string> ReadAside(FileSystem& fs, const std::string& wal_dir, const AsideRef& ref);
/// Whether ReadAside() would return it, in little memory, as fs/passing_file.h reads. Errors: the same; kShuttingDown when `on_read`, which is
/// told of each piece, has said false.
Status CheckAside(FileSystem& fs, const std::string& wal_dir, const AsideRef& ref, const std::function<bool(std::uint64_t bytes)>& on_read);

}  // namespace lsmkv
