// What file_system.h promises, asked of both implementations by the same tests.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fs/fault_file_system.h"
#include "fs/file_system.h"

namespace lsmkv {
namespace {

/// A file system with an empty directory to work in.
class Place {
 public:
  explicit Place(const std::string& kind) {
    if (kind == "in memory") {
      memory_ = std::make_unique<FaultFileSystem>();
      fs_ = memory_.get();
      root_ = "/work";
      REQUIRE(fs_->CreateDirectories(root_).ok());
    } else {
      std::string pattern = (std::filesystem::temp_directory_path() / "lsmkv_fs_XXXXXX").string();
      REQUIRE(::mkdtemp(pattern.data()) != nullptr);
      root_ = pattern;
      fs_ = &FileSystem::Posix();
    }
  }
  ~Place() {
    if (!memory_) std::filesystem::remove_all(root_);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  FileSystem& fs() { return *fs_; }
  std::string Path(const std::string& name) const { return root_ + "/" + name; }
  const std::string& root() const { return root_; }

  void Write(const std::string& name, const std::string& bytes) {
    auto file = fs_->NewWritableFile(Path(name));
    REQUIRE(file.has_value());
    REQUIRE((*file)->Append(bytes).ok());
    REQUIRE((*file)->Close().ok());
  }
  std::string Read(const std::string& name) {
    const auto bytes = fs_->ReadWholeFile(Path(name));
    return bytes ? *bytes : "<" + bytes.error().message() + ">";
  }
  std::vector<std::string> List() {
    const auto names = fs_->ListDirectory(root_);
    REQUIRE(names.has_value());
    return *names;
  }

 private:
  std::unique_ptr<FaultFileSystem> memory_;
  FileSystem* fs_ = nullptr;
  std::string root_;
};

std::string AnyKind() { return GENERATE(as<std::string>(), "in memory", "the operating system's"); }

/// A test that needs a device says so when the machine has something else of that name, or nothing.
bool IsDevice(const std::string& path) {
  std::error_code error;
  const bool device = std::filesystem::is_character_file(path, error);
  if (!device) WARN(path << " is not a device here: not tested");
  return device;
}

void CheckError(const Status& status, StatusCode code, const std::string& path) {
  CAPTURE(status.message(), path);
  CHECK(status.code() == code);
  CHECK(status.message().find(path) == 0);
}

}  // namespace

TEST_CASE("a file is cut short by its name", "[fs]") {
  Place place(AnyKind());
  place.Write("f", "0123456789");
  REQUIRE(place.fs().Truncate(place.Path("f"), 4).ok());
  REQUIRE(place.fs().SyncFile(place.Path("f")).ok());
  CHECK(place.Read("f") == "0123");
  REQUIRE(place.fs().Truncate(place.Path("f"), 0).ok());
  CHECK(place.Read("f").empty());
  CHECK(place.fs().Truncate(place.Path("none"), 0).code() == StatusCode::kNotFound);
}

TEST_CASE("the bytes of a file that is there are written again where they are, and all around stays", "[fs]") {
  Place place(AnyKind());
  place.Write("f", "0123456789");
  auto file = place.fs().OpenToRewrite(place.Path("f"), 4);
  REQUIRE(file.has_value());
  CHECK((*file)->size() == 4);
  REQUIRE((*file)->Append("45").ok());
  REQUIRE((*file)->Append("x").ok());
  CHECK((*file)->size() == 7);
  REQUIRE((*file)->Sync().ok());
  SECTION("closed") { REQUIRE((*file)->Close().ok()); }
  SECTION("only let go") {}
  file->reset();
  CHECK(place.Read("f") == "012345x789");
  CHECK_FALSE(place.fs().OpenToRewrite(place.Path("f"), 11).has_value());
  CHECK(place.fs().OpenToRewrite(place.Path("none"), 0).error().code() == StatusCode::kNotFound);
}

TEST_CASE("what was appended is read back, whole and in parts", "[fs]") {
  const std::string kind = AnyKind();
  CAPTURE(kind);
  Place place(kind);
  std::string want;
  auto file = place.fs().NewWritableFile(place.Path("a"));
  REQUIRE(file.has_value());
  (*file)->Preallocate(100'000);
  for (int i = 0; i < 1000; ++i) {
    const std::string piece = std::to_string(i) + std::string(static_cast<std::size_t>(i % 50), 'x');
    REQUIRE((*file)->Append(piece).ok());
    want += piece;
    if (i % 100 == 0) (*file)->StartWriteback();
  }
  REQUIRE((*file)->Append("").ok());
  CHECK((*file)->size() == want.size());
  REQUIRE((*file)->Sync().ok());
  CHECK(place.fs().FileSize(place.Path("a")).value() == want.size());
  REQUIRE((*file)->Close().ok());
  REQUIRE((*file)->Close().ok());
  CHECK(place.Read("a") == want);

  const auto reader = place.fs().NewRandomAccessFile(place.Path("a"));
  REQUIRE(reader.has_value());
  CHECK((*reader)->size() == want.size());
  (*reader)->WillNeed(0, UINT64_MAX);
  (*reader)->WillNeed(UINT64_MAX, 1);
  std::string part(777, '\0');
  REQUIRE((*reader)->Read(1234, part.size(), part.data()).ok());
  CHECK(part == want.substr(1234, 777));
  CHECK((*reader)->Read(want.size(), 0, part.data()).ok());
}

TEST_CASE("zeros lie ahead of what is appended, and are given back", "[fs]") {
  const std::string kind = AnyKind();
  CAPTURE(kind);
  Place place(kind);
  const std::string path = place.Path("a");
  auto file = place.fs().NewWritableFile(path);
  REQUIRE(file.has_value());
  REQUIRE((*file)->Append("head").ok());
  (*file)->ZeroAhead(100'000);
  CHECK((*file)->size() == 4);
  CHECK(place.Read("a") == "head" + std::string(100'000, '\0'));
  REQUIRE((*file)->Append("more").ok());
  CHECK(place.Read("a") == "headmore" + std::string(99'996, '\0'));
  (*file)->ZeroAhead(100'000);
  REQUIRE((*file)->Sync().ok());
  CHECK(place.Read("a") == "headmore" + std::string(100'000, '\0'));
  SECTION("by closing") {
    REQUIRE((*file)->Close().ok());
    CHECK(place.Read("a") == "headmore");
  }
  SECTION("by cutting, and they can be had again") {
    REQUIRE((*file)->Truncate(3).ok());
    CHECK(place.Read("a") == "hea");
    (*file)->ZeroAhead(2);
    REQUIRE((*file)->Append("vy").ok());
    CHECK(place.Read("a") == "heavy");
  }
  SECTION("none, when more is appended than they are") {
    const std::string much(150'000, 'x');
    REQUIRE((*file)->Append(much).ok());
    CHECK(place.Read("a") == "headmore" + much);
    (*file)->ZeroAhead(10);
    REQUIRE((*file)->Append("!").ok());
    REQUIRE((*file)->Close().ok());
    CHECK(place.Read("a") == "headmore" + much + "!");
  }
  REQUIRE((*file)->Close().ok());
  (*file)->ZeroAhead(10);
}

TEST_CASE("a file is written over from its beginning under a new name, with zeros behind what was appended", "[fs]") {
  const std::string kind = AnyKind();
  CAPTURE(kind);
  Place place(kind);
  const std::string old(10'000, 'o');
  place.Write("old", old);
  place.Write("new", "in the way");
  auto opened = place.fs().RenameToOverwrite(place.Path("old"), place.Path("new"), 24);
  REQUIRE(opened.status().message() == "");
  WritableFile& file = **opened;
  CHECK(place.List() == std::vector<std::string>{"new"});
  CHECK(file.size() == 0);
  CHECK(place.Read("new") == old);
  std::string written;
  const auto append = [&](std::size_t bytes) {
    const std::string data(bytes, static_cast<char>('a' + written.size() % 26));
    REQUIRE(file.Append(data).ok());
    written += data;
    CHECK(file.size() == written.size());
  };
  const auto with_zeros_to = [&](std::size_t end) { return written + std::string(end - written.size(), '\0') + old.substr(end); };
  append(3);
  CHECK(place.Read("new") == with_zeros_to(4096));            // a page that is begun is zeros to its end
  append(4000);
  CHECK(place.Read("new") == with_zeros_to(4096));
  append(80);                                                 // too near to it
  CHECK(place.Read("new") == with_zeros_to(8192));
  file.ZeroAhead(3000);                                       // what lies there already is left alone
  CHECK(place.Read("new") == with_zeros_to(8192));
  REQUIRE(file.Sync().ok());
  SECTION("as far as old bytes go") {
    append(5900);
    CHECK(place.Read("new") == written + std::string(17, '\0'));
    append(20);
    CHECK(place.Read("new") == written);
    file.ZeroAhead(10);
    CHECK(place.Read("new") == written + std::string(10, '\0'));
  }
  SECTION("and further, ahead") {
    file.ZeroAhead(7000);
    CHECK(place.Read("new") == with_zeros_to(8192) + std::string(1083, '\0'));
  }
  SECTION("closing cuts off the rest") {
    REQUIRE(file.Close().ok());
    CHECK(place.Read("new") == written);
  }
  SECTION("and so does cutting") {
    REQUIRE(file.Truncate(3).ok());
    REQUIRE(file.Append("!").ok());
    CHECK(place.Read("new") == "aaa!");
  }
}

TEST_CASE("a file with another name is not written over, nor one that is not there", "[fs]") {
  Place place(AnyKind());
  place.Write("old", "somebody's copy");
  REQUIRE(place.fs().Link(place.Path("old"), place.Path("copy")).ok());
  CHECK(place.fs().RenameToOverwrite(place.Path("old"), place.Path("new"), 4).error().code() == StatusCode::kBusy);
  CHECK(place.List() == std::vector<std::string>{"copy", "old"});
  CHECK(place.fs().RenameToOverwrite(place.Path("none"), place.Path("new"), 4).error().code() == StatusCode::kNotFound);
  REQUIRE(place.fs().RemoveFile(place.Path("copy")).ok());
  CHECK(place.fs().RenameToOverwrite(place.Path("old"), place.Path("new"), 4).has_value());
}

TEST_CASE("a read past the end is corruption and says where the file ends", "[fs]") {
  Place place(AnyKind());
  place.Write("a", "0123456789");
  const auto reader = place.fs().NewRandomAccessFile(place.Path("a"));
  REQUIRE(reader.has_value());
  struct Case { std::uint64_t offset; std::size_t size; };
  const auto c = GENERATE(values<Case>({{0, 11}, {9, 2}, {10, 1}, {11, 0}, {UINT64_MAX, 1}, {5, SIZE_MAX}}));
  CAPTURE(c.offset, c.size);
  char buffer[16];
  const Status status = (*reader)->Read(c.offset, c.size, buffer);
  CheckError(status, StatusCode::kCorruption, place.Path("a"));
  CHECK(status.message().find("file ends at 10") != std::string::npos);
}

TEST_CASE("a file cut while it is open is corruption, not garbage", "[fs]") {
  Place place(AnyKind());
  auto writer = place.fs().NewWritableFile(place.Path("a"));
  REQUIRE(writer.has_value());
  REQUIRE((*writer)->Append("0123456789").ok());
  const auto reader = place.fs().NewRandomAccessFile(place.Path("a"));
  REQUIRE(reader.has_value());
  REQUIRE((*writer)->Truncate(4).ok());
  char buffer[10];
  CheckError((*reader)->Read(0, 10, buffer), StatusCode::kCorruption, place.Path("a"));
  CHECK((*reader)->Read(0, 4, buffer).ok());
}

TEST_CASE("a file can be cut, and goes on from there", "[fs]") {
  Place place(AnyKind());
  auto file = place.fs().NewWritableFile(place.Path("a"));
  REQUIRE(file.has_value());
  REQUIRE((*file)->Append("0123456789").ok());
  REQUIRE((*file)->Truncate(3).ok());
  CHECK((*file)->size() == 3);
  REQUIRE((*file)->Append("abc").ok());
  CHECK(place.Read("a") == "012abc");
  REQUIRE((*file)->Truncate(8).ok());
  REQUIRE((*file)->Append("z").ok());
  CHECK(place.Read("a") == std::string("012abc\0\0z", 9));
}

TEST_CASE("opening for writing empties a file", "[fs]") {
  Place place(AnyKind());
  place.Write("a", "old and long");
  place.Write("a", "new");
  CHECK(place.Read("a") == "new");
}

TEST_CASE("a closed file takes nothing more", "[fs]") {
  Place place(AnyKind());
  auto file = place.fs().NewWritableFile(place.Path("a"));
  REQUIRE(file.has_value());
  REQUIRE((*file)->Close().ok());
  CheckError((*file)->Append("x"), StatusCode::kIoError, place.Path("a"));
  CheckError((*file)->Sync(), StatusCode::kIoError, place.Path("a"));
  CheckError((*file)->Truncate(0), StatusCode::kIoError, place.Path("a"));
  (*file)->StartWriteback();
  (*file)->Preallocate(10);
}

TEST_CASE("a rename replaces its target, and open readers keep what they had", "[fs]") {
  Place place(AnyKind());
  place.Write("old", "old");
  place.Write("new", "new");
  const auto reader = place.fs().NewRandomAccessFile(place.Path("old"));
  REQUIRE(reader.has_value());
  REQUIRE(place.fs().Rename(place.Path("new"), place.Path("old")).ok());
  CHECK(place.List() == std::vector<std::string>{"old"});
  CHECK(place.Read("old") == "new");
  std::string bytes(3, '\0');
  REQUIRE((*reader)->Read(0, 3, bytes.data()).ok());
  CHECK(bytes == "old");
}

TEST_CASE("a directory can be renamed where it is", "[fs]") {
  Place place(AnyKind());
  REQUIRE(place.fs().CreateDirectories(place.Path("a/b")).ok());
  place.Write("a/b/file", "x");
  REQUIRE(place.fs().Rename(place.Path("a"), place.Path("c")).ok());
  CHECK(place.Read("c/b/file") == "x");
  CHECK_FALSE(place.fs().Exists(place.Path("a")));
  CHECK_FALSE(place.fs().Rename(place.Path("c"), place.Path("c/b/d")).ok());
}

TEST_CASE("a hard link shares the bytes and outlives the first name", "[fs]") {
  Place place(AnyKind());
  REQUIRE(place.fs().CreateDirectories(place.Path("d")).ok());
  auto file = place.fs().NewWritableFile(place.Path("a"));
  REQUIRE(file.has_value());
  REQUIRE((*file)->Append("one").ok());
  REQUIRE(place.fs().Link(place.Path("a"), place.Path("d/b")).ok());
  REQUIRE((*file)->Append("two").ok());
  CHECK(place.Read("d/b") == "onetwo");
  CheckError(place.fs().Link(place.Path("a"), place.Path("d/b")), StatusCode::kIoError, place.Path("a"));
  REQUIRE(place.fs().RemoveFile(place.Path("a")).ok());
  CHECK(place.Read("d/b") == "onetwo");
}

TEST_CASE("a lock is held once, in one process too, until it is let go", "[fs]") {
  Place place(AnyKind());
  auto lock = place.fs().Lock(place.Path("LOCK"));
  REQUIRE(lock.has_value());
  CheckError(place.fs().Lock(place.Path("LOCK")).status(), StatusCode::kBusy, place.Path("LOCK"));
  CHECK(place.fs().Lock(place.Path("OTHER")).has_value());
  lock->reset();
  CHECK(place.fs().Exists(place.Path("LOCK")));
  CHECK(place.fs().Lock(place.Path("LOCK")).has_value());
}

TEST_CASE("directories are made with their parents, listed sorted, removed when empty", "[fs]") {
  Place place(AnyKind());
  FileSystem& fs = place.fs();
  REQUIRE(fs.CreateDirectories(place.Path("x/y/z")).ok());
  REQUIRE(fs.CreateDirectories(place.Path("x/y/z")).ok());
  REQUIRE(fs.CreateDirectories(place.Path("x/y/z/")).ok());
  place.Write("b", "");
  place.Write("a", "");
  place.Write("B", "");
  CHECK(place.List() == std::vector<std::string>{"B", "a", "b", "x"});
  REQUIRE(fs.SyncDirectory(place.root()).ok());
  CheckError(fs.RemoveDirectory(place.Path("x/y")), StatusCode::kIoError, place.Path("x/y"));
  REQUIRE(fs.RemoveDirectory(place.Path("x/y/z")).ok());
  REQUIRE(fs.RemoveDirectory(place.Path("x/y")).ok());
  CHECK(fs.ListDirectory(place.Path("x"))->empty());
  CHECK(fs.Exists(place.Path("x")));
  CHECK_FALSE(fs.Exists(place.Path("x/y")));
  CHECK(fs.FreeBytes(place.root()).value() > 0);
}

TEST_CASE("what is not there is kNotFound and named", "[fs]") {
  Place place(AnyKind());
  FileSystem& fs = place.fs();
  const std::string path = place.Path("missing");
  CheckError(fs.NewRandomAccessFile(path).status(), StatusCode::kNotFound, path);
  CheckError(fs.ReadWholeFile(path).status(), StatusCode::kNotFound, path);
  CheckError(fs.Rename(path, place.Path("x")), StatusCode::kNotFound, path);
  CheckError(fs.Link(path, place.Path("x")), StatusCode::kNotFound, path);
  CheckError(fs.RemoveFile(path), StatusCode::kNotFound, path);
  CheckError(fs.RemoveDirectory(path), StatusCode::kNotFound, path);
  CheckError(fs.SyncDirectory(path), StatusCode::kNotFound, path);
  CheckError(fs.ListDirectory(path).status(), StatusCode::kNotFound, path);
  CheckError(fs.FileSize(path).status(), StatusCode::kNotFound, path);
  CheckError(fs.FreeBytes(path).status(), StatusCode::kNotFound, path);
  CheckError(fs.NewWritableFile(path + "/a").status(), StatusCode::kNotFound, path);
  CheckError(fs.Lock(path + "/a").status(), StatusCode::kNotFound, path);
  CHECK_FALSE(fs.Exists(path));
}

TEST_CASE("a file is not a directory, nor the other way round", "[fs]") {
  Place place(AnyKind());
  FileSystem& fs = place.fs();
  const std::string file = place.Path("file");
  const std::string directory = place.Path("directory");
  place.Write("file", "x");
  REQUIRE(fs.CreateDirectories(directory).ok());
  CheckError(fs.NewWritableFile(directory).status(), StatusCode::kIoError, directory);
  CheckError(fs.NewRandomAccessFile(directory).status(), StatusCode::kIoError, directory);
  CheckError(fs.ReadWholeFile(directory).status(), StatusCode::kIoError, directory);
  CheckError(fs.FileSize(directory).status(), StatusCode::kIoError, directory);
  CheckError(fs.RemoveFile(directory), StatusCode::kIoError, directory);
  CheckError(fs.Rename(file, directory), StatusCode::kIoError, file);
  CheckError(fs.Rename(directory, file), StatusCode::kIoError, directory);
  CheckError(fs.CreateDirectories(file), StatusCode::kIoError, file);
  CheckError(fs.CreateDirectories(file + "/a"), StatusCode::kIoError, file);
  CheckError(fs.RemoveDirectory(file), StatusCode::kIoError, file);
  CheckError(fs.SyncDirectory(file), StatusCode::kIoError, file);
  CheckError(fs.ListDirectory(file).status(), StatusCode::kIoError, file);
  CHECK(place.Read("file") == "x");
}

TEST_CASE("the lock file says who holds it", "[fs]") {
  Place place("the operating system's");
  const auto lock = place.fs().Lock(place.Path("LOCK"));
  REQUIRE(lock.has_value());
  const std::string pid = std::to_string(::getpid());
  CHECK(place.Read("LOCK") == pid + "\n");
  CHECK(place.fs().Lock(place.Path("LOCK")).status().message().find("process " + pid) != std::string::npos);
}

TEST_CASE("space that was reserved and not used is given back", "[fs]") {
  Place place("the operating system's");
  const auto unused = GENERATE(as<std::string>(), "closed", "destroyed");
  auto file = place.fs().NewWritableFile(place.Path("a"));
  REQUIRE(file.has_value());
  (*file)->Preallocate(8 << 20);
  REQUIRE((*file)->Append("x").ok());
  CHECK(place.fs().FileSize(place.Path("a")).value() == 1);
  if (unused == "closed") REQUIRE((*file)->Close().ok());
  file->reset();
  CHECK(place.Read("a") == "x");
  struct stat info {};
  REQUIRE(::stat(place.Path("a").c_str(), &info) == 0);
  CHECK(info.st_blocks * 512 < (1 << 20));
}

TEST_CASE("a full device is kNoSpace", "[fs]") {
  if (!IsDevice("/dev/full")) return;
  const auto file = FileSystem::Posix().NewWritableFile("/dev/full");
  REQUIRE(file.has_value());
  CheckError((*file)->Append("x"), StatusCode::kNoSpace, "/dev/full");
  CHECK((*file)->size() == 0);
}

TEST_CASE("a device is not a table", "[fs]") {
  if (!IsDevice("/dev/null")) return;
  CheckError(FileSystem::Posix().NewRandomAccessFile("/dev/null").status(), StatusCode::kIoError, "/dev/null");
  CheckError(FileSystem::Posix().ReadWholeFile("/dev/null").status(), StatusCode::kIoError, "/dev/null");
}

}  // namespace lsmkv
