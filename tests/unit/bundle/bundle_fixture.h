// Bundles in a file system in memory.
#pragma once

#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <string>

#include "engine/bundle/bundle.h"
#include "engine/bundle/bundle_writer.h"
#include "fs/fault_file_system.h"

namespace lsmkv::bundle_test {

struct Value {
  std::string bytes;
  std::uint64_t expire_at_ms = 0;
  friend bool operator==(const Value&, const Value&) = default;
};
using Model = std::map<std::string, Value>;

inline BundleDescription WriteBundle(FileSystem& fs, const std::string& dir, const std::string& prefix, const Model& model,
                                     std::uint64_t max_table_bytes) {
  REQUIRE(fs.CreateDirectories(dir).ok());
  BundleOptions options;
  options.table.block_bytes = 256;
  options.max_table_bytes = max_table_bytes;
  BundleWriter writer(fs, Clock::System(), dir, prefix, options);
  for (const auto& [key, value] : model) REQUIRE(writer.Add(prefix + key, value.bytes, value.expire_at_ms).ok());
  const Result<BundleDescription> made = writer.Finish();
  REQUIRE(made);
  return *made;
}

inline std::shared_ptr<const Bundle> MustOpen(FileSystem& fs, const std::string& dir) {
  Result<std::shared_ptr<const Bundle>> bundle = Bundle::Open(fs, dir);
  if (!bundle) FAIL(bundle.error().message());
  return *bundle;
}

/// From where the iterator stands to its end; each key without `prefix`.
inline Model Collect(InternalIterator& iterator, const std::string& prefix, SequenceNumber sequence) {
  Model found;
  for (; iterator.Valid(); iterator.Next()) {
    const EntryView& entry = iterator.entry();
    REQUIRE(entry.key.starts_with(prefix));
    REQUIRE(entry.sequence == sequence);
    const std::uint64_t deadline = entry.kind == EntryKind::kExpiringValue ? entry.expire_at_ms : 0;
    found.emplace_hint(found.end(), entry.key.substr(prefix.size()), Value{std::string(entry.value), deadline});
  }
  return found;
}

inline Model SomeModel(int entries, const std::string& value_tail = "") {
  Model model;
  for (int i = 0; i < entries; ++i) {
    const std::uint64_t deadline = i % 5 == 0 ? 1'900'000'000'000 + static_cast<std::uint64_t>(i) : 0;
    model["k" + std::to_string(100'000 + i) + std::string(1, '\0')] = {"v" + std::to_string(i) + value_tail, deadline};
  }
  return model;
}

}  // namespace lsmkv::bundle_test
