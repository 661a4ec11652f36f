// DIR/wal/durable.txt: how far the log is known to be on the disk, said outside the log.
//
// Markers inside the log tell recovery what had been durable (log_format.h), but a file that is cut short loses its markers with
// its records, and what is left looks like a log that ends there. The note stands outside. What it says stays true for ever, since
// what was durable once must be found at every later start, in the log or in tables; so nobody has to take a line back, unless writes
// were given up (wal-skip-corruption). The WAL thread adds a line every kNotePeriod while there is something to add, and when the
// log is closed: what a killed process had synced in its last seconds may still be cut off unnoticed. To notice that too would
// take a second sync for every one.
//
//   note := line*           the largest sequence number of a line that can be believed is what counts
//   line := "everything up to " sequence " is durable; xxh3:" checksum:hex[16] "\n"
//
// Lines are appended; a process begins a new file, which replaces the old one whole, and so it does when the file has grown to
// kMostBytes, or when appending failed. A note that is missing or damaged says nothing.
// Threads  one at a time, but Remove() may be called beside Write().
#pragma once

#include <memory>
#include <string>

#include "base/mutex.h"
#include "fs/file_system.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

inline constexpr std::string_view kDurableNoteName = "durable.txt";

class DurableNote {
 public:
  static constexpr std::uint64_t kMostBytes = 64 << 10;

  DurableNote(FileSystem& fs, std::string wal_dir) : fs_(fs), wal_dir_(std::move(wal_dir)) {}

  /// After the log was synced up to `durable`.
  Status Write(SequenceNumber durable) LSMKV_EXCLUDES(mutex_);
  /// After writes that it tells of were given up.
  Status Remove() LSMKV_EXCLUDES(mutex_);
  /// 0: nothing that can be believed.
  static SequenceNumber Read(FileSystem& fs, const std::string& wal_dir);

 private:
  Status Append(const std::string& line) LSMKV_REQUIRES(mutex_);
  Status Begin(const std::string& line) LSMKV_REQUIRES(mutex_);

  FileSystem& fs_;
  const std::string wal_dir_;
  Mutex mutex_;
  std::unique_ptr<WritableFile> file_ LSMKV_GUARDED_BY(mutex_);     // null: the next line begins a new one
  std::uint64_t bytes_ LSMKV_GUARDED_BY(mutex_) = 0;
};

}  // namespace lsmkv
