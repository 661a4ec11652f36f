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
  // What is short is left to those who need it now.
  constexpr std::uint64_t kPlenty = 8;
  const Result<std::uint64_t> free = fs.FreeBytes(wal_dir);
  segment->may_reserve = preallocate_bytes > 0 && free && *free / kPlenty >= preallocate_bytes;
  if (segment->may_reserve) segment->file->Preallocate(preallocate_bytes);
  if (Status synced = fs.SyncDirectory(wal_dir); !synced.ok()) return synced;
  return segment;
}

}  // namespace lsmkv
