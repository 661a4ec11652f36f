#include "fs/passing_file.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace lsmkv {
namespace {

constexpr std::size_t kPageBytes = 4096;

/// A file on a disk, in a directory of its own.
class FileOnDisk {
 public:
  explicit FileOnDisk(const std::string& bytes) {
    std::string pattern = (std::filesystem::temp_directory_path() / "lsmkv_passing_XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    dir_ = pattern;
    path_ = dir_ + "/file";
    auto file = FileSystem::Posix().NewWritableFile(path_);
    REQUIRE(file);
    REQUIRE((*file)->Append(bytes).ok());
    REQUIRE((*file)->Sync().ok());                      // a page that is not written back stays whatever is asked
    REQUIRE((*file)->Close().ok());
    fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd_ >= 0);
    map_ = ::mmap(nullptr, bytes.size(), PROT_READ, MAP_SHARED, fd_, 0);
    REQUIRE(map_ != MAP_FAILED);
    size_ = bytes.size();
  }
  ~FileOnDisk() {
    ::munmap(map_, size_);
    ::close(fd_);
    std::filesystem::remove_all(dir_);
  }
  FileOnDisk(const FileOnDisk&) = delete;
  FileOnDisk& operator=(const FileOnDisk&) = delete;

  const std::string& path() const { return path_; }
  /// Which pages the system holds.
  std::vector<bool> Held() const {
    std::vector<unsigned char> pages((size_ + kPageBytes - 1) / kPageBytes);
    REQUIRE(::mincore(map_, size_, pages.data()) == 0);
    std::vector<bool> held;
    for (const unsigned char page : pages) held.push_back((page & 1) != 0);
    return held;
  }
  void Evict() const { REQUIRE(::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED) == 0); }
  /// As a user's lookup does.
  void Use(std::size_t page) const {
    char byte;
    REQUIRE(::posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM) == 0);
    REQUIRE(::pread(fd_, &byte, 1, static_cast<off_t>(page * kPageBytes)) == 1);
  }

 private:
  std::string dir_;
  std::string path_;
  int fd_ = -1;
  void* map_ = MAP_FAILED;
  std::size_t size_ = 0;
};

std::string SomeBytes(std::size_t size) {
  std::mt19937_64 random(7);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

/// In pieces as blocks are, with larger ones among them.
std::string ReadThrough(const RandomAccessFile& file) {
  std::mt19937_64 random(8);
  std::string bytes(file.size(), '\0');
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t piece = std::min<std::size_t>(bytes.size() - at, 1 + random() % (random() % 20 == 0 ? 700'000 : 9000));
    REQUIRE(file.Read(at, piece, bytes.data() + at).ok());
    at += piece;
  }
  return bytes;
}

std::size_t Count(const std::vector<bool>& held) { return static_cast<std::size_t>(std::ranges::count(held, true)); }

}  // namespace

TEST_CASE("reading a file in passing leaves the system's cache as it was", "[fs][passing]") {
  const std::string bytes = SomeBytes((6 << 20) + 1234);
  const FileOnDisk file(bytes);
  file.Evict();
  if (Count(file.Held()) > 0) {
    WARN("this disk's pages cannot be given back; not looked at");
    return;
  }
  std::mt19937_64 random(9);
  for (int i = 0; i < 200; ++i) file.Use(random() % (bytes.size() / kPageBytes));
  const std::vector<bool> before = file.Held();
  REQUIRE(Count(before) > 100);
  REQUIRE(Count(before) < before.size() / 2);
  SECTION("in passing") {
    auto passing = NewPassingFile(FileSystem::Posix(), file.path());
    REQUIRE(passing);
    CHECK(ReadThrough(**passing) == bytes);
    CHECK(file.Held() == before);
  }
  SECTION("of the test: a plain file does not") {
    auto plain = FileSystem::Posix().NewRandomAccessFile(file.path());
    REQUIRE(plain);
    CHECK(ReadThrough(**plain) == bytes);
    CHECK(Count(file.Held()) == before.size());
  }
}

TEST_CASE("a file in passing is read as any other", "[fs][passing]") {
  const std::string bytes = SomeBytes(GENERATE(0u, 1u, 4096u, 262'144u, 262'145u, 1'000'000u));
  const FileOnDisk file(bytes.empty() ? "x" : bytes);
  if (bytes.empty()) std::filesystem::resize_file(file.path(), 0);
  auto passing = NewPassingFile(FileSystem::Posix(), file.path());
  REQUIRE(passing);
  CHECK((*passing)->size() == bytes.size());
  CHECK(ReadThrough(**passing) == bytes);
  std::mt19937_64 random(10);
  for (int i = 0; i < 100 && !bytes.empty(); ++i) {
    const std::size_t at = random() % bytes.size();
    std::string piece(1 + random() % std::min<std::size_t>(bytes.size() - at, 300'000), '\0');
    REQUIRE((*passing)->Read(at, piece.size(), piece.data()).ok());
    REQUIRE(piece == bytes.substr(at, piece.size()));
  }
  char byte;
  CHECK((*passing)->Read(bytes.size(), 1, &byte).code() == StatusCode::kCorruption);
  CHECK((*passing)->Read(bytes.size() + 1, 0, &byte).code() == StatusCode::kCorruption);
}

TEST_CASE("one that is cut while it is read says where it ends, one that is missing that it is", "[fs][passing]") {
  const FileOnDisk file(SomeBytes(1'000'000));
  auto passing = NewPassingFile(FileSystem::Posix(), file.path());
  REQUIRE(passing);
  std::filesystem::resize_file(file.path(), 500'000);
  char bytes[100];
  CHECK((*passing)->Read(499'000, 100, bytes).ok());
  const Status cut = (*passing)->Read(499'950, 100, bytes);
  CHECK(cut.code() == StatusCode::kCorruption);
  CHECK(cut.message().find("file ends at 500000") != std::string::npos);
  CHECK(NewPassingFile(FileSystem::Posix(), file.path() + "x").error().code() == StatusCode::kNotFound);
  CHECK_FALSE(NewPassingFile(FileSystem::Posix(), "/"));
}

}  // namespace lsmkv
