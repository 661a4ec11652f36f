#include "fs/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "fs/errno_status.h"
#include "fs/posix_descriptor.h"
#include "fs/posix_writable_file.h"

namespace lsmkv {
namespace {

constexpr mode_t kFileMode = 0644;
constexpr std::size_t kReadChunkBytes = 1 << 20;

Result<Descriptor> Open(const std::string& path, int flags) {
  const int fd = Uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, kFileMode); });
  if (fd < 0) return ErrnoStatus(path, "open", errno);
  return Descriptor(fd);
}

/// The size of an open regular file.
Result<std::uint64_t> RegularFileSize(const std::string& path, int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return ErrnoStatus(path, "fstat", errno);
  if (!S_ISREG(info.st_mode)) return Status::IoError(path + ": open: not a regular file");
  return static_cast<std::uint64_t>(info.st_size);
}

class PosixRandomAccessFile final : public RandomAccessFile {
 public:
  PosixRandomAccessFile(std::string path, Descriptor descriptor, std::uint64_t size)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), size_(size) {}

  Status Read(std::uint64_t offset, std::size_t size, char* buffer) const override {
    if (offset > size_ || size > size_ - offset) return EndsAt(size_);
    while (size > 0) {
      const ssize_t got =
          Uninterrupted([&] { return ::pread(descriptor_.get(), buffer, size, static_cast<off_t>(offset)); });
      if (got < 0) return ErrnoStatus(path_, "read", errno);
      if (got == 0) return EndsAt(offset);  // somebody cut the file since it was opened
      buffer += got;
      offset += static_cast<std::uint64_t>(got);
      size -= static_cast<std::size_t>(got);
    }
    return Status::Ok();
  }

  Status ReadCached(std::uint64_t offset, std::size_t size, char* buffer) const override {
    if (offset > size_ || size > size_ - offset) return EndsAt(size_);
    const iovec piece{buffer, size};
    const ssize_t got = Uninterrupted([&] { return ::preadv2(descriptor_.get(), &piece, 1, static_cast<off_t>(offset), RWF_NOWAIT); });
    // EOPNOTSUPP: a file system that cannot tell. Any other error is for the read that waits to find again and to report.
    if (got < 0 || static_cast<std::size_t>(got) != size) return Status::WouldBlock();
    return Status::Ok();
  }

  std::uint64_t size() const override { return size_; }

  void WillNeed(std::uint64_t offset, std::uint64_t size) const override {
    if (offset >= size_) return;
    const std::uint64_t bytes = std::min(size, size_ - offset);
    ::posix_fadvise(descriptor_.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
  }

 private:
  Status EndsAt(std::uint64_t end) const {
    return Status::Corruption(path_ + ": read: file ends at " + std::to_string(end));
  }

  const std::string path_;
  const Descriptor descriptor_;
  const std::uint64_t size_;
};

/// flock() belongs to the open file, so a second Lock() conflicts in the same process too.
class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  const Descriptor descriptor_;  // closing it lets go; the file stays, since removing it would race with the next owner
};

/// The pid that the holder wrote, for the message only.
std::string HolderOf(int fd) {
  char text[21];
  const ssize_t got = Uninterrupted([&] { return ::pread(fd, text, sizeof(text), 0); });
  const std::string_view holder(text, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  const std::string_view pid = holder.substr(0, holder.find_first_not_of("0123456789"));
  return pid.empty() ? "another process" : "process " + std::string(pid);
}

void WritePid(int fd) {
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0) return;
  [[maybe_unused]] const ssize_t written = ::pwrite(fd, pid.data(), pid.size(), 0);  // a courtesy; the flock is the lock
}

}  // namespace

FileSystem& FileSystem::Posix() {
  static PosixFileSystem file_system;
  return file_system;
}

Result<std::unique_ptr<WritableFile>> PosixFileSystem::NewWritableFile(const std::string& path) {
  Result<Descriptor> descriptor = Open(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!descriptor) return descriptor.error();
  return std::make_unique<PosixWritableFile>(path, std::move(*descriptor));
}

Result<std::unique_ptr<RandomAccessFile>> PosixFileSystem::NewRandomAccessFile(const std::string& path) {
  Result<Descriptor> descriptor = Open(path, O_RDONLY);
  if (!descriptor) return descriptor.error();
  const Result<std::uint64_t> size = RegularFileSize(path, descriptor->get());
  if (!size) return size.error();
  return std::make_unique<PosixRandomAccessFile>(path, std::move(*descriptor), *size);
}

Result<std::string> PosixFileSystem::ReadWholeFile(const std::string& path) {
  const Result<Descriptor> descriptor = Open(path, O_RDONLY);
  if (!descriptor) return descriptor.error();
  const Result<std::uint64_t> size = RegularFileSize(path, descriptor->get());
  if (!size) return size.error();
  std::string bytes;
  bytes.reserve(*size + 1);  // one more, so that the read which finds the end needs no new memory
  while (true) {
    const std::size_t before = bytes.size();
    const std::size_t room = bytes.capacity() - before;
    const std::size_t want = room > 0 ? room : kReadChunkBytes;  // no room: it has grown since fstat()
    ssize_t got = 0;
    bytes.resize_and_overwrite(before + want, [&](char* data, std::size_t) {
      got = Uninterrupted([&] { return ::read(descriptor->get(), data + before, want); });
      return before + static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    });
    if (got < 0) return ErrnoStatus(path, "read", errno);
    if (got == 0) return bytes;
  }
}

