#pragma once

#include <catch2/catch.hpp>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/manifest/manifest.h"
#include "engine/manifest/manifest_store.h"
#include "engine/manifest/text_values.h"
#include "engine/manifest/version_edit.h"
#include "fs/fault_file_system.h"

namespace lsmkv::manifest_test {

inline constexpr std::uint64_t kTableBytes = 100;

inline TableRecord Table(std::uint64_t id, std::string smallest = "a", std::string largest = "z") {
  TableRecord table;
  table.id = id;
  table.file = TableRecordFile(id);
  table.entries = 10;
  table.tombstones = 2;
  table.size_bytes = kTableBytes;
  table.smallest_key = std::move(smallest);
  table.largest_key = std::move(largest);
  table.smallest_seq = id * 10;
  table.largest_seq = id * 10 + 9;
  table.created_at_ms = 1'772'366'406'998;
  return table;
}

inline std::string RandomBytes(std::mt19937_64& random) {
  std::string bytes(random() % 12, '\0');
  for (char& byte : bytes) byte = random() % 2 == 0 ? static_cast<char>(random()) : "\\x\"/ab09"[random() % 8];
  return bytes;
}

/// Which tables count, as (level, id).
using Tree = std::set<TableRef>;

inline Tree TreeOf(const Manifests& manifests) {
  Tree tree;
  for (const auto& [level, manifest] : manifests) {
    for (const TableRecord& table : manifest.sstables) tree.insert({level, table.id});
  }
  return tree;
}

inline Tree After(Tree tree, const VersionEdit& edit) {
  for (const TableRef& ref : edit.removed) tree.erase(ref);
  for (const TableRecord& table : edit.added) tree.insert({edit.target_level, table.id});
  return tree;
}

/// Applies a plan the way the disk would.
inline void Write(Manifests* on_disk, const std::vector<LevelManifest>& writes) {
  for (const LevelManifest& manifest : writes) (*on_disk)[manifest.level] = manifest;
}

}  // namespace lsmkv::manifest_test
