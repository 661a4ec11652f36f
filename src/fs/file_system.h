// What the engine asks of a disk. Two implementations: the operating system's (posix_file_system.h) and one in memory that
// loses what was not synced and fails on demand (fault_file_system.h). Paths are absolute or relative to the process.
//
// Durability rule, the same for both: bytes are safe from a power cut after Sync() of their file; a name (created,
// renamed, removed, linked) is safe after SyncDirectory() of the directory that holds it.
// Errors: kNoSpace for ENOSPC and EDQUOT, kNotFound for ENOENT, kIoError for the rest; the message names the path.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lsmkv/status.h"

namespace lsmkv {

/// Append-only. One thread at a time, with one exception: Sync() may run on a second thread while the first one appends
/// (the WAL does so); it makes safe at least what was appended before it began.
class WritableFile {
 public:
  virtual ~WritableFile() = default;   ///< closes without syncing
  /// All of `data` or an error; after an error `size()` says how far the file got.
  virtual Status Append(std::string_view data) = 0;
  /// fdatasync. After an error the unsynced bytes must be taken for lost; never call it again hoping for better.
  virtual Status Sync() = 0;
  /// Starts write-back of what was appended without waiting (sync_file_range); a hint.
  virtual void StartWriteback() = 0;
  /// Reserves disk space for the first `bytes` without changing the size; a hint that may fail silently. May run beside Append.
  virtual void Preallocate(std::uint64_t bytes) = 0;
  /// Writes zeros where the next `bytes` will be appended, as far as nothing lies there yet: to sync those changes no metadata then, neither the
  /// file's length nor what belongs to it, and is done that much sooner. The file is longer meanwhile, size() is not; Truncate() and closing give
  /// the rest back. A hint that may fail silently.
  virtual void ZeroAhead(std::uint64_t bytes) = 0;
  virtual Status Truncate(std::uint64_t size) = 0;
  virtual Status Close() = 0;
  virtual std::uint64_t size() const = 0;
};

/// Positional reads from any number of threads.
class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;
  /// Reads exactly `size` bytes at `offset` into `buffer`; fewer there is kCorruption ("file ends at ...").
  virtual Status Read(std::uint64_t offset, std::size_t size, char* buffer) const = 0;
  /// The same without waiting for the disk: kWouldBlock when the bytes are not all in the system's cache, or the system cannot
  /// tell. For threads that must not wait.
  virtual Status ReadCached(std::uint64_t /*offset*/, std::size_t /*size*/, char* /*buffer*/) const { return Status::WouldBlock(); }
  virtual std::uint64_t size() const = 0;
  /// Hint that [offset, offset + size) will be read soon.
  virtual void WillNeed(std::uint64_t offset, std::uint64_t size) const = 0;
};

class FileLock {
 public:
  virtual ~FileLock() = default;       ///< lets go
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// Creates or truncates.
  virtual Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) = 0;
  virtual Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) = 0;
  virtual Result<std::string> ReadWholeFile(const std::string& path) = 0;
  /// Makes the bytes of a file that is there safe, whoever wrote them (recovery: a process that was killed had not synced). Not those that an earlier
  /// sync has failed for: the system may have given them up, while they can still be read (OpenToRewrite).
  virtual Status SyncFile(const std::string& path) = 0;
  /// Cuts a file that is there, and that nobody writes to, to its first `size` bytes, `size` being no more than it has. Needs no
  /// room. Safe after SyncFile(); a power cut before that leaves what was there or what was to be.
  virtual Status Truncate(const std::string& path, std::uint64_t size) = 0;
  /// Opens a file that is there, so that Append() goes over its bytes from `offset` on; size() is where the next one goes, and closing cuts nothing
  /// off. For bytes that a process now dead may have failed to sync: a later sync that goes well says nothing of them unless they are written again.
  virtual Result<std::unique_ptr<WritableFile>> OpenToRewrite(const std::string& path, std::uint64_t offset) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;   ///< atomic, replaces `to`
  /// Rename(), and the file is opened to be written over from its beginning: size() is 0, its bytes stay, and each Append() goes
  /// over some of them and leaves `zeros_behind` zeros or more behind itself, in the same call, where old bytes follow (old_bytes.h). Truncate() and
  /// closing cut off what is left of these. Writing over pages that are there costs the system a fraction of finding new ones, and to sync them changes no
  /// metadata.
  /// Errors: Rename()'s, and kBusy for a file with another name besides, somebody's copy. After an error it is what it was, under one of the names.
  virtual Result<std::unique_ptr<WritableFile>> RenameToOverwrite(const std::string& from, const std::string& to, std::uint64_t zeros_behind) = 0;
  virtual Status Link(const std::string& from, const std::string& to) = 0;     ///< hard link; `to` must not exist
  virtual Status RemoveFile(const std::string& path) = 0;
  virtual Status RemoveDirectory(const std::string& path) = 0;                 ///< must be empty
  virtual Status CreateDirectories(const std::string& path) = 0;               ///< fine when it exists
  virtual Status SyncDirectory(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> ListDirectory(const std::string& path) = 0;  ///< names, sorted
  virtual Result<std::uint64_t> FileSize(const std::string& path) = 0;
  virtual bool Exists(const std::string& path) = 0;
  virtual Result<std::uint64_t> FreeBytes(const std::string& path) = 0;    ///< of the disk that holds `path`
  virtual Result<std::uint64_t> TotalBytes(const std::string& path) = 0;   ///< likewise, its size
  /// kBusy when another process (or another lock of this one) holds it.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
  /// The operating system's files.
  static FileSystem& Posix();
};

}  // namespace lsmkv
