#pragma once

#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <vector>

#include "engine/bundle/bundle_writer.h"
#include "fs/fault_file_system.h"

namespace lsmkv::engine_test {

struct BundleEntry {
  std::string value;
  std::uint64_t expire_at_ms = 0;
};
using Entries = std::map<std::string, BundleEntry>;

/// A bundle of several small tables.
inline void WriteBundle(FileSystem& fs, const std::string& dir, const Entries& entries, const std::string& prefix = "",
                        std::uint64_t max_table_bytes = 1500) {
  REQUIRE(fs.CreateDirectories(dir).ok());
  REQUIRE(fs.SyncDirectory(".").ok());
  BundleOptions options;
  options.table.block_bytes = 256;
  options.max_table_bytes = max_table_bytes;
  BundleWriter writer(fs, Clock::System(), dir, prefix, options);
  for (const auto& [key, entry] : entries) REQUIRE(writer.Add(key, entry.value, entry.expire_at_ms).ok());
  REQUIRE(writer.Finish());
}

inline std::vector<std::string> TableFiles(FileSystem& fs) {
  const auto names = fs.ListDirectory("db/sst");
  REQUIRE(names);
  return *names;
}

inline Entries NumberedEntries(int from, int to, const std::string& value) {
  Entries entries;
  for (int i = from; i < to; ++i) entries["key:" + std::to_string(1000 + i)] = {value, 0};
  return entries;
}

}  // namespace lsmkv::engine_test
