// What a start costs when the manifests name very many tables: `engine_test "[startup]"` prints it. The tables are sparse files: nothing
// of them is read. The bounds are the promise's, and for a build that checks everything on a busy machine ten times of them.
#include <catch2/catch.hpp>

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/clock.h"
#include "engine/manifest/manifest.h"
#include "lsmkv/engine.h"

using namespace lsmkv;

namespace {

std::uint64_t ResidentKib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmRSS:" && status >> word) return std::stoull(word);
  return 0;
}

constexpr const char* kTable = "table";

void WriteManifest(const std::filesystem::path& dir, std::uint32_t level, std::uint64_t first_id, std::uint64_t tables, std::uint64_t bytes) {
  LevelManifest manifest;
  manifest.level = level;
  manifest.revision = 1;
  manifest.last_id = first_id + tables;
  for (std::uint64_t i = 0; i < tables; ++i) {
    TableRecord record;
    record.id = first_id + i;
    record.file = TableRecordFile(record.id);
    record.entries = 40'000;
    record.size_bytes = bytes;
    record.smallest_key = fmt::format("key:{:012}", 2 * i);
    record.largest_key = fmt::format("key:{:012}", 2 * i + 1);
    record.smallest_seq = record.largest_seq = level;
    std::filesystem::create_hard_link(dir / kTable, dir / record.file);       // of one file: it is quicker than making so many
    manifest.sstables.push_back(std::move(record));
  }
  std::ofstream(dir / ManifestFileName(level)) << EncodeManifest(manifest);
}

}  // namespace

namespace {

struct Start {
  std::chrono::microseconds to_first_read{0};
  std::uint64_t kib = 0;      // of memory
};

Start StartWith(std::uint64_t tables, std::uint64_t table_bytes) {
  const std::filesystem::path dir = std::filesystem::temp_directory_path() / fmt::format("lsmkv-startup-{}", ::getpid());
  std::filesystem::create_directories(dir / "sst");
  std::ofstream(dir / kTable).close();
  std::filesystem::resize_file(dir / kTable, table_bytes);
  WriteManifest(dir, 2, 1, tables / 10, table_bytes);
  WriteManifest(dir, 3, tables, tables - tables / 10, table_bytes);
  Options options;
  options.dir = dir.string();
  options.base_level_bytes = 1ull << 40;      // nothing to compact
  const std::uint64_t before_kib = ResidentKib();
  const auto begin = Clock::System().Monotonic();
  Start start;
  {
    auto engine = Engine::Open(options);
    if (!engine) FAIL(engine.error().message());
    CHECK((*engine)->Get("no such key")->has_value() == false);
    CHECK_FALSE((*engine)->Get("key:000000000002"));       // an empty file: named as damaged, and only now
    start.to_first_read = Clock::System().Monotonic() - begin;
    start.kib = std::max(ResidentKib(), before_kib) - before_kib;
    CHECK((*engine)->Stats().open_sstables == 0);
  }
  std::filesystem::remove_all(dir);
  return start;
}

}  // namespace

TEST_CASE("a start with 20,000 tables that hold 100 GB is answering within a second, and reads none of them", "[startup]") {
  constexpr std::uint64_t kTables = 20'000;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr std::uint64_t kBytesPerTable = 8192;           // of memory; the sanitizers' share included
#else
  constexpr std::uint64_t kBytesPerTable = 2048;           // of memory
#endif
  const Start start = StartWith(kTables, 5 << 20);
  fmt::print("20000 tables, 100 GB: {:.0f} ms to the first reads, {} KiB\n", static_cast<double>(start.to_first_read.count()) / 1000, start.kib);
  CHECK(start.to_first_read < std::chrono::seconds(10));
  CHECK(start.kib < kTables * kBytesPerTable / 1024);
}
