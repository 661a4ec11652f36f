// What lies in the log behind the last place that a sync marker vouches for, while recovery reads it. Whether it is on the disk nobody knows: the
// process may have been killed before its sync, or after a sync that failed. In the second case the system has given the bytes up: they can
// still be read, and the next sync, of another descriptor, goes well and does not write them (Linux: "fsyncgate"). From then on new markers would say
// that they are durable. So they are written anew, where they are, and that is synced.
//
//   record* marker(upto 7) record* marker(upto 9) record*
//           ╰── here the sync of 9 had not begun ─┴──────── from the marker before on, if the last one leaves some out
//
// Sound       what is written is what was just read with its checksum, never what a page holds by now that the system may have dropped and read
//             from the disk again.
// Power cut   in the middle of it: a page is what it is seen to be or what the disk had, as before.
// Memory      1 MiB more than the largest record, twice.
// Room        none: a start on a full disk goes on.
// Batches beside the log (aside_file.h) are not meant: one is named only after its own sync has gone well.
//
// Threads  none here.
// Source   "Can Applications Recover from fsync Failures?" (Rebello et al., USENIX ATC 2020).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/wal/log_format.h"
#include "fs/file_system.h"

namespace lsmkv {

class UnsyncedTail {
 public:
  /// A good record or marker at `offset` of `segment`. In the order of the log.
  void Add(std::uint64_t segment, std::uint64_t offset, const LogRecord& record);
  /// Errors: kIoError, also when what was there cannot be read any more.
  Status WriteAnew(FileSystem& fs, const std::string& wal_dir) const;

 private:
  /// Good records without a gap.
  struct Part {
    std::uint64_t segment = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  struct Marker {
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
    SequenceNumber last_sequence = 0;     // of the records in front of it
  };

  void DropBefore(std::uint64_t segment, std::uint64_t offset);
  static Status WritePart(FileSystem& fs, const std::string& path, const Part& part);

  std::vector<Part> parts_;               // ascending; several only where a segment ends or something is damaged
  SequenceNumber last_sequence_ = 0;
  Marker before_;                         // the last marker or head but one
  bool has_records_ = false;              // that no marker vouches for
};

}  // namespace lsmkv
