#include "fs/gradual_removal.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "fs/fault_file_system.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kMb = 1 << 20;

class Directory {
 public:
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lsmkv_removal_XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string Make(const std::string& name, std::uint64_t bytes) const {
    const std::string path = path_ + "/" + name;
    auto file = FileSystem::Posix().NewWritableFile(path);
    REQUIRE(file);
    REQUIRE((*file)->Append(std::string(bytes, 'x')).ok());
    REQUIRE((*file)->Close().ok());
    return path;
  }

 private:
  std::string path_;
};

/// Looks at a file that may have lost its name.
class Watch {
 public:
  explicit Watch(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) { REQUIRE(fd_ >= 0); }
  ~Watch() { ::close(fd_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  std::uint64_t bytes() const {
    struct stat info{};
    REQUIRE(::fstat(fd_, &info) == 0);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  int fd_;
};

}  // namespace

TEST_CASE("a removed file's name goes at once, its bytes as others are written", "[removal]") {
  const Directory dir;
  GradualRemoval removal(FileSystem::Posix());
  const std::string first = dir.Make("first", 5 * kMb), second = dir.Make("second", 3 * kMb + 7);
  const Watch first_watch(first), second_watch(second);
  REQUIRE(removal.Remove(first).ok());
  REQUIRE(removal.Remove(second).ok());
  CHECK_FALSE(FileSystem::Posix().Exists(first));
  CHECK_FALSE(FileSystem::Posix().Exists(second));
  CHECK(removal.pending_bytes() == 8 * kMb + 7);
  removal.GiveBack(2 * kMb);
  CHECK(first_watch.bytes() == 3 * kMb);
  CHECK(second_watch.bytes() == 3 * kMb + 7);
  CHECK(removal.pending_bytes() == 6 * kMb + 7);
  for (int i = 0; i < 32; ++i) removal.OnWritten(kMb / 16);        // small writes add up, to a quarter more
  CHECK(removal.pending_bytes() == 4 * kMb + 7);
  removal.GiveBack(100 * kMb);
  CHECK(removal.pending_bytes() == 0);
  removal.GiveBack(100 * kMb);                                     // of nothing
  const std::string third = dir.Make("third", 4 * kMb);
  REQUIRE(removal.Remove(third).ok());
  removal.OnWritten(1);
  CHECK(removal.pending_bytes() == 4 * kMb);                       // and it is not owed afterwards
}

TEST_CASE("a file with another name keeps its bytes there", "[removal]") {
  const Directory dir;
  GradualRemoval removal(FileSystem::Posix());
  const std::string path = dir.Make("table", 4 * kMb), backup = path + ".backup";
  REQUIRE(FileSystem::Posix().Link(path, backup).ok());
  REQUIRE(removal.Remove(path).ok());
  CHECK(removal.pending_bytes() == 0);
  removal.GiveBack(100 * kMb);
  CHECK(FileSystem::Posix().FileSize(backup).value_or(0) == 4 * kMb);
}

TEST_CASE("small files, and files of other file systems, go at once; what is not there is an error", "[removal]") {
  const Directory dir;
  GradualRemoval removal(FileSystem::Posix());
  REQUIRE(removal.Remove(dir.Make("small", 1000)).ok());
  CHECK(removal.pending_bytes() == 0);
  CHECK(removal.Remove("/nowhere/at/all").code() == StatusCode::kNotFound);

  FaultFileSystem memory;
  REQUIRE(memory.CreateDirectories("/d").ok());
  auto file = memory.NewWritableFile("/d/f");
  REQUIRE(file);
  REQUIRE((*file)->Append(std::string(4 * kMb, 'x')).ok());
  GradualRemoval in_memory(memory);
  REQUIRE(in_memory.Remove("/d/f").ok());
  CHECK_FALSE(memory.Exists("/d/f"));
  CHECK(in_memory.pending_bytes() == 0);
}

TEST_CASE("of very many files the oldest go whole", "[removal]") {
  const Directory dir;
  GradualRemoval removal(FileSystem::Posix());
  std::uint64_t most = 0;
  for (int i = 0; i < 50; ++i) {
    REQUIRE(removal.Remove(dir.Make("f" + std::to_string(i), kMb + 1)).ok());
    most = std::max(most, removal.pending_bytes());
  }
  CHECK(most == 32 * (kMb + 1));
}

TEST_CASE("several threads remove and give back at once", "[removal][threads]") {
  const Directory dir;
  GradualRemoval removal(FileSystem::Posix());
  std::vector<std::string> paths;
  for (int i = 0; i < 24; ++i) paths.push_back(dir.Make("f" + std::to_string(i), 2 * kMb));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < paths.size(); i += 3) {
        if (!removal.Remove(paths[i]).ok()) return;
        removal.OnWritten(kMb);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(removal.pending_bytes() <= 48 * kMb - 24 * kMb);
  removal.GiveBack(100 * kMb);
  CHECK(removal.pending_bytes() == 0);
}

}  // namespace lsmkv
