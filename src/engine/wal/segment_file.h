#pragma once

#include <string>

#include "engine/wal/segment_queue.h"

namespace lsmkv {

inline std::string SegmentPath(const std::string& wal_dir, std::uint64_t id) { return wal_dir + "/" + SegmentFileName(id); }

/// An empty segment whose name is durable.
inline Result<SegmentQueue::SegmentPtr> CreateSegment(FileSystem& fs, const std::string& wal_dir, std::uint64_t id,
                                                      std::uint64_t preallocate_bytes) {
  auto segment = std::make_shared<SegmentQueue::Segment>();
  segment->id = id;
  Result<std::unique_ptr<WritableFile>> file = fs.NewWritableFile(SegmentPath(wal_dir, id));
  if (!file) return file.error();
  segment->file = std::move(*file);
  if (preallocate_bytes > 0) segment->file->Preallocate(preallocate_bytes);
  if (Status synced = fs.SyncDirectory(wal_dir); !synced.ok()) return synced;
  return segment;
}

}  // namespace lsmkv
