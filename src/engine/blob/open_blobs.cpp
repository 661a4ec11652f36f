#include "engine/blob/open_blobs.h"

namespace lsmkv {

std::shared_ptr<const BlobReader> OpenBlobs::FindOpen(std::uint64_t id) {
  const MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->reader;
}

Result<std::shared_ptr<const BlobReader>> OpenBlobs::Open(std::uint64_t id, const std::string& path, std::uint64_t file_bytes) {
  if (std::shared_ptr<const BlobReader> open = FindOpen(id)) return open;
  Result<std::shared_ptr<const BlobReader>> opened = OpenFile(id, path, file_bytes);
  if (!opened) return opened;
  Entries closed;  // destroyed after the mutex
  const MutexLock lock(mutex_);
  if (const auto found = by_id_.find(id); found != by_id_.end()) return found->second->reader;
  entries_.push_front({id, *opened});
  by_id_[id] = entries_.begin();
  while (entries_.size() > max_open_) {
    by_id_.erase(entries_.back().id);
    closed.splice(closed.end(), entries_, std::prev(entries_.end()));
  }
  return opened;
}

Result<std::shared_ptr<const BlobReader>> OpenBlobs::OpenFile(std::uint64_t id, const std::string& path, std::uint64_t file_bytes) {
  auto file = file_system_.NewRandomAccessFile(path);
  if (!file) {
    if (file.error().code() != StatusCode::kNotFound) return file.error();
    return Status::Corruption(path + ": the blob file is missing");
  }
  if ((*file)->size() != file_bytes) {
    return Status::Corruption(path + ": offset " + std::to_string((*file)->size()) + ": the file ends here, but should have " +
                              std::to_string(file_bytes) + " bytes");
  }
  auto reader = BlobReader::Open(std::move(*file), path, id);
  if (!reader) return reader.error();
  return std::shared_ptr<const BlobReader>(std::move(*reader));
}

void OpenBlobs::Forget(std::uint64_t id) {
  Entries closed;
  const MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  closed.splice(closed.end(), entries_, found->second);
  by_id_.erase(found);
}

std::size_t OpenBlobs::open_count() const {
  const MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace lsmkv
