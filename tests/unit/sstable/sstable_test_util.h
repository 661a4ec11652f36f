// Tables made from a std::map, and what such a map says about them.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/hash.h"
#include "engine/sstable/table.h"
#include "engine/sstable/table_builder.h"
#include "fs/fault_file_system.h"

namespace lsmkv::sstable_test {

struct Version {
  std::string value;
  SequenceNumber sequence = 1;
  std::uint64_t expire_at_ms = 0;
  EntryKind kind = EntryKind::kValue;
  friend bool operator==(const Version&, const Version&) = default;
};
using Model = std::map<std::string, Version>;

inline Version VersionOf(const EntryView& entry) {
  return {std::string(entry.value), entry.sequence, entry.expire_at_ms, entry.kind};
}

inline std::string RandomBytes(std::mt19937_64& random, std::size_t size, unsigned alphabet) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() % alphabet);
  return bytes;
}

inline Version RandomVersion(std::mt19937_64& random, std::size_t max_value_bytes) {
  Version version;
  version.sequence = random() >> random() % 64;
  version.kind = static_cast<EntryKind>(random() % 3);
  if (version.kind != EntryKind::kTombstone)
    version.value = RandomBytes(random, random() % (max_value_bytes + 1), random() % 2 == 0 ? 4 : 256);
  if (version.kind == EntryKind::kExpiringValue) version.expire_at_ms = 1'700'000'000'000 + random() % 10'000'000'000;
  return version;
}

/// Keys over a small alphabet, so that many share long prefixes and some are prefixes of others; the empty key among them.
inline Model RandomModel(std::mt19937_64& random, std::size_t count, std::size_t max_key_bytes,
                         std::size_t max_value_bytes) {
  Model model;
  model[""] = RandomVersion(random, max_value_bytes);
  for (std::size_t tries = 0; model.size() < count && tries < 20 * count; ++tries) {
    const unsigned alphabet = random() % 4 == 0 ? 256 : 3;
    model[RandomBytes(random, random() % (max_key_bytes + 1), alphabet)] = RandomVersion(random, max_value_bytes);
  }
  return model;
}

inline TableProperties WriteTable(FileSystem& fs, const std::string& path, const Model& model,
                                  const TableOptions& options) {
  auto file = fs.NewWritableFile(path);
  REQUIRE(file);
  TableBuilder builder(**file, options);
  for (const auto& [key, version] : model) {
    REQUIRE(builder.Add({key, version.value, version.sequence, version.expire_at_ms, version.kind}).ok());
  }
  REQUIRE(builder.Finish().ok());
  REQUIRE(builder.file_bytes() == (*file)->size());
  REQUIRE((*file)->Close().ok());
  return builder.properties();
}

/// A table in a file system of its own, open, with a cache.
struct TestTable {
  explicit TestTable(const Model& model, const TableOptions& options = {}, std::uint64_t cache_bytes = 64u << 20)
      : cache(cache_bytes) {
    properties = WriteTable(fs, "t.sst", model, options);
    table = Reopen();
  }
  std::unique_ptr<Table> Reopen() {
    auto file = fs.NewRandomAccessFile("t.sst");
    REQUIRE(file);
    auto opened = Table::Open(std::move(*file), {"t.sst", 7, &cache, &counters});
    REQUIRE(opened);
    return std::move(*opened);
  }
  Status Get(std::string_view key, TableGetResult* result, ReadMode mode = {}) const {
    return table->Get(key, Hash(key), mode, result);
  }
  std::uint64_t reads() const { return fs.calls(Fault::kReadError); }

  FaultFileSystem fs;
  BlockCache cache;
  FilterCounters counters;
  TableProperties properties;
  std::unique_ptr<Table> table;
};

/// Walks from where the iterator stands to the end.
inline Model Collect(InternalIterator& iterator) {
  Model found;
  for (; iterator.Valid(); iterator.Next()) {
    const std::string key(iterator.entry().key);
    if (!found.empty()) REQUIRE(found.rbegin()->first < key);
    found.emplace_hint(found.end(), key, VersionOf(iterator.entry()));
  }
  return found;
}

inline std::string NumberedKey(std::uint64_t number) {
  char key[32];
  return std::string(key, static_cast<std::size_t>(
                              std::snprintf(key, sizeof(key), "user:%010llu", static_cast<unsigned long long>(number))));
}

}  // namespace lsmkv::sstable_test
