// Removing large files bit by bit, in step with what is written.
//
// A merge ends with gigabytes of files that nobody needs. Given up all at once, their pages leave the system's cache in one go, the disk
// gets one large discard, and the next gigabytes are written into pages that have to be found anew, which in a virtual machine that hands
// free memory back to its host costs more than the copying itself. So the names go at once, and the bytes, from each file's end, as
// others are written: what is written next lies in the pages that have just come free.
//
// Invariants
//   1. When Remove() returns the name is gone; after a crash the system itself frees the rest, since nobody has the file open.
//   2. Only what has no other name is cut: a hard link, somebody's backup, keeps all its bytes.
//   3. No more than kMostFiles are held open; the oldest goes whole when there are more.
// A file system other than the operating system's removes at once.
// Threads  any; who has written something while another thread gives back leaves its part to later, and does not wait.
// Source   RocksDB's delete scheduler cuts files at a rate; going by what is written instead is ours.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>

#include "base/mutex.h"
#include "fs/file_system.h"

namespace lsmkv {

class GradualRemoval {
 public:
  explicit GradualRemoval(FileSystem& fs) : fs_(fs) {}
  /// Gives up the rest at once.
  ~GradualRemoval();
  GradualRemoval(const GradualRemoval&) = delete;
  GradualRemoval& operator=(const GradualRemoval&) = delete;

  /// Errors: RemoveFile's.
  Status Remove(const std::string& path) LSMKV_EXCLUDES(mutex_);
  /// Somebody has written `bytes`: a little more than that is given back; later, if another thread is at it.
  void OnWritten(std::uint64_t bytes) LSMKV_EXCLUDES(mutex_);
  /// At once, as far as there is so much; in steps, so that others get their turn.
  void GiveBack(std::uint64_t bytes) LSMKV_EXCLUDES(mutex_);
  /// Of files that were removed, what is not given back yet.
  std::uint64_t pending_bytes() const { return pending_bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::uint64_t kStepBytes = 1 << 20;
  static constexpr std::size_t kMostFiles = 32;
  struct File {
    int fd;
    std::uint64_t bytes;
  };

  /// Returns how many bytes that were; 0: there is nothing.
  std::uint64_t GiveBackStepLocked() LSMKV_REQUIRES(mutex_);
  void CloseFirstLocked() LSMKV_REQUIRES(mutex_);

  FileSystem& fs_;
  std::atomic<std::uint64_t> pending_bytes_{0};     // of files_; relaxed: a hint
  std::atomic<std::uint64_t> owed_bytes_{0};        // for what was written: what is below a step, and what was left to later
  Mutex mutex_;                                     // a leaf
  std::deque<File> files_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
