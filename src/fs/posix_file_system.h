// The operating system's files, by plain system calls: write, pread, fdatasync, flock. No buffering here: who appends
// small pieces gathers them first.
//
// Invariants
//   1. Every descriptor is close-on-exec.
//   2. A call that a signal interrupted or that did part of its work is continued; the caller sees all or an error.
//   3. A file whose fdatasync failed repeats that error for Append and Sync. Linux forgets a write-back error once it
//      has told it, and marks the pages clean: a second fdatasync would say yes to bytes that are gone.
// Messages are "<path>: <operation>: <what the system says>".
// Threads: as in file_system.h; the FileSystem itself has no state.
// Source: fsync(2), "PostgreSQL's fsync() surprise" (LWN 752063); LevelDB util/env_posix.cc.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fs/file_system.h"

namespace lsmkv {

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override;
  Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override;
  Result<std::string> ReadWholeFile(const std::string& path) override;
  Status SyncFile(const std::string& path) override;
  Status Truncate(const std::string& path, std::uint64_t size) override;
  Result<std::unique_ptr<WritableFile>> OpenToRewrite(const std::string& path, std::uint64_t offset) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Result<std::unique_ptr<WritableFile>> RenameToOverwrite(const std::string& from, const std::string& to, std::uint64_t zeros_behind) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status RemoveFile(const std::string& path) override;
  Status RemoveDirectory(const std::string& path) override;
  Status CreateDirectories(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Result<std::vector<std::string>> ListDirectory(const std::string& path) override;
  Result<std::uint64_t> FileSize(const std::string& path) override;
  bool Exists(const std::string& path) override;
  Result<std::uint64_t> FreeBytes(const std::string& path) override;
  Result<std::uint64_t> TotalBytes(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
};

}  // namespace lsmkv
