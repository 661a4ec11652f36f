#include "fs/fault_file_system.h"

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "fault_fs_testing.h"

namespace lsmkv {

TEST_CASE("each fault strikes the calls it concerns, with its code, and changes nothing", "[fault_fs]") {
  struct Case { const char* what; Fault fault; StatusCode code; std::set<std::string> struck; };
  const std::set<std::string> reads = {"open", "read", "read whole", "list", "size", "free", "total"};
  const std::set<std::string> writes = {"create", "append", "truncate", "close", "sync",   "sync directory", "rename",
                                        "link",   "remove", "rmdir",    "mkdir", "lock",   "rename to overwrite", "open to rewrite",
                                        "sync by name", "truncate by name"};
  std::set<std::string> all = reads;
  all.insert(writes.begin(), writes.end());
  const auto c = GENERATE_COPY(values<Case>({
      {"io error", Fault::kIoError, StatusCode::kIoError, all},
      {"read error", Fault::kReadError, StatusCode::kIoError, reads},
      {"write error", Fault::kWriteError, StatusCode::kIoError, writes},
      {"no space", Fault::kNoSpace, StatusCode::kNoSpace, {"create", "append", "rename", "rename to overwrite", "link", "mkdir", "lock"}},
      {"failed sync", Fault::kFailedSync, StatusCode::kIoError, {"sync", "sync by name", "sync directory"}},
      {"failed rename", Fault::kFailedRename, StatusCode::kIoError, {"rename", "rename to overwrite"}},
      {"no space at a sync", Fault::kNoSpaceSync, StatusCode::kNoSpace, {"sync", "sync by name", "sync directory", "close"}},
  }));
  CAPTURE(c.what);
  using Action = std::function<Status(FaultFileSystem&, WritableFile&, RandomAccessFile&)>;
  const std::map<std::string, Action> actions = {
      {"create", [](auto& fs, auto&, auto&) { return fs.NewWritableFile("/f").status(); }},
      {"append", [](auto&, auto& file, auto&) { return file.Append("x"); }},
      {"truncate", [](auto&, auto& file, auto&) { return file.Truncate(1); }},
      {"close", [](auto&, auto& file, auto&) { return file.Close(); }},
      {"sync", [](auto&, auto& file, auto&) { return file.Sync(); }},
      {"sync directory", [](auto& fs, auto&, auto&) { return fs.SyncDirectory("/"); }},
      {"rename", [](auto& fs, auto&, auto&) { return fs.Rename("/f", "/g"); }},
      {"rename to overwrite", [](auto& fs, auto&, auto&) { return fs.RenameToOverwrite("/f", "/g", 24).status(); }},
      {"open to rewrite", [](auto& fs, auto&, auto&) { return fs.OpenToRewrite("/f", 0).status(); }},
      {"sync by name", [](auto& fs, auto&, auto&) { return fs.SyncFile("/f"); }},
      {"truncate by name", [](auto& fs, auto&, auto&) { return fs.Truncate("/f", 1); }},
      {"link", [](auto& fs, auto&, auto&) { return fs.Link("/f", "/g"); }},
      {"remove", [](auto& fs, auto&, auto&) { return fs.RemoveFile("/f"); }},
      {"rmdir", [](auto& fs, auto&, auto&) { return fs.RemoveDirectory("/d"); }},
      {"mkdir", [](auto& fs, auto&, auto&) { return fs.CreateDirectories("/e"); }},
      {"lock", [](auto& fs, auto&, auto&) { return fs.Lock("/LOCK").status(); }},
      {"open", [](auto& fs, auto&, auto&) { return fs.NewRandomAccessFile("/f").status(); }},
      {"read", [](auto&, auto&, auto& file) { char byte; return file.Read(0, 1, &byte); }},
      {"read whole", [](auto& fs, auto&, auto&) { return fs.ReadWholeFile("/f").status(); }},
      {"list", [](auto& fs, auto&, auto&) { return fs.ListDirectory("/").status(); }},
      {"size", [](auto& fs, auto&, auto&) { return fs.FileSize("/f").status(); }},
      {"free", [](auto& fs, auto&, auto&) { return fs.FreeBytes("/").status(); }},
      {"total", [](auto& fs, auto&, auto&) { return fs.TotalBytes("/").status(); }},
  };
  for (const auto& [name, action] : actions) {
    CAPTURE(name);
    FaultFileSystem fs;
    WriteHalfSynced(fs, "data", 4);
    REQUIRE(fs.CreateDirectories("/d").ok());
    const auto writer = Create(fs, "/w");
    REQUIRE(writer->Append("data").ok());
    const auto reader = fs.NewRandomAccessFile("/f");
    REQUIRE(reader.has_value());
    const auto before = Everything(fs);
    const std::uint64_t calls = fs.calls();
    const std::uint64_t concerned = fs.calls(c.fault);
    fs.FailCall(1, c.fault);
    const Status status = action(fs, *writer, **reader);
    const bool struck = c.struck.contains(name);
    CHECK(fs.calls() == calls + 1);
    CHECK(fs.calls(c.fault) == concerned + (struck ? 1 : 0));
    CHECK(fs.fired() == (struck ? 1 : 0));
    CHECK(status.code() == (struck ? c.code : StatusCode::kOk));
    if (struck) {
      CHECK(Everything(fs) == before);
    }
  }
}

TEST_CASE("the n-th call fails, alone or with all after it", "[fault_fs]") {
  const auto span = GENERATE(FaultSpan::kOnce, FaultSpan::kFromThenOn);
  FaultFileSystem fs;
  const auto file = Create(fs, "/f");
  fs.FailCall(3, Fault::kWriteError, span);
  std::string outcome;
  for (int i = 0; i < 6; ++i) {
    CHECK(fs.Exists("/f"));               // not concerned, not counted
    CHECK(fs.FileSize("/f").has_value());
    outcome += file->Append("x").ok() ? '.' : 'F';
  }
  CHECK(outcome == (span == FaultSpan::kOnce ? "..F..." : "..FFFF"));
  CHECK(fs.fired() == (span == FaultSpan::kOnce ? 1 : 4));
  fs.ClearFaults();
  CHECK(file->Append("x").ok());
}

TEST_CASE("several faults can be armed at once", "[fault_fs]") {
  FaultFileSystem fs;
  const auto file = Create(fs, "/f");
  fs.FailCall(2, Fault::kNoSpace);
  fs.FailCall(1, Fault::kFailedSync);
  fs.FailCall(3, Fault::kShortWrite);
  CHECK(file->Append("1").ok());
  CHECK(file->Append("2").code() == StatusCode::kNoSpace);
  CHECK(file->Append("34").code() == StatusCode::kIoError);
  CHECK(Contents(fs, "/f") == "13");
  CHECK(fs.fired() == 2);
  CHECK(file->Sync().code() == StatusCode::kIoError);
}

TEST_CASE("a short write leaves its first half, and size() says so", "[fault_fs]") {
  FaultFileSystem fs;
  const auto file = Create(fs, "/f");
  REQUIRE(file->Append("head").ok());
  fs.FailCall(1, Fault::kShortWrite);
  CHECK(file->Append("12345678").code() == StatusCode::kIoError);
  CHECK(file->size() == 8);
  CHECK(Contents(fs, "/f") == "head1234");
  REQUIRE(file->Truncate(4).ok());
  REQUIRE(file->Append("tail").ok());
  CHECK(Contents(fs, "/f") == "headtail");
}

TEST_CASE("a short write over old bytes leaves them behind its part, without zeros, and stops at a page", "[fault_fs]") {
  FaultFileSystem fs;
  const std::string old(20'000, 'o');
  REQUIRE(Create(fs, "/old")->Append(old).ok());
  auto opened = fs.RenameToOverwrite("/old", "/f", 24);
  REQUIRE(opened.has_value());
  WritableFile& file = **opened;
  const std::string first(1000, 'a');
  const auto short_of = [&](std::size_t bytes) {
    fs.FailCall(1, Fault::kShortWrite);
    CHECK(file.Append(std::string(bytes, 'b')).code() == StatusCode::kIoError);
  };
  SECTION("half of the data and the zeros, in one page") {
    short_of(3000);                                            // and 1096 zeros
    CHECK(file.size() == 2048);
    CHECK(Contents(fs, "/f") == std::string(2048, 'b') + old.substr(2048));
  }
  SECTION("a page's beginning") {
    REQUIRE(file.Append(first).ok());
    short_of(7500);
    CHECK(file.size() == 4096);
    CHECK(Contents(fs, "/f") == first + std::string(3096, 'b') + old.substr(4096));
  }
  SECTION("behind the data, among its zeros") {
    short_of(10);
    CHECK(file.size() == 10);
    CHECK(Contents(fs, "/f") == std::string(10, 'b') + std::string(2038, '\0') + old.substr(2048));
    REQUIRE(file.Append(std::string(2030, 'c')).ok());          // the zeros that are missing are written
    CHECK(Contents(fs, "/f") == std::string(10, 'b') + std::string(2030, 'c') + std::string(2056, '\0') + old.substr(4096));
  }
}

TEST_CASE("a file whose sync failed repeats the error, and its bytes are not safe", "[fault_fs]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/wal").ok());
  REQUIRE(fs.CreateDirectories("/sst").ok());
  REQUIRE(fs.SyncDirectory("/").ok());
  const auto log = Create(fs, "/wal/1");
  const auto table = Create(fs, "/sst/1");
  REQUIRE(fs.SyncDirectory("/wal").ok());
  REQUIRE(log->Append("synced").ok());
  REQUIRE(log->Sync().ok());
  fs.FailSyncs("/wal/");
  CHECK(table->Sync().ok());
  REQUIRE(log->Append("lost").ok());
  CHECK(log->Sync().code() == StatusCode::kIoError);
  CHECK(fs.fired() == 1);
  fs.ClearFaults();
  CHECK(log->Sync().code() == StatusCode::kIoError);
  CHECK(log->Append("x").code() == StatusCode::kIoError);
  CHECK(log->size() == 10);
  fs.PowerCut(1, CutMode::kLost);
  CHECK(Contents(fs, "/wal/1") == "synced");
}

