// A file system in memory for tests: it loses what was not synced when the power is cut, and fails on demand. Everything
// it does is decided by the calls made and the seeds given, so a failing test is replayed by its seed.
//
// Faults   armed with FailCall(n, fault): the n-th call from now that this fault concerns fails (or that one and all
//          after it). A failed call changes nothing, but for kShortWrite, which appends the first half: of the data and, where it goes over old
//          bytes, of the zeros behind it too; there it stops at a page's beginning if it can, as the write of a killed process does.
// Sweeps   run a script once and read calls(fault): that many values of n have to be tried. Or raise n until fired()
//          stays 0.
// Power    PowerCut(seed, mode): see CutMode. Handles and locks of before it are dead: every call on them fails,
//          forgetting them is all that is left. To cut the power in the middle of a call, arm kWriteError with
//          FaultSpan::kFromThenOn, let the user of the files give up, then cut.
// Syncs    as with the operating system's files, a handle whose sync failed repeats the error, and the file's unsynced bytes are given up: they can be
//          read, are gone after a power cut, and no later sync saves them, of another handle either, unless they are written again. Not so where
//          kIoError or kWriteError strikes with kFromThenOn: that stands for a process or machine that is gone, and never got as far as that sync.
// Threads  any; one mutex. The file system must outlive its handles. With several threads the order of calls, and with it
//          which one is the n-th, is not determined.
// Source   LevelDB db/fault_injection_test.cc; Pebble vfs/errorfs and vfs/mem_fs.go (strict mode).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "fs/fault_disk.h"
#include "fs/file_system.h"

namespace lsmkv {

enum class Fault : std::uint8_t {
  kIoError,       ///< EIO from any call that can fail
  kReadError,     ///< EIO from opening for reading, reading, listing, asking for a size
  kWriteError,    ///< EIO from any call that changes something: create, append, sync, rename, remove, …
  kNoSpace,       ///< ENOSPC from a call that needs room: create, append, rename, link, make a directory
  kShortWrite,    ///< an append that writes the first half, then EIO
  kFailedSync,    ///< EIO from Sync or SyncDirectory
  kFailedRename,  ///< EIO from Rename
  kNoSpaceSync,   ///< ENOSPC from Sync, SyncDirectory or Close: the system finds room only when it writes back
};
inline constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::kNoSpaceSync) + 1;
enum class FaultSpan : std::uint8_t {
  kOnce,
  kFromThenOn,
  kForAWhile,     ///< as kFromThenOn, of a disk that is well again after ClearFaults(): who uses it lives on
};

class FaultFileSystem final : public FileSystem {
 public:
  FaultFileSystem() = default;

  /// What kind of call it is; a table says which faults concern it.
  enum class Call : std::uint8_t { kLook, kOpen, kRead, kCreate, kAppend, kResize, kSync, kClose, kRename, kLink, kRemove };

  // ---- what goes wrong
  /// @param n  1: the next call that `fault` concerns. Several faults may be armed at once.
  void FailCall(std::uint64_t n, Fault fault, FaultSpan span = FaultSpan::kOnce) LSMKV_EXCLUDES(mutex_);
  /// From now on every Sync of a file, and SyncDirectory of a directory, whose path has `path_substring` in it fails.
  void FailSyncs(const std::string& path_substring) LSMKV_EXCLUDES(mutex_);
  /// From now on reading the byte at `offset` of a file whose path has `path_substring` in it fails, as on a bad sector.
  void FailReads(const std::string& path_substring, std::uint64_t offset) LSMKV_EXCLUDES(mutex_);
  /// From now on every Sync and SyncDirectory of what `lies_about` says true of goes well and makes nothing safe. For tests of
  /// tests: whoever relies on that sync must find out after a power cut. Null: none. `lies_about` must not call the file system.
  void LieAboutSyncs(std::function<bool(const std::string& path)> lies_about) LSMKV_EXCLUDES(mutex_);
  /// From now on a Sync or SyncDirectory of what `lags` says true of takes effect with the `by`-th sync after it: what should be safe
  /// after it is safe before it. For tests of tests, as LieAboutSyncs. Null: none does; those under way are forgotten.
  void LagSyncs(std::function<bool(const std::string& path)> lags, int by) LSMKV_EXCLUDES(mutex_);
  /// `told` is called when a call fails because of a fault, on its thread and under a lock: it must not call the file system. Null: nobody.
  void OnFault(std::function<void()> told) LSMKV_EXCLUDES(mutex_);
  /// Disarms FailCall, FailSyncs and FailReads. What has failed stays failed.
  void ClearFaults() LSMKV_EXCLUDES(mutex_);
  /// The disk holds at most this much in named files; an append writes what still fits, then says kNoSpace.
  void SetCapacity(std::uint64_t bytes) LSMKV_EXCLUDES(mutex_);
  /// From now on every byte counts as in the system's cache: ReadCached reads. Before, none does.
  void CacheEverything(bool cached) { cached_.store(cached); }
  void PowerCut(std::uint64_t seed, CutMode mode) LSMKV_EXCLUDES(mutex_);
  /// Lets `change` alter the bytes of a file behind everybody's back; the result is durable at once. `change` must not
  /// call the file system.
  Status Mutate(const std::string& path, const std::function<void(std::string& bytes)>& change) LSMKV_EXCLUDES(mutex_);
  /// Turns one bit over. `bit` counts from the lowest of the first byte; kInvalidArgument behind the end.
  Status FlipBit(const std::string& path, std::uint64_t bit) LSMKV_EXCLUDES(mutex_);

