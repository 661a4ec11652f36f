// How long a start takes when the manifests name very many tables: `engine_test "[startup]"` prints it. Hidden: a figure of the
// machine, not a promise a test can keep. The tables are sparse files: nothing of them is read.
#include <catch2/catch.hpp>

#include <fmt/core.h>
#include <unistd.h>

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
    std::ofstream(dir / record.file).close();
    std::filesystem::resize_file(dir / record.file, bytes);
    manifest.sstables.push_back(std::move(record));
  }
  std::ofstream(dir / ManifestFileName(level)) << EncodeManifest(manifest);
}

}  // namespace

TEST_CASE("start with 20,000 tables that hold 100 GB", "[.][startup]") {
  const std::filesystem::path dir = std::filesystem::temp_directory_path() / fmt::format("lsmkv-startup-{}", ::getpid());
  std::filesystem::create_directories(dir / "sst");
  constexpr std::uint64_t kTableBytes = 5 << 20;
  WriteManifest(dir, 2, 1, 2'000, kTableBytes);
  WriteManifest(dir, 3, 10'000, 18'000, kTableBytes);
  Options options;
  options.dir = dir.string();
  options.base_level_bytes = 1ull << 40;      // nothing to compact
  const std::uint64_t before_kib = ResidentKib();
  const auto start = Clock::System().Monotonic();
  {
    auto engine = Engine::Open(options);
    if (!engine) FAIL(engine.error().message());
    const auto opened = Clock::System().Monotonic();
    CHECK((*engine)->Get("no such key")->has_value() == false);
    CHECK_FALSE((*engine)->Get("key:000000000002"));       // an empty file: named as damaged, and only now
    const auto read = Clock::System().Monotonic();
    fmt::print("20000 tables, 100 GB: open {:.0f} ms, first reads {:.1f} ms, {} KiB more in memory\n",
               static_cast<double>((opened - start).count()) / 1000, static_cast<double>((read - opened).count()) / 1000,
               ResidentKib() - before_kib);
    CHECK((*engine)->Stats().open_sstables == 0);
  }
  std::filesystem::remove_all(dir);
}
