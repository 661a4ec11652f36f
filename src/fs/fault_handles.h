// What FaultFileSystem hands out: open files and the lock. Each call counts and may be struck (fault_file_system.h); after a power cut a handle is
// dead, as its process would be. For fault_file_system.cpp alone.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "base/simulated_thread.h"
#include "fs/errno_status.h"
#include "fs/fault_file_system.h"
#include "fs/old_bytes.h"

namespace lsmkv {

inline int ErrnoOf(Fault fault) { return fault == Fault::kNoSpace || fault == Fault::kNoSpaceSync ? ENOSPC : EIO; }

inline Status DeadHandle(const std::string& path, std::string_view operation) {
  return ErrnoStatus(path, operation, EIO).WithContext("a handle from before the power cut");
}

class FaultFileSystem::WritableHandle final : public WritableFile {
 public:
  /// @param offset  where the first byte goes.
  WritableHandle(FaultFileSystem& fs, std::string path, std::shared_ptr<DiskNode> node, std::uint64_t power_cuts, std::uint64_t offset = 0)
      : fs_(fs), path_(std::move(path)), node_(std::move(node)), power_cuts_(power_cuts), size_(offset) {}
  /// Of a file with `old_bytes` in it, to be written over.
  WritableHandle(FaultFileSystem& fs, std::string path, std::shared_ptr<DiskNode> node, std::uint64_t power_cuts, std::uint64_t old_bytes,
                 std::uint64_t zeros_behind)
      : fs_(fs), path_(std::move(path)), node_(std::move(node)), power_cuts_(power_cuts), old_bytes_(old_bytes, zeros_behind),
        laid_end_(old_bytes) {}

  Status Append(std::string_view data) override {
    MutexLock lock(fs_.mutex_);
    if (Status usable = Usable("write"); !usable.ok()) return usable;
    const std::optional<Struck> struck = fs_.Strike(Call::kAppend, path_);
    if (struck && struck->fault == Fault::kShortWrite) WritePart(data);
    if (struck) return ErrnoStatus(path_, "write", ErrnoOf(struck->fault));
    const std::uint64_t file_bytes = node_->file.bytes().size();
    const std::uint64_t room = fs_.FreeBytesLocked() + (file_bytes > size_ ? file_bytes - size_ : 0);
    Write(data.substr(0, room));
    return data.size() <= room ? Status::Ok() : ErrnoStatus(path_, "write", ENOSPC);
  }

  Status Sync() override {
    MutexLock lock(fs_.mutex_);
    if (Status usable = Usable("fdatasync"); !usable.ok()) return usable;
    if (Status counted = fs_.CountSync(path_, "fdatasync", node_.get()); !counted.ok()) {
      sync_error_ = counted;
      return counted;
    }
    fs_.MakeDurable(path_, node_);
    NoteWriteback();
    return Status::Ok();
  }

  void StartWriteback() override {
    MutexLock lock(fs_.mutex_);
    NoteWriteback();
  }
  void Preallocate(std::uint64_t) override {}
  void ZeroAhead(std::uint64_t bytes) override {
    MutexLock lock(fs_.mutex_);
    if (!Usable("write").ok()) return;
    const std::optional<Struck> struck = fs_.Strike(Call::kAppend, path_);
    if (struck && struck->fault != Fault::kShortWrite) return;
    if (struck) bytes /= 2;
    const std::uint64_t begin = std::max(size_, laid_end_);
    if (size_ + bytes <= begin) return;
    const std::uint64_t room = std::min(size_ + bytes - begin, fs_.FreeBytesLocked());
    node_->file.WriteAt(begin, std::string(room, '\0'));
    laid_end_ = begin + room;
  }

  Status Truncate(std::uint64_t size) override {
    MutexLock lock(fs_.mutex_);
    if (Status usable = Usable("ftruncate"); !usable.ok()) return usable;
    if (Status counted = fs_.Count(Call::kResize, path_, "ftruncate"); !counted.ok()) return counted;
    if (size > size_ && size - size_ > fs_.FreeBytesLocked()) return ErrnoStatus(path_, "ftruncate", ENOSPC);
    node_->file.Truncate(size);
    size_ = size;
    laid_end_ = 0;
    old_bytes_.Forget();
    return Status::Ok();
  }

  Status Close() override {
    MutexLock lock(fs_.mutex_);
    if (closed_) return Status::Ok();
    closed_ = true;   // whatever comes: as with close(2), there is no second try
    if (power_cuts_ != fs_.disk_.power_cuts()) return DeadHandle(path_, "close");
    if (laid_end_ > size_) node_->file.Truncate(size_);
    return fs_.Count(Call::kClose, path_, "close");
  }