  // ---- what was seen
  struct ReadSeen {
    std::string path;
    std::uint64_t offset = 0;
    bool hint = false;      ///< WillNeed, not Read
  };
  /// Reads and hints, in their order, since the last call; the first one begins to note them.
  std::vector<ReadSeen> TakeReads() LSMKV_EXCLUDES(mutex_);
  static bool Concerns(Fault fault, Call call);
  /// `told` is called for each call that can fail, with the fault that strikes it, on its thread and under a lock: it must not call the file system.
  /// Null: nobody.
  using CallListener = std::function<void(Call call, const std::string& path, std::optional<Fault> struck)>;
  void OnCall(CallListener told) LSMKV_EXCLUDES(mutex_);
  std::uint64_t calls() const LSMKV_EXCLUDES(mutex_);                ///< that can fail, since the beginning
  std::uint64_t calls(Fault fault) const LSMKV_EXCLUDES(mutex_);     ///< of these, those that `fault` concerns
  std::uint64_t fired() const LSMKV_EXCLUDES(mutex_);                ///< calls that failed because of a fault
  /// The most that was appended to a file whose path has `path_substring` in it from one of its StartWriteback or Sync calls to the next: so much
  /// a sync finds to write at once.
  std::uint64_t MostWithoutWriteback(const std::string& path_substring) const LSMKV_EXCLUDES(mutex_);

  // ---- FileSystem
  Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override
      LSMKV_EXCLUDES(mutex_);
  Result<std::string> ReadWholeFile(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Status SyncFile(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Status Truncate(const std::string& path, std::uint64_t size) override LSMKV_EXCLUDES(mutex_);
  Result<std::unique_ptr<WritableFile>> OpenToRewrite(const std::string& path, std::uint64_t offset) override LSMKV_EXCLUDES(mutex_);
  Status Rename(const std::string& from, const std::string& to) override LSMKV_EXCLUDES(mutex_);
  Result<std::unique_ptr<WritableFile>> RenameToOverwrite(const std::string& from, const std::string& to,
                                                          std::uint64_t zeros_behind) override LSMKV_EXCLUDES(mutex_);
  Status Link(const std::string& from, const std::string& to) override LSMKV_EXCLUDES(mutex_);
  Status RemoveFile(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Status RemoveDirectory(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Status CreateDirectories(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Status SyncDirectory(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Result<std::vector<std::string>> ListDirectory(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Result<std::uint64_t> FileSize(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  bool Exists(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Result<std::uint64_t> FreeBytes(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Result<std::uint64_t> TotalBytes(const std::string& path) override LSMKV_EXCLUDES(mutex_);
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override LSMKV_EXCLUDES(mutex_);

 private:
  class WritableHandle;
  class ReadHandle;
  class LockHandle;
  friend class WritableHandle;
  friend class ReadHandle;
  friend class LockHandle;

  struct ArmedFault {
    Fault fault;
    std::uint64_t calls_left;   // 1: the next one fails
    FaultSpan span;
  };

  struct Struck {
    Fault fault;
    FaultSpan span;
  };

  struct LaggingSync {
    std::shared_ptr<DiskNode> node;
    int syncs_left;
  };

  /// Counts the call. Returns the fault that strikes it, if one does.
  std::optional<Struck> Strike(Call call, const std::string& path) LSMKV_REQUIRES(mutex_);
  /// The same, as the error to return.
  Status Count(Call call, const std::string& path, std::string_view operation) LSMKV_REQUIRES(mutex_);
  /// The same of a sync; one that fails gives up what `node`, which may be null, has not synced.
  Status CountSync(const std::string& path, std::string_view operation, DiskNode* node) LSMKV_REQUIRES(mutex_);
  Status CountRead(const std::string& path, std::uint64_t offset, std::size_t size) LSMKV_REQUIRES(mutex_);
  bool LiesAbout(const std::string& path) const LSMKV_REQUIRES(mutex_) { return lies_about_ && lies_about_(path); }
  void MakeDurable(const std::string& path, const std::shared_ptr<DiskNode>& node) LSMKV_REQUIRES(mutex_);
  std::uint64_t FreeBytesLocked() const LSMKV_REQUIRES(mutex_);

  std::atomic<bool> cached_{false};
  mutable Mutex mutex_;   // a leaf; also guards the nodes that handles share with the disk
  FaultDisk disk_ LSMKV_GUARDED_BY(mutex_);
  std::vector<ArmedFault> armed_ LSMKV_GUARDED_BY(mutex_);
  std::vector<std::string> failing_syncs_ LSMKV_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, std::uint64_t>> bad_sectors_ LSMKV_GUARDED_BY(mutex_);     // part of a path, offset
  std::function<bool(const std::string&)> lies_about_ LSMKV_GUARDED_BY(mutex_);
  std::function<bool(const std::string&)> lags_ LSMKV_GUARDED_BY(mutex_);
  int lag_syncs_ LSMKV_GUARDED_BY(mutex_) = 0;
  std::vector<LaggingSync> lagging_ LSMKV_GUARDED_BY(mutex_);
  std::function<void()> on_fault_ LSMKV_GUARDED_BY(mutex_);
  std::optional<std::vector<ReadSeen>> reads_ LSMKV_GUARDED_BY(mutex_);
  CallListener on_call_ LSMKV_GUARDED_BY(mutex_);
  std::optional<std::uint64_t> capacity_bytes_ LSMKV_GUARDED_BY(mutex_);
  std::uint64_t calls_ LSMKV_GUARDED_BY(mutex_) = 0;
  std::array<std::uint64_t, kFaults> calls_concerned_ LSMKV_GUARDED_BY(mutex_){};
  std::uint64_t fired_ LSMKV_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::uint64_t> most_without_writeback_ LSMKV_GUARDED_BY(mutex_);   // by path
};

}  // namespace lsmkv
