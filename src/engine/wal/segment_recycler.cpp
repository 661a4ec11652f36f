#include "engine/wal/segment_recycler.h"

#include "base/assert.h"
#include "base/log.h"
#include "engine/wal/log_format.h"

namespace lsmkv {

std::string SegmentRecycler::SparePath(const Spare& spare) const { return wal_dir_ + "/" + SpareFileName(spare.id); }

bool SegmentRecycler::HasRoomToSpare() const {
  constexpr std::uint64_t kPlenty = 8;      // what is short is left to those who need it now
  const Result<std::uint64_t> free = fs_.FreeBytes(wal_dir_);
  return segment_bytes_ > 0 && free && *free / kPlenty >= segment_bytes_;
}

void SegmentRecycler::AdoptLeftovers() {
  const Result<std::vector<std::string>> names = fs_.ListDirectory(wal_dir_);
  if (!names) return;                       // the next start will
  const bool room = HasRoomToSpare();
  for (const std::string& name : *names) {
    const std::optional<std::uint64_t> id = ParseSpareFileName(name);
    if (!id) continue;
    const Spare spare{*id, fs_.FileSize(wal_dir_ + "/" + name).value_or(0)};
    if (room && IsPlausible(spare.bytes) && Reserve()) {
      Join(&spare);
    } else {
      Remove(spare);
    }
  }
}

Status SegmentRecycler::Retire(std::uint64_t id) {
  const std::string path = wal_dir_ + "/" + SegmentFileName(id);
  const bool room = HasRoomToSpare();
  if (!room) RemoveAll();
  const Spare spare{id, fs_.FileSize(path).value_or(0)};
  if (!room || !IsPlausible(spare.bytes) || !Reserve()) return fs_.RemoveFile(path);
  const Status renamed = fs_.Rename(path, SparePath(spare));
  Join(renamed.ok() ? &spare : nullptr);
  return renamed.ok() ? renamed : fs_.RemoveFile(path);
}

std::unique_ptr<WritableFile> SegmentRecycler::Take(std::uint64_t id) {
  Spare spare{};
  while (Pop(&spare)) {
    LSMKV_ASSERT(spare.id < id);            // log_format.h, invariant 4
    Result<std::unique_ptr<WritableFile>> file =
        fs_.RenameToOverwrite(SparePath(spare), wal_dir_ + "/" + SegmentFileName(id), kLogHeaderBytes);
    if (file) {
      MutexLock lock(mutex_);
      ++recycled_;
      return std::move(*file);
    }
    LogDebug("wal", "{}; it is removed", file.error().message());
    Remove(spare);
  }
  return nullptr;
}

void SegmentRecycler::RemoveAll() {
  Spare spare{};
  while (Pop(&spare)) Remove(spare);
}

void SegmentRecycler::Remove(const Spare& spare) {
  const Status removed = fs_.RemoveFile(SparePath(spare));
  if (!removed.ok() && removed.code() != StatusCode::kNotFound) LogWarning("wal", "{}", removed.message());
}

RecyclerStats SegmentRecycler::stats() const {
  MutexLock lock(mutex_);
  RecyclerStats stats{spares_.size(), 0, recycled_};
  for (const Spare& spare : spares_) stats.spare_bytes += spare.bytes;
  return stats;
}

bool SegmentRecycler::Reserve() {
  MutexLock lock(mutex_);
  if (spares_.size() + joining_ >= kMostSpares) return false;
  ++joining_;
  return true;
}

void SegmentRecycler::Join(const Spare* spare) {
  MutexLock lock(mutex_);
  --joining_;
  if (spare != nullptr) spares_.push_back(*spare);
}

bool SegmentRecycler::Pop(Spare* spare) {
  MutexLock lock(mutex_);
  if (spares_.empty()) return false;
  *spare = spares_.back();
  spares_.pop_back();
  return true;
}

}  // namespace lsmkv
