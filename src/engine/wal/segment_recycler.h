// What becomes of a segment's file when its writes are in tables: the next segment is written over it.
//
//   wal_000012.log ──Retire──► wal_spare_000012.log ──Take──► wal_000017.log
//         └── too many, too large, too little room ──► removed        (also: RemoveAll, and what Take cannot use)
//
// Why: a segment is as large as a memtable, and one after the other is filled and removed. Finding new pages for each costs the system
// several times what it costs to write over pages that are there, and where every write is synced, a sync of those changes no metadata, without
// zeros being written first (SegmentQueue::ZeroAhead). What the reader makes of the old bytes is in log_format.h.
//
// Invariants
//   1. Only what is below the manifest's durable floor is retired, so the bytes that are lost with it are in tables.
//   2. The name goes first. A file that is written over has its new segment's name, durably; a spare's name is no segment's,
//      so no reader takes it for a part of the log. If a power cut undoes the renaming, nothing has been written over yet.
//   3. An id is never given to a second segment. It is the bytes that come back, and their checksums name the old id.
//   4. A file with another name, a hard link, is somebody's copy and is not written over (FileSystem::RenameToOverwrite asks).
//   5. At most kMostSpares wait, none much larger than a segment is likely to become, and none while the disk has no room to spare.
//
// Whatever fails here costs time, not data: the file is removed, and the next segment gets a new one. A start takes over what a
// killed process left; an end in order removes it, and so does the WAL when nothing has been written for a while.
//
// Threads  any; no lock is held over the disk.
// Source   RocksDB's recycle_log_file_num and PostgreSQL's WAL do this. Theirs go by record numbers and by pages; ours by the place in the
//          checksum, and the zeros behind each write.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "fs/file_system.h"

namespace lsmkv {

struct RecyclerStats {
  std::uint64_t spare_segments = 0;
  std::uint64_t spare_bytes = 0;
  std::uint64_t recycled = 0;           ///< segments made of spares, since Open
};

class SegmentRecycler {
 public:
  static constexpr std::size_t kMostSpares = 2;

  /// @param segment_bytes  how long a segment is likely to become; 0: unknown, and nothing is kept.
  SegmentRecycler(FileSystem& fs, std::string wal_dir, std::uint64_t segment_bytes)
      : fs_(fs), wal_dir_(std::move(wal_dir)), segment_bytes_(segment_bytes) {}

  /// Whether the disk has so much room that what a segment is likely to need may be taken before it is needed.
  bool HasRoomToSpare() const;
  /// Spares of a process that was killed.
  void AdoptLeftovers() LSMKV_EXCLUDES(mutex_);
  /// A segment below the floor, that nobody has open. Its name is gone then. Errors: RemoveFile's.
  Status Retire(std::uint64_t id) LSMKV_EXCLUDES(mutex_);
  /// A spare as segment `id`, to be written over; its name is not durable yet. Null: there is none.
  std::unique_ptr<WritableFile> Take(std::uint64_t id) LSMKV_EXCLUDES(mutex_);
  /// When room is short, and at the end.
  void RemoveAll() LSMKV_EXCLUDES(mutex_);
  RecyclerStats stats() const LSMKV_EXCLUDES(mutex_);

 private:
  struct Spare {
    std::uint64_t id;                   // of the segment it was
    std::uint64_t bytes;
  };

  std::string SparePath(const Spare& spare) const;
  bool IsPlausible(std::uint64_t bytes) const { return bytes > 0 && bytes / 2 <= segment_bytes_; }
  /// Room for one more, which is taken until Join(); false: there is none.
  bool Reserve() LSMKV_EXCLUDES(mutex_);
  /// With `spare`, or without if it has not come about.
  void Join(const Spare* spare) LSMKV_EXCLUDES(mutex_);
  /// The newest: its pages are in the system's cache if any are. False: there is none.
  bool Pop(Spare* spare) LSMKV_EXCLUDES(mutex_);
  void Remove(const Spare& spare);

  FileSystem& fs_;
  const std::string wal_dir_;
  const std::uint64_t segment_bytes_;
  mutable Mutex mutex_;                                    // a leaf
  std::vector<Spare> spares_ LSMKV_GUARDED_BY(mutex_);     // oldest first
  std::size_t joining_ LSMKV_GUARDED_BY(mutex_) = 0;
  std::uint64_t recycled_ LSMKV_GUARDED_BY(mutex_) = 0;
};

}  // namespace lsmkv
