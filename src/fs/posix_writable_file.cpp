#include "fs/posix_writable_file.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "fs/errno_status.h"

namespace lsmkv {
namespace {

constexpr std::array<char, 64 << 10> kZeros{};
static_assert(kZeros.size() >= OldBytes::kMostZeros);

}  // namespace

PosixWritableFile::PosixWritableFile(std::string path, Descriptor descriptor, std::uint64_t offset)
    : path_(std::move(path)), descriptor_(std::move(descriptor)), size_(offset), writeback_started_(offset) {}

PosixWritableFile::PosixWritableFile(std::string path, Descriptor descriptor, std::uint64_t old_bytes, std::uint64_t zeros_behind)
    : path_(std::move(path)), descriptor_(std::move(descriptor)), old_bytes_(old_bytes, zeros_behind), laid_end_(old_bytes),
      reserved_(old_bytes) {}

PosixWritableFile::~PosixWritableFile() {
  if (descriptor_.open()) GiveBackReserve();
}

Status PosixWritableFile::Append(std::string_view data) {
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

Status PosixWritableFile::Sync() {
  if (Status usable = Usable("fdatasync"); !usable.ok()) return usable;
  if (Uninterrupted([&] { return ::fdatasync(descriptor_.get()); }) == 0) return Status::Ok();
  const int error = errno;
  sync_errno_.store(error);
  return ErrnoStatus(path_, "fdatasync", error);
}

void PosixWritableFile::StartWriteback() {
  if (!descriptor_.open() || size_ <= writeback_started_) return;
  const auto begin = static_cast<off64_t>(writeback_started_);
  ::sync_file_range(descriptor_.get(), begin, static_cast<off64_t>(size_) - begin, SYNC_FILE_RANGE_WRITE);
  writeback_started_ = size_;
}

void PosixWritableFile::Preallocate(std::uint64_t bytes) {
  if (!descriptor_.open() || bytes <= reserved_.load(std::memory_order_relaxed) || bytes > kMaxOffset) return;
  const int failed = ::fallocate(descriptor_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes));
  if (failed == 0) reserved_.store(bytes, std::memory_order_relaxed);
}

void PosixWritableFile::ZeroAhead(std::uint64_t bytes) {
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

Status PosixWritableFile::Truncate(std::uint64_t size) {
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

Status PosixWritableFile::Close() {
  if (!descriptor_.open()) return Status::Ok();
  GiveBackReserve();
  // An interrupted close() has closed; there is nothing to repeat.
  if (descriptor_.Close() != 0 && errno != EINTR) return ErrnoStatus(path_, "close", errno);
  return Status::Ok();
}

/// Once, perhaps in part; behind all of it the zeros that are due.
ssize_t PosixWritableFile::Write(std::string_view data) const {
  const std::uint64_t zeros = old_bytes_.ZerosBehind(size_ + data.size());
  if (zeros == 0) return ::pwrite(descriptor_.get(), data.data(), data.size(), static_cast<off_t>(size_));
  const iovec parts[] = {{const_cast<char*>(data.data()), data.size()}, {const_cast<char*>(kZeros.data()), static_cast<std::size_t>(zeros)}};
  return ::pwritev(descriptor_.get(), parts, 2, static_cast<off_t>(size_));
}

Status PosixWritableFile::Usable(std::string_view operation) const {
  if (const int error = sync_errno_.load(); error != 0) return ErrnoStatus(path_, "fdatasync", error);  // invariant 3 of posix_file_system.h
  if (!descriptor_.open()) return ErrnoStatus(path_, operation, EBADF);
  return Status::Ok();
}

/// Space reserved behind the end would stay taken after the close. Only a hint: a failure costs space, not data.
void PosixWritableFile::GiveBackReserve() {
  if (reserved_ <= size_) return;
  if (::ftruncate(descriptor_.get(), static_cast<off_t>(size_)) == 0) reserved_ = 0;
}

}  // namespace lsmkv
