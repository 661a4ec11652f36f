// Which blob files are open, and what the block cache does for them.
#include "blob_test_util.h"

#include <atomic>
#include <thread>

#include "engine/blob/open_blobs.h"
#include "engine/version/table_file.h"

using namespace lsmkv;
using namespace lsmkv::blob_test;

namespace {

std::string PathOf(std::uint64_t id) { return "blob" + std::to_string(id); }

/// Files 1 to `count` with one value each.
std::vector<Stored> WriteFiles(FileSystem& fs, std::uint64_t count) {
  std::vector<Stored> all;
  for (std::uint64_t id = 1; id <= count; ++id) {
    std::vector<Stored> one = {{"key" + std::to_string(id), std::string(500, static_cast<char>('a' + id)), {}}};
    WriteBlobFile(fs, PathOf(id), id, Compression::kNone, &one);
    all.push_back(one[0]);
  }
  return all;
}

}  // namespace

TEST_CASE("no more blob files stay open than allowed, and the one used last is among them", "[blob]") {
  FaultFileSystem fs;
  WriteFiles(fs, 5);
  const std::uint64_t bytes = *fs.FileSize(PathOf(1));
  OpenBlobs open(fs, 2);
  const auto held = open.Open(1, PathOf(1), bytes);
  REQUIRE(held);
  for (std::uint64_t id = 2; id <= 5; ++id) REQUIRE(open.Open(id, PathOf(id), bytes));
  CHECK(open.open_count() == 2);
  const std::uint64_t before = fs.calls(Fault::kReadError);
  REQUIRE(open.Open(5, PathOf(5), bytes));
  CHECK(fs.calls(Fault::kReadError) == before);
  CHECK((*held)->ReadAll(nullptr).has_value());      // closed for others, not for who holds it
  open.Forget(5);
  CHECK(open.open_count() == 1);
}

TEST_CASE("a blob file that is missing or has another size is damage, by name", "[blob]") {
  FaultFileSystem fs;
  WriteFiles(fs, 1);
  OpenBlobs open(fs, 2);
  CHECK(open.Open(9, PathOf(9), 100).error().message() == "blob9: the blob file is missing");
  const auto short_one = open.Open(1, PathOf(1), 1000);
  CHECK(short_one.error().code() == StatusCode::kCorruption);
  CHECK(short_one.error().message().starts_with("blob1: offset 588: the file ends here"));
}

TEST_CASE("a value is read from the disk once, pinned without a copy, and refused to who may not wait", "[blob]") {
  FaultFileSystem fs;
  const std::vector<Stored> values = WriteFiles(fs, 1);
  const auto store = std::make_shared<TableStore>(fs, 1 << 20, 0, 16);
  const BlobFile file(1, *fs.FileSize(PathOf(1)), PathOf(1), store, nullptr);
  const std::uint64_t hash = Hash(values[0].key);
  CHECK(file.Get(values[0].pointer, hash, {.memory_only = true}).error().code() == StatusCode::kWouldBlock);
  const auto uncached = file.Get(values[0].pointer, hash, {.memory_only = false, .fill_cache = false});
  REQUIRE(uncached);
  CHECK((*uncached)->value() == values[0].value);
  CHECK_FALSE(file.Get(values[0].pointer, hash, {.memory_only = true}));
  const auto first = file.Get(values[0].pointer, hash, {});
  const auto second = file.Get(values[0].pointer, hash, {.memory_only = true});
  REQUIRE(second);
  CHECK((*first)->value().data() == (*second)->value().data());
  CHECK(file.Get(values[0].pointer, hash + 1, {}).error().message() == "blob1: offset 32: this is another key's value");
  store->block_cache.EraseTable(1);
  CHECK_FALSE(file.Get(values[0].pointer, hash, {.memory_only = true}));
  CHECK((*second)->value() == values[0].value);
}

TEST_CASE("a blob file that is obsolete goes with its last holder", "[blob]") {
  FaultFileSystem fs;
  const auto janitor = std::make_shared<FileJanitor>();
  auto file = std::make_shared<const BlobFile>(1, 100, "b", nullptr, janitor);
  BlobFilePtr reader = file;
  file->MarkObsolete();
  file.reset();
  CHECK(janitor->Take().empty());
  reader.reset();
  CHECK(janitor->Take().size() == 1);
}

TEST_CASE("many readers of few files at once", "[blob][threads]") {
  FaultFileSystem fs;
  const std::vector<Stored> values = WriteFiles(fs, 8);
  const auto store = std::make_shared<TableStore>(fs, 2000, 0, 4);      // keeps little, so that files are opened and closed
  std::vector<std::unique_ptr<BlobFile>> files;
  for (std::uint64_t id = 1; id <= 8; ++id) files.push_back(std::make_unique<BlobFile>(id, *fs.FileSize(PathOf(id)), PathOf(id), store, nullptr));
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937_64 random(thread);
      for (int i = 0; i < 1000; ++i) {
        const std::size_t at = random() % 8;
        const auto value = files[at]->Get(values[at].pointer, Hash(values[at].key), {});
        if (!value || (*value)->value() != values[at].value) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
}