Status PosixFileSystem::SyncFile(const std::string& path) {
  const Result<Descriptor> descriptor = Open(path, O_RDONLY);
  if (!descriptor) return descriptor.error();
  if (Uninterrupted([&] { return ::fdatasync(descriptor->get()); }) == 0) return Status::Ok();
  return ErrnoStatus(path, "fdatasync", errno);
}

Status PosixFileSystem::Truncate(const std::string& path, std::uint64_t size) {
  if (size > kMaxOffset) return ErrnoStatus(path, "truncate", EFBIG);
  if (Uninterrupted([&] { return ::truncate(path.c_str(), static_cast<off_t>(size)); }) != 0) return ErrnoStatus(path, "truncate", errno);
  return Status::Ok();
}

Result<std::unique_ptr<WritableFile>> PosixFileSystem::OpenToRewrite(const std::string& path, std::uint64_t offset) {
  Result<Descriptor> descriptor = Open(path, O_WRONLY);
  if (!descriptor) return descriptor.error();
  const Result<std::uint64_t> size = RegularFileSize(path, descriptor->get());
  if (!size) return size.error();
  if (offset > *size) return ErrnoStatus(path, "open", EINVAL);
  return std::make_unique<PosixWritableFile>(path, std::move(*descriptor), offset);
}

Status PosixFileSystem::Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return ErrnoStatus(from, "rename to " + to, errno);
  return Status::Ok();
}

Result<std::unique_ptr<WritableFile>> PosixFileSystem::RenameToOverwrite(const std::string& from, const std::string& to,
                                                                         std::uint64_t zeros_behind) {
  Result<Descriptor> descriptor = Open(from, O_WRONLY);
  if (!descriptor) return descriptor.error();
  struct stat info {};
  if (::fstat(descriptor->get(), &info) != 0) return ErrnoStatus(from, "fstat", errno);
  if (!S_ISREG(info.st_mode)) return Status::IoError(from + ": open: not a regular file");
  if (info.st_nlink != 1) return Status::Busy(from + ": has another name, and may not be written over");
  if (Status renamed = Rename(from, to); !renamed.ok()) return renamed;
  return std::make_unique<PosixWritableFile>(to, std::move(*descriptor), static_cast<std::uint64_t>(info.st_size), zeros_behind);
}

Status PosixFileSystem::Link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) != 0) return ErrnoStatus(from, "link to " + to, errno);
  return Status::Ok();
}

Status PosixFileSystem::RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return ErrnoStatus(path, "unlink", errno);
  return Status::Ok();
}

Status PosixFileSystem::RemoveDirectory(const std::string& path) {
  if (::rmdir(path.c_str()) != 0) return ErrnoStatus(path, "rmdir", errno);
  return Status::Ok();
}

Status PosixFileSystem::CreateDirectories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  return error ? ErrnoStatus(path, "mkdir", error.value()) : Status::Ok();
}

Status PosixFileSystem::SyncDirectory(const std::string& path) {
  const Result<Descriptor> descriptor = Open(path, O_RDONLY | O_DIRECTORY);
  if (!descriptor) return descriptor.error();
  if (Uninterrupted([&] { return ::fsync(descriptor->get()); }) == 0) return Status::Ok();
  // Some network file systems cannot sync a directory and say so with EINVAL; their names are as safe as they get.
  return errno == EINVAL ? Status::Ok() : ErrnoStatus(path, "fsync", errno);
}

Result<std::vector<std::string>> PosixFileSystem::ListDirectory(const std::string& path) {
  struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory) return ErrnoStatus(path, "opendir", errno);
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* const entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return ErrnoStatus(path, "readdir", errno);
  std::ranges::sort(names);
  return names;
}

Result<std::uint64_t> PosixFileSystem::FileSize(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return ErrnoStatus(path, "stat", errno);
  if (!S_ISREG(info.st_mode)) return Status::IoError(path + ": stat: not a regular file");
  return static_cast<std::uint64_t>(info.st_size);
}

bool PosixFileSystem::Exists(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

Result<std::uint64_t> PosixFileSystem::FreeBytes(const std::string& path) {
  struct statvfs info {};
  if (Uninterrupted([&] { return ::statvfs(path.c_str(), &info); }) != 0) return ErrnoStatus(path, "statvfs", errno);
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

Result<std::uint64_t> PosixFileSystem::TotalBytes(const std::string& path) {
  struct statvfs info {};
  if (Uninterrupted([&] { return ::statvfs(path.c_str(), &info); }) != 0) return ErrnoStatus(path, "statvfs", errno);
  return static_cast<std::uint64_t>(info.f_blocks) * info.f_frsize;
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::Lock(const std::string& path) {
  Result<Descriptor> descriptor = Open(path, O_RDWR | O_CREAT);
  if (!descriptor) return descriptor.error();
  if (Uninterrupted([&] { return ::flock(descriptor->get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(path, "flock", errno);
    return Status::Busy(path + ": lock: held by " + HolderOf(descriptor->get()));
  }
  WritePid(descriptor->get());
  return std::make_unique<PosixFileLock>(std::move(*descriptor));
}

}  // namespace lsmkv
