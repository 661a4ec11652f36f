// Makes a bundle (bundle_description.h): a sorted stream of values into tables, and the description at the end.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "engine/bundle/bundle_description.h"
#include "engine/sstable/table_builder.h"
#include "fs/file_system.h"

namespace lsmkv {

struct BundleOptions {
  TableOptions table;
  std::uint64_t max_table_bytes = 64ull << 20;   ///< a table ends when it is reached
};

/// One thread. A bundle that is not finished has no description, and nobody takes it in.
class BundleWriter {
 public:
  /// `dir` exists and is empty. The others outlive the writer.
  BundleWriter(FileSystem& fs, Clock& clock, std::string dir, std::string key_prefix, const BundleOptions& options);
  ~BundleWriter();
  BundleWriter(const BundleWriter&) = delete;
  BundleWriter& operator=(const BundleWriter&) = delete;

  /// `key` has the prefix and is greater than all before; both fit an engine (kMaxKeyBytes, kMaxValueBytes).
  /// @param expire_at_ms  0: never.
  /// Errors: the file's, repeated by every later call.
  Status Add(std::string_view key, std::string_view value, std::uint64_t expire_at_ms);
  /// Everything is durable when it returns. Errors: the files'; kInvalidArgument when nothing was added.
  Result<BundleDescription> Finish();

 private:
  Status OpenTable();
  Status CloseTable();
  Status WriteDescription();

  FileSystem& fs_;
  Clock& clock_;
  const std::string dir_;
  const BundleOptions options_;
  BundleDescription bundle_;
  std::unique_ptr<WritableFile> file_;             // before the builder: destroyed after it
  std::unique_ptr<TableBuilder> builder_;
  Status status_;                                  // the first error
};

}  // namespace lsmkv
