#include "fs/gradual_removal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace lsmkv {
namespace {

/// A file that is open and has no name.
bool IsNameless(int fd, std::uint64_t* bytes) {
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink != 0) return false;
  *bytes = static_cast<std::uint64_t>(info.st_size);
  return true;
}

}  // namespace

GradualRemoval::~GradualRemoval() {
  MutexLock lock(mutex_);
  while (!files_.empty()) CloseFirstLocked();
}

Status GradualRemoval::Remove(const std::string& path) {
  const int fd = &fs_ == &FileSystem::Posix() ? ::open(path.c_str(), O_WRONLY | O_CLOEXEC) : -1;
  const Status removed = fs_.RemoveFile(path);
  if (fd < 0) return removed;
  std::uint64_t bytes = 0;
  if (!removed.ok() || !IsNameless(fd, &bytes) || bytes <= kStepBytes) {
    ::close(fd);
    return removed;
  }
  MutexLock lock(mutex_);
  if (files_.size() >= kMostFiles) CloseFirstLocked();
  files_.push_back({fd, bytes});
  pending_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  return removed;
}

void GradualRemoval::OnWritten(std::uint64_t bytes) {
  if (pending_bytes() == 0) return;
  const std::uint64_t share = bytes + bytes / 4;
  owed_bytes_.fetch_add(share, std::memory_order_relaxed);
  // No more than its own share, in steps: others' would keep a flush from its end.
  for (std::uint64_t given = 0; given <= share && owed_bytes_.load(std::memory_order_relaxed) >= kStepBytes; given += kStepBytes) {
    if (!mutex_.TryLock()) return;
    owed_bytes_.fetch_sub(std::min(kStepBytes, owed_bytes_.load(std::memory_order_relaxed)), std::memory_order_relaxed);
    GiveBackStepLocked();
    mutex_.Unlock();
  }
}

void GradualRemoval::GiveBack(std::uint64_t bytes) {
  for (std::uint64_t given = 0; given < bytes;) {
    MutexLock lock(mutex_);
    const std::uint64_t step = GiveBackStepLocked();
    if (step == 0) return;
    given += step;
  }
}

std::uint64_t GradualRemoval::GiveBackStepLocked() {
  if (files_.empty()) return 0;
  File& file = files_.front();
  const std::uint64_t before = file.bytes;
  const std::uint64_t left = before - std::min(before, kStepBytes);
  if (left == 0 || ::ftruncate(file.fd, static_cast<off_t>(left)) != 0) {
    CloseFirstLocked();
    return before;
  }
  pending_bytes_.fetch_sub(before - left, std::memory_order_relaxed);
  file.bytes = left;
  return before - left;
}

void GradualRemoval::CloseFirstLocked() {
  ::close(files_.front().fd);
  pending_bytes_.fetch_sub(files_.front().bytes, std::memory_order_relaxed);
  files_.pop_front();
  if (files_.empty()) owed_bytes_.store(0, std::memory_order_relaxed);      // what is removed later is not owed by now
}

}  // namespace lsmkv