TEST_CASE("a failed sync of a directory leaves its names unsafe", "[fault_fs]") {
  FaultFileSystem fs;
  Create(fs, "/f");
  fs.FailSyncs("/");
  CHECK(fs.SyncDirectory("/").code() == StatusCode::kIoError);
  fs.PowerCut(1, CutMode::kLost);
  CHECK_FALSE(fs.Exists("/f"));
}

TEST_CASE("a full disk takes what fits, and more after something was removed", "[fault_fs]") {
  FaultFileSystem fs;
  const auto old_file = Create(fs, "/old");
  REQUIRE(old_file->Append(std::string(60, 'o')).ok());
  REQUIRE(fs.Link("/old", "/other_name").ok());   // takes no room
  fs.SetCapacity(100);
  CHECK(*fs.FreeBytes("/") == 40);
  const auto file = Create(fs, "/f");
  REQUIRE(file->Append(std::string(30, 'f')).ok());
  CHECK(file->Append(std::string(30, 'g')).code() == StatusCode::kNoSpace);
  CHECK(file->size() == 40);
  CHECK(*fs.FreeBytes("/") == 0);
  CHECK(file->Truncate(41).code() == StatusCode::kNoSpace);
  REQUIRE(file->Truncate(30).ok());
  CHECK(*fs.FreeBytes("/") == 10);
  REQUIRE(fs.RemoveFile("/old").ok());
  CHECK(*fs.FreeBytes("/") == 10);
  REQUIRE(fs.RemoveFile("/other_name").ok());
  CHECK(*fs.FreeBytes("/") == 70);
  CHECK(file->Append(std::string(70, 'h')).ok());
  fs.SetCapacity(10);
  CHECK(*fs.FreeBytes("/") == 0);
}

