#include "fs/passing_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "fs/errno_status.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kWindowBytes = 256 << 10;

class PassingFile final : public RandomAccessFile {
 public:
  PassingFile(std::string path, int fd, std::uint64_t size)
      : path_(std::move(path)), fd_(fd), size_(size), page_bytes_(static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))),
        map_(size == 0 ? MAP_FAILED : ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0)) {
    ::posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM);            // nothing is read ahead
  }
  ~PassingFile() override {
    if (map_ != MAP_FAILED) ::munmap(map_, size_);
    ::close(fd_);
  }
  PassingFile(const PassingFile&) = delete;
  PassingFile& operator=(const PassingFile&) = delete;

  Status Read(std::uint64_t offset, std::size_t size, char* buffer) const override {
    if (offset > size_ || size > size_ - offset) return EndsAt(size_);
    while (size > 0) {
      const std::uint64_t begin = offset / kWindowBytes * kWindowBytes;
      // What is asked for may be readable though its window is not.
      if (!Load(begin).ok()) return ReadAndGiveBack(offset, size, buffer);
      const std::size_t skip = offset - begin;
      const std::size_t bytes = std::min(size, window_.size() - skip);
      std::memcpy(buffer, window_.data() + skip, bytes);
      buffer += bytes;
      offset += bytes;
      size -= bytes;
    }
    return Status::Ok();
  }
  std::uint64_t size() const override { return size_; }
  void WillNeed(std::uint64_t /*offset*/, std::uint64_t /*size*/) const override {}    // its window is larger

 private:
  Status EndsAt(std::uint64_t end) const { return Status::Corruption(path_ + ": read: file ends at " + std::to_string(end)); }

  /// The window that begins at `begin`, into window_.
  Status Load(std::uint64_t begin) const {
    if (loaded_ && begin == window_begin_) return Status::Ok();
    loaded_ = false;
    window_.resize(static_cast<std::size_t>(std::min(kWindowBytes, size_ - begin)));
    if (Status read = ReadAndGiveBack(begin, window_.size(), window_.data()); !read.ok()) return read;
    window_begin_ = begin;
    loaded_ = true;
    return Status::Ok();
  }

  Status ReadAndGiveBack(std::uint64_t offset, std::size_t size, char* buffer) const {
    const std::uint64_t begin = offset / page_bytes_ * page_bytes_;
    const std::vector<unsigned char> held = PagesHeld(begin, offset + size - begin);
    const Status read = ReadPlainly(offset, size, buffer);
    for (std::size_t page = 0; page < held.size();) {
      std::size_t end = page + 1;
      while (end < held.size() && IsHeld(held[end]) == IsHeld(held[page])) ++end;
      if (!IsHeld(held[page])) GiveBack(begin + page * page_bytes_, (end - page) * page_bytes_);
      page = end;
    }
    return read;
  }

  static bool IsHeld(unsigned char state) { return (state & 1) != 0; }
  void GiveBack(std::uint64_t offset, std::uint64_t bytes) const {
    ::posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
  }

  /// Of each page whether the system has it; empty when it does not say: then all are left to it.
  std::vector<unsigned char> PagesHeld(std::uint64_t begin, std::uint64_t bytes) const {
    if (map_ == MAP_FAILED) return {};
    std::vector<unsigned char> held(static_cast<std::size_t>((bytes + page_bytes_ - 1) / page_bytes_));
    if (::mincore(static_cast<char*>(map_) + begin, bytes, held.data()) != 0) return {};
    return held;
  }

  Status ReadPlainly(std::uint64_t offset, std::size_t size, char* buffer) const {
    while (size > 0) {
      const ssize_t got = ::pread(fd_, buffer, size, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(path_, "read", errno);
      if (got == 0) return EndsAt(offset);
      buffer += got;
      offset += static_cast<std::uint64_t>(got);
      size -= static_cast<std::size_t>(got);
    }
    return Status::Ok();
  }

  const std::string path_;
  const int fd_;
  const std::uint64_t size_;
  const std::uint64_t page_bytes_;
  void* const map_;                          // to ask about; it is never read through
  mutable bool loaded_ = false;
  mutable std::uint64_t window_begin_ = 0;
  mutable std::string window_;
};

}  // namespace

Result<std::unique_ptr<RandomAccessFile>> NewPassingFile(FileSystem& fs, const std::string& path) {
  if (&fs != &FileSystem::Posix()) return fs.NewRandomAccessFile(path);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(path, "open", errno);
  struct stat status{};
  const int error = ::fstat(fd, &status) != 0 ? errno : S_ISREG(status.st_mode) ? 0 : EINVAL;
  if (error != 0) ::close(fd);
  if (error != 0) return ErrnoStatus(path, "open", error);
  return std::unique_ptr<RandomAccessFile>(std::make_unique<PassingFile>(path, fd, static_cast<std::uint64_t>(status.st_size)));
}

}  // namespace lsmkv
