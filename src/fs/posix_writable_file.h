// A file that is written from one place on, through the operating system: appending, syncing, and what makes that cheap (room that is taken
// ahead, zeros, a write-back that is begun early, old bytes that are written over).
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "fs/file_system.h"
#include "fs/old_bytes.h"
#include "fs/posix_descriptor.h"

namespace lsmkv {

class PosixWritableFile final : public WritableFile {
 public:
  /// @param offset  where the first byte goes.
  PosixWritableFile(std::string path, Descriptor descriptor, std::uint64_t offset = 0);
  /// Of a file with `old_bytes` in it, to be written over.
  PosixWritableFile(std::string path, Descriptor descriptor, std::uint64_t old_bytes, std::uint64_t zeros_behind);
  ~PosixWritableFile() override;

  Status Append(std::string_view data) override;
  Status Sync() override;
  void StartWriteback() override;
  void Preallocate(std::uint64_t bytes) override;
  void ZeroAhead(std::uint64_t bytes) override;
  Status Truncate(std::uint64_t size) override;
  Status Close() override;
  std::uint64_t size() const override { return size_; }

 private:
  ssize_t Write(std::string_view data) const;
  Status Usable(std::string_view operation) const;
  void GiveBackReserve();

  const std::string path_;
  Descriptor descriptor_;
  OldBytes old_bytes_;
  std::uint64_t size_ = 0;
  std::uint64_t laid_end_ = 0;           // from size_ up to here, if that is more, are zeros and old bytes
  // Bytes from the start that fallocate() has set aside, or that lie there already. Relaxed: it decides whether closing has something to give back.
  std::atomic<std::uint64_t> reserved_ = 0;
  std::uint64_t writeback_started_ = 0;  // bytes from the start that sync_file_range() was told of
  std::atomic<int> sync_errno_{0};       // set by whoever syncs, read by whoever appends: they may be two threads
};

}  // namespace lsmkv