  std::uint64_t size() const override { return size_; }

 private:
  Status Usable(std::string_view operation) const LSMKV_REQUIRES(fs_.mutex_) {
    if (power_cuts_ != fs_.disk_.power_cuts()) return DeadHandle(path_, operation);
    if (sync_error_) return *sync_error_;
    if (closed_) return ErrnoStatus(path_, operation, EBADF);
    return Status::Ok();
  }
  void NoteWriteback() LSMKV_REQUIRES(fs_.mutex_) {
    std::uint64_t& most = fs_.most_without_writeback_[path_];
    most = std::max(most, size_ - std::min(size_, handed_over_));
    handed_over_ = size_;
  }
  void Write(std::string_view data) { Write(data, data.size() + old_bytes_.ZerosBehind(size_ + data.size())); }
  /// The first `bytes` of the data and the zeros behind it.
  void Write(std::string_view data, std::uint64_t bytes) {
    std::string written(data.substr(0, bytes));
    const std::uint64_t end = size_ + bytes;
    size_ += written.size();
    written.resize(bytes, '\0');
    node_->file.WriteAt(end - bytes, written);
    old_bytes_.OnWritten(end);
  }
  void WritePart(std::string_view data) {
    const std::uint64_t zeros = old_bytes_.ZerosBehind(size_ + data.size());
    std::uint64_t half = (data.size() + zeros) / 2;
    const std::uint64_t page = (size_ + half) / OldBytes::kPageBytes * OldBytes::kPageBytes;
    if (size_ < laid_end_ && page > size_) half = page - size_;
    Write(data, half);
  }

  FaultFileSystem& fs_;
  const std::string path_;
  const std::shared_ptr<DiskNode> node_;
  const std::uint64_t power_cuts_;
  OldBytes old_bytes_;
  std::uint64_t size_ = 0;
  std::uint64_t laid_end_ = 0;
  std::uint64_t handed_over_ = 0;      // to the disk, by the last StartWriteback or Sync
  bool closed_ = false;
  std::optional<Status> sync_error_;
};

class FaultFileSystem::ReadHandle final : public RandomAccessFile {
 public:
  ReadHandle(FaultFileSystem& fs, std::string path, std::shared_ptr<DiskNode> node, std::uint64_t power_cuts)
      : fs_(fs), path_(std::move(path)), node_(std::move(node)), power_cuts_(power_cuts),
        size_(node_->file.bytes().size()) {}

  Status Read(std::uint64_t offset, std::size_t size, char* buffer) const override {
    MutexLock lock(fs_.mutex_);
    if (power_cuts_ != fs_.disk_.power_cuts()) return DeadHandle(path_, "read");
    if (Status counted = fs_.CountRead(path_, offset, size); !counted.ok()) return counted;
    if (fs_.reads_) fs_.reads_->push_back({path_, offset, false});
    const std::string& bytes = node_->file.bytes();
    const std::uint64_t end = std::min<std::uint64_t>(size_, bytes.size());
    if (offset > end || size > end - offset) {
      return Status::Corruption(path_ + ": read: file ends at " + std::to_string(end));
    }
    if (size > 0) std::memcpy(buffer, bytes.data() + offset, size);
    return Status::Ok();
  }
  Status ReadCached(std::uint64_t offset, std::size_t size, char* buffer) const override {
    return fs_.cached_.load() ? Read(offset, size, buffer) : Status::WouldBlock();
  }
  std::uint64_t size() const override { return size_; }
  void WillNeed(std::uint64_t offset, std::uint64_t) const override {
    const MutexLock lock(fs_.mutex_);
    if (fs_.reads_) fs_.reads_->push_back({path_, offset, true});
  }

 private:
  FaultFileSystem& fs_;
  const std::string path_;
  const std::shared_ptr<DiskNode> node_;
  const std::uint64_t power_cuts_;
  const std::uint64_t size_;
};

class FaultFileSystem::LockHandle final : public FileLock {
 public:
  LockHandle(FaultFileSystem& fs, std::shared_ptr<DiskNode> node, std::uint64_t power_cuts)
      : fs_(fs), node_(std::move(node)), power_cuts_(power_cuts) {}
  ~LockHandle() override {
    MutexLock lock(fs_.mutex_);
    if (power_cuts_ == fs_.disk_.power_cuts()) node_->locked = false;   // else the power cut has done it
  }

 private:
  FaultFileSystem& fs_;
  const std::shared_ptr<DiskNode> node_;
  const std::uint64_t power_cuts_;
};

}  // namespace lsmkv
