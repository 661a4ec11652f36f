// An engine over the in-memory file system, with limits so small that every path is taken in few steps.
#pragma once

#include <catch2/catch.hpp>

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "fs/fault_file_system.h"
#include "lsmkv/engine.h"

namespace lsmkv::engine_test {

/// Wall time is moved by the test, monotonic time is real: the scheduler's pauses pass by themselves.
class WallClock final : public Clock {
 public:
  std::uint64_t WallMillis() const override { return wall_ms_.load(); }
  std::chrono::microseconds Monotonic() const override { return Clock::System().Monotonic(); }
  void Advance(std::uint64_t ms) { wall_ms_ += ms; }
  void GoBack(std::uint64_t ms) { wall_ms_ -= ms; }

 private:
  std::atomic<std::uint64_t> wall_ms_{1'700'000'000'000};
};

inline Options TinyOptions(FileSystem* fs, Clock* clock = nullptr) {
  Options options;
  options.dir = "db";
  options.file_system = fs;
  options.clock = clock;
  options.memtable_entries = 40;
  options.base_level_entries = 100;
  options.base_level_bytes = 0;
  options.level_ratio = 3;
  options.max_sstable_bytes = 2000;
  options.block_bytes = 256;
  options.block_cache_bytes = 64 << 10;
  options.row_cache_percent = 0;       // so that a read reaches the tables; engine_row_cache_test has its own
  options.max_open_sstables = 4;
  return options;
}

inline std::uint32_t NumberFrom(const char* variable, std::uint32_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

/// How many seeds: the long form with LSMKV_LONG_TESTS=1, or what LSMKV_SEEDS says.
inline std::uint32_t Seeds(std::uint32_t usual, std::uint32_t many) {
  return NumberFrom("LSMKV_SEEDS", std::getenv("LSMKV_LONG_TESTS") != nullptr ? many : usual);
}
/// The first of them: 0, or LSMKV_FIRST_SEED. With LSMKV_SEEDS=1 that seed alone is replayed.
inline std::uint32_t FirstSeed() { return NumberFrom("LSMKV_FIRST_SEED", 0); }

inline std::unique_ptr<Engine> MustOpen(const Options& options) {
  Result<std::unique_ptr<Engine>> engine = Engine::Open(options);
  if (!engine) FAIL(engine.error().message());
  return std::move(*engine);
}

inline Status Put(Engine& engine, std::string_view key, std::string_view value, std::uint64_t expire_at_ms = 0) {
  WriteBatch batch;
  batch.Put(key, value, expire_at_ms);
  return engine.Write(batch).status();
}
inline Status Delete(Engine& engine, std::string_view key) {
  WriteBatch batch;
  batch.Delete(key);
  return engine.Write(batch).status();
}
inline std::optional<std::string> Get(Engine& engine, std::string_view key, const ReadOptions& options = {}) {
  Result<std::optional<PinnedValue>> value = engine.Get(key, options);
  if (!value) FAIL(value.error().message());
  if (!value->has_value()) return std::nullopt;
  return std::string((*value)->data());
}
inline std::map<std::string, std::string> Contents(Engine& engine, const ReadOptions& options = {}) {
  std::map<std::string, std::string> contents;
  const auto it = engine.NewIterator(options);
  for (it->SeekToFirst(); it->Valid(); it->Next()) contents.emplace(it->key(), it->value());
  if (!it->status().ok()) FAIL(it->status().message());
  return contents;
}

/// The power goes, and the process with it: nothing that an engine still does reaches the disk. What is left is to destroy it; then
/// ClearFaults() gives the disk back.
inline void CutPower(FaultFileSystem& fs, std::uint64_t seed, CutMode mode) {
  fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);
  fs.PowerCut(seed, mode);
}

/// Until the files that compactions have replaced are gone from disk.
inline void WaitForObsoleteFiles(Engine& engine, FileSystem& fs) {
  const auto files_in = [&fs](const char* folder) { return fs.ListDirectory(folder).value_or(std::vector<std::string>()).size(); };
  while (true) {
    engine.ReleaseThreadView();
    const EngineStats stats = engine.Stats();
    std::uint64_t tables = 0;
    for (const LevelInfo& level : stats.levels) tables += level.sstables;
    if (files_in("db/sst") == tables && files_in("db/blob") == stats.blob_files) return;
    std::this_thread::yield();
  }
}

}  // namespace lsmkv::engine_test
