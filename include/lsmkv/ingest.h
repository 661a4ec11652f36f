// Taking in tables that were built elsewhere: a bundle (a directory made by `lsmkv-tool build`) becomes part of the tree as a whole.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "lsmkv/status.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

/// Where a bundle's keys are to lie.
struct IngestPlace {
  std::string prefix;               ///< takes the place of the bundle's own prefix
  std::uint64_t revision = 0;       ///< changes whenever what the prefix means changes
  bool operator==(const IngestPlace&) const = default;
};

struct IngestRequest {
  std::string bundle;               ///< the directory; it is only read
  /// Given the prefix of the bundle's keys. Asked before and after the moment of the ingest is fixed, until both answers are
  /// the same: so the keys go where the prefix meant at that moment. Null: the keys stay as they are.
  std::function<Result<IngestPlace>(std::string_view bundle_prefix)> place;
};

struct IngestReport {
  std::uint64_t entries = 0;        ///< of the bundle
  std::uint64_t bytes = 0;          ///< likewise
  std::uint32_t level = 0;          ///< where its entries came to lie
  std::uint64_t merged_bytes = 0;   ///< of tables that had to be rewritten with them
  SequenceNumber sequence = 0;      ///< of all its entries
};

}  // namespace lsmkv
