// One blob file as tables refer to it, and which of its bytes a version's tables still refer to.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "engine/blob/blob_reader.h"
#include "engine/manifest/manifest.h"
#include "engine/sstable/table.h"
#include "engine/version/file_janitor.h"

namespace lsmkv {

struct TableStore;   // table_file.h

/// Shared by all tables that refer to it, and so by all versions that name one of these.
class BlobFile {
 public:
  using Micros = std::chrono::microseconds;

  /// `store` and `janitor` may be null for a file that is never read (tests of pure decisions).
  BlobFile(std::uint64_t id, std::uint64_t file_bytes, std::string path, std::shared_ptr<TableStore> store,
           std::shared_ptr<FileJanitor> janitor);
  /// Tells the janitor when the file is obsolete.
  ~BlobFile();
  BlobFile(const BlobFile&) = delete;
  BlobFile& operator=(const BlobFile&) = delete;

  std::uint64_t id() const { return id_; }
  std::uint64_t file_bytes() const { return file_bytes_; }
  const std::string& path() const { return path_; }

  /// The value that `pointer` leads to, through the block cache. `key_hash` is its key's Hash(). Errors: kWouldBlock if
  /// mode.memory_only and it is not cached, or mode.large_values does not admit it; kCorruption "<path>: offset N: ..."; kIoError.
  Result<std::shared_ptr<const BlobValue>> Get(const BlobPointer& pointer, std::uint64_t key_hash, ReadMode mode) const;
  /// A hint that Get(pointer) follows: asks the operating system for a value that is not in the cache. May open the file.
  void WillRead(const BlobPointer& pointer) const;
  /// The record as it is stored, past the cache, for who moves it to another file.
  Result<BlobRecord> ReadRecord(const BlobPointer& pointer, std::uint64_t key_hash) const;

  /// No table refers to it any more: it goes with the last holder.
  void MarkObsolete() const { obsolete_.store(true, std::memory_order_relaxed); }
  /// A value in it is damaged, so that its live values cannot all be moved elsewhere.
  void MarkUnreadable() const { unreadable_until_.store(Micros::max().count(), std::memory_order_relaxed); }
  /// The system did not read it, which may pass.
  void MarkUnreadFor(Micros time) const { unreadable_until_.store((Clock::System().Monotonic() + time).count(), std::memory_order_relaxed); }
  bool unreadable() const {
    const Micros until(unreadable_until_.load(std::memory_order_relaxed));
    return until.count() != 0 && Clock::System().Monotonic() < until;
  }

 private:
  Result<std::shared_ptr<const BlobValue>> Checked(Result<std::shared_ptr<const BlobValue>> value, const BlobPointer& pointer,
                                                   std::uint64_t key_hash) const;
  Result<std::shared_ptr<const BlobValue>> Load(const BlobPointer& pointer, std::uint64_t key_hash) const;
  Result<std::shared_ptr<const BlobValue>> LoadWithoutWaiting(const BlobPointer& pointer, std::uint64_t key_hash) const;
  Result<std::shared_ptr<const BlobValue>> Unpacked(Result<BlobRecord> record, const BlobPointer& pointer) const;

  const std::uint64_t id_;
  const std::uint64_t file_bytes_;
  const std::string path_;
  const std::shared_ptr<TableStore> store_;
  const std::shared_ptr<FileJanitor> janitor_;
  mutable std::atomic<bool> obsolete_{false};      // relaxed: the last shared_ptr's release orders it
  mutable std::atomic<std::int64_t> unreadable_until_{0};    // microseconds of the monotonic clock; relaxed: a hint, which guards nothing
};
using BlobFilePtr = std::shared_ptr<const BlobFile>;

/// The blob files that somebody holds, so that there is one object for each. Threads: any.
class BlobFiles {
 public:
  /// The file of `ref`, made by `make` when nobody holds it.
  template <typename Make>
  BlobFilePtr Get(const BlobRef& ref, const Make& make) LSMKV_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    std::weak_ptr<const BlobFile>& known = files_[ref.id];
    BlobFilePtr file = known.lock();
    if (file == nullptr) known = file = make();
    return file;
  }
  void Forget(std::uint64_t id) LSMKV_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    files_.erase(id);
  }

 private:
  Mutex mutex_;                                    // a leaf
  std::map<std::uint64_t, std::weak_ptr<const BlobFile>> files_ LSMKV_GUARDED_BY(mutex_);
};

/// What a version's tables refer to in one blob file.
struct BlobUsage {
  static constexpr std::uint64_t kPlacesBytes = 256;
  BlobFilePtr file;
  std::uint64_t tables = 0;
  std::uint64_t live_bytes = 0;

  std::uint64_t bytes() const { return file->file_bytes() - kBlobOverheadBytes; }
  std::uint64_t dead_bytes() const { return bytes() > live_bytes ? bytes() - live_bytes : 0; }
  /// Of the file's object, its places in the version and in BlobFiles.
  std::uint64_t memory_bytes() const { return sizeof(BlobFile) + 2 * file->path().capacity() + kPlacesBytes; }
  double dead_share() const { return static_cast<double>(dead_bytes()) / static_cast<double>(bytes()); }
};
/// By the file's id; only files that some table refers to.
using BlobUsages = std::map<std::uint64_t, BlobUsage>;

}  // namespace lsmkv
