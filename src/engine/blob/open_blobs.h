#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/mutex.h"
#include "engine/blob/blob_reader.h"
#include "fs/file_system.h"

namespace lsmkv {

/// Which blob files are open: a file is opened by the first value that is read from it and closed when more than `max_open`
/// are open and it was used least recently. Asked only when a value must be read from the disk, so that one mutex around a
/// small list is no more than a beginning of that read's time.
/// Threads  any. Two that open a file at once both succeed, and the second handle is dropped again.
class OpenBlobs {
 public:
  /// `max_open` is 1 or more; `file_system` outlives this and what it hands out.
  OpenBlobs(FileSystem& file_system, std::size_t max_open) : file_system_(file_system), max_open_(max_open) {}

  /// The open file; kept open for as long as the answer is held. Errors: BlobReader::Open's; kCorruption, also for a file that
  /// is missing or has not `file_bytes`: a manifest names it.
  Result<std::shared_ptr<const BlobReader>> Open(std::uint64_t id, const std::string& path, std::uint64_t file_bytes)
      LSMKV_EXCLUDES(mutex_);
  /// The same if it is open; null otherwise.
  std::shared_ptr<const BlobReader> FindOpen(std::uint64_t id) LSMKV_EXCLUDES(mutex_);
  /// Closes it when the last who holds it lets go.
  void Forget(std::uint64_t id) LSMKV_EXCLUDES(mutex_);
  std::size_t open_count() const LSMKV_EXCLUDES(mutex_);

 private:
  struct Entry {
    std::uint64_t id;
    std::shared_ptr<const BlobReader> reader;
  };
  using Entries = std::list<Entry>;

  Result<std::shared_ptr<const BlobReader>> OpenFile(std::uint64_t id, const std::string& path, std::uint64_t file_bytes);

  FileSystem& file_system_;
  const std::size_t max_open_;
  mutable Mutex mutex_;                                 // a leaf; no file is opened or closed under it
  Entries entries_ LSMKV_GUARDED_BY(mutex_);            // the most recently used first
  std::unordered_map<std::uint64_t, Entries::iterator> by_id_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