// ---- damage

TEST_CASE("a file can be damaged behind everybody's back, for good", "[fault_fs]") {
  FaultFileSystem fs;
  WriteHalfSynced(fs, "data", 2);
  REQUIRE(fs.FlipBit("/f", 8).ok());
  CHECK(Contents(fs, "/f") == "d`ta");
  CHECK(fs.FlipBit("/f", 32).code() == StatusCode::kInvalidArgument);
  CHECK(fs.FlipBit("/none", 0).code() == StatusCode::kNotFound);
  REQUIRE(fs.Mutate("/f", [](std::string& bytes) { bytes.resize(3); }).ok());
  fs.PowerCut(1, CutMode::kLost);
  CHECK(Contents(fs, "/f") == "d`t");
}

// ---- threads

TEST_CASE("threads may use the file system at once", "[fault_fs]") {
  FaultFileSystem fs;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&fs, i] {
      const std::string path = "/f" + std::to_string(i);
      const auto file = fs.NewWritableFile(path);
      for (int step = 0; step < 200 && file; ++step) {
        IgnoreError((*file)->Append("x"), "the power cut below may come first");
        IgnoreError((*file)->Sync(), "likewise");
        IgnoreError(fs.SyncDirectory("/"), "likewise");
        const auto reader = fs.NewRandomAccessFile(path);
        char byte;
        if (reader && (*reader)->size() > 0) IgnoreError((*reader)->Read(0, 1, &byte), "likewise");
      }
    });
  }
  fs.PowerCut(7, CutMode::kTorn512);
  for (std::thread& thread : threads) thread.join();
  for (const auto& [path, bytes] : Everything(fs)) CHECK(bytes.size() <= 200);
}

}  // namespace lsmkv
