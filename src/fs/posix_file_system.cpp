#include "fs/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "fs/errno_status.h"
#include "fs/old_bytes.h"

namespace lsmkv {
namespace {

constexpr mode_t kFileMode = 0644;
constexpr std::size_t kReadChunkBytes = 1 << 20;
constexpr std::uint64_t kMaxOffset = std::numeric_limits<off_t>::max();

/// Repeats `call` while a signal interrupts it.
template <typename Call>
auto Uninterrupted(Call call) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  /// Linux frees the number whatever close() answers, so it is never called twice.
  int Close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

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

class PosixWritableFile final : public WritableFile {
 public:
  /// @param offset  where the first byte goes.
  PosixWritableFile(std::string path, Descriptor descriptor, std::uint64_t offset = 0)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), size_(offset), writeback_started_(offset) {}
  /// Of a file with `old_bytes` in it, to be written over.
  PosixWritableFile(std::string path, Descriptor descriptor, std::uint64_t old_bytes, std::uint64_t zeros_behind)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), old_bytes_(old_bytes, zeros_behind), laid_end_(old_bytes),
        reserved_(old_bytes) {}
  ~PosixWritableFile() override {
    if (descriptor_.open()) GiveBackReserve();
  }

  Status Append(std::string_view data) override {
    if (Status usable = Usable("write"); !usable.ok()) return usable;
    // Positional, so that where a byte lands depends on size_ alone, also after a write that stopped half-way.
    while (!data.empty()) {
      const ssize_t written = Uninterrupted([&] { return Write(data); });
      if (written < 0) return ErrnoStatus(path_, "write", errno);
      if (written == 0) return Status::IoError(path_ + ": write: nothing was written");
      old_bytes_.OnWritten(size_ + static_cast<std::uint64_t>(written));
      const std::size_t of_data = std::min(static_cast<std::size_t>(written), data.size());      // the rest were zeros behind it
      size_ += of_data;
      data.remove_prefix(of_data);
    }
    return Status::Ok();
  }

  Status Sync() override {
    if (Status usable = Usable("fdatasync"); !usable.ok()) return usable;
    if (Uninterrupted([&] { return ::fdatasync(descriptor_.get()); }) == 0) return Status::Ok();
    const int error = errno;
    sync_errno_.store(error);
    return ErrnoStatus(path_, "fdatasync", error);
  }

  void StartWriteback() override {
    if (!descriptor_.open() || size_ <= writeback_started_) return;
    const auto begin = static_cast<off64_t>(writeback_started_);
    ::sync_file_range(descriptor_.get(), begin, static_cast<off64_t>(size_) - begin, SYNC_FILE_RANGE_WRITE);
    writeback_started_ = size_;
  }

  void Preallocate(std::uint64_t bytes) override {
    if (!descriptor_.open() || bytes <= reserved_.load(std::memory_order_relaxed) || bytes > kMaxOffset) return;
    const int failed = ::fallocate(descriptor_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes));
    if (failed == 0) reserved_.store(bytes, std::memory_order_relaxed);
  }

  void ZeroAhead(std::uint64_t bytes) override {
    if (!Usable("write").ok() || bytes > kMaxOffset - size_) return;
    std::uint64_t begin = std::max(size_, laid_end_);
    for (const std::uint64_t end = size_ + bytes; begin < end;) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(end - begin, kZeros.size()));
      const ssize_t written = ::pwrite(descriptor_.get(), kZeros.data(), part, static_cast<off_t>(begin));
      if (written <= 0) break;
      begin += static_cast<std::uint64_t>(written);
    }
    laid_end_ = begin;
    if (laid_end_ > reserved_.load(std::memory_order_relaxed)) reserved_.store(laid_end_, std::memory_order_relaxed);
  }

  Status Truncate(std::uint64_t size) override {
    if (Status usable = Usable("ftruncate"); !usable.ok()) return usable;
    if (size > kMaxOffset) return ErrnoStatus(path_, "ftruncate", EFBIG);
    if (Uninterrupted([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)); }) != 0) {
      return ErrnoStatus(path_, "ftruncate", errno);
    }
    size_ = size;
    reserved_ = 0;  // the system gave back what lay behind the new end
    laid_end_ = 0;
    old_bytes_.Forget();
    writeback_started_ = std::min(writeback_started_, size);
    return Status::Ok();
  }

  Status Close() override {
    if (!descriptor_.open()) return Status::Ok();
    GiveBackReserve();
    // An interrupted close() has closed; there is nothing to repeat.
    if (descriptor_.Close() != 0 && errno != EINTR) return ErrnoStatus(path_, "close", errno);
    return Status::Ok();
  }

  std::uint64_t size() const override { return size_; }

 private:
  /// Once, perhaps in part; behind all of it the zeros that are due.
  ssize_t Write(std::string_view data) const {
    const std::uint64_t zeros = old_bytes_.ZerosBehind(size_ + data.size());
    if (zeros == 0) return ::pwrite(descriptor_.get(), data.data(), data.size(), static_cast<off_t>(size_));
    const iovec parts[] = {{const_cast<char*>(data.data()), data.size()}, {const_cast<char*>(kZeros.data()), static_cast<std::size_t>(zeros)}};
    return ::pwritev(descriptor_.get(), parts, 2, static_cast<off_t>(size_));
  }
  Status Usable(std::string_view operation) const {
    if (const int error = sync_errno_.load(); error != 0) return ErrnoStatus(path_, "fdatasync", error);  // invariant 3
    if (!descriptor_.open()) return ErrnoStatus(path_, operation, EBADF);
    return Status::Ok();
  }
  /// Space reserved behind the end would stay taken after the close. Only a hint: a failure costs space, not data.
  void GiveBackReserve() {
    if (reserved_ <= size_) return;
    if (::ftruncate(descriptor_.get(), static_cast<off_t>(size_)) == 0) reserved_ = 0;
  }

  static constexpr std::array<char, 64 << 10> kZeros{};
  static_assert(kZeros.size() >= OldBytes::kMostZeros);
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
