#pragma once

#include <string>

#include "engine/wal/segment_queue.h"
#include "engine/wal/segment_recycler.h"

namespace lsmkv {

inline std::string SegmentPath(const std::string& wal_dir, std::uint64_t id) { return wal_dir + "/" + SegmentFileName(id); }

/// An empty segment whose name is durable, over an old one's file if there is one.
inline Result<SegmentQueue::SegmentPtr> CreateSegment(FileSystem& fs, const std::string& wal_dir, std::uint64_t id,
                                                      SegmentRecycler& recycler) {
  auto segment = std::make_shared<SegmentQueue::Segment>();
  segment->id = id;
  segment->file = recycler.Take(id);
  if (segment->file == nullptr) {
    Result<std::unique_ptr<WritableFile>> file = fs.NewWritableFile(SegmentPath(wal_dir, id));
    if (!file) return file.error();
    segment->file = std::move(*file);
  }
  segment->may_reserve = recycler.HasRoomToSpare();
  if (Status synced = fs.SyncDirectory(wal_dir); !synced.ok()) return synced;
  return segment;
}

}  // namespace lsmkv
