// A bundle: SSTables that were built outside of any engine, to be taken in as a whole (Engine::Ingest). A directory that holds
//
//   bundle.json         which tables there are and what is in them; written last, so a directory without it is unfinished
//   table_000001.sst    one sorted run, cut into tables: their keys ascend strictly from the first to the last, through all
//   table_000002.sst    of them. The entries' sequence numbers are 0: an engine gives them the one of their arrival.
//
//   { "format": 1, "key_prefix": "\\x10\\x00", "entries": 3000, "made_at": "2026-03-01T12:00:07.123Z",
//     "tables": [ { "file": "table_000001.sst", "entries": 1500, "expiring": 0, "size_bytes": 5767168,
//                   "smallest_key": "\\x10\\x00a", "largest_key": "\\x10\\x00m" }, ... ],
//     "checksum": "xxh3:8f2c..." }
//
//   key_prefix   what every key begins with. Who ingests may put another prefix in its place, which keeps the order; so a
//                bundle need not know where in an engine its keys will lie.
//   checksum     of everything but itself, as compact JSON in the order of the file; keys are escaped as in a manifest
//
// Not here  the tables' own format (sstable/format.h), reading them (bundle.h), writing them (bundle_writer.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lsmkv/status.h"

namespace lsmkv {

inline constexpr std::uint32_t kBundleFormat = 1;
inline constexpr std::string_view kBundleFileName = "bundle.json";

struct BundleTable {
  std::string file;                 ///< without a folder
  std::uint64_t entries = 0;        ///< 1 or more
  std::uint64_t expiring = 0;       ///< of them, with a deadline
  std::uint64_t size_bytes = 0;
  std::string smallest_key;
  std::string largest_key;

  bool operator==(const BundleTable&) const = default;
};

struct BundleDescription {
  std::string key_prefix;           ///< may be empty
  std::uint64_t entries = 0;
  std::uint64_t made_at_ms = 0;     ///< since 1970
  std::vector<BundleTable> tables;  ///< in key order; 1 or more

  std::uint64_t size_bytes() const;
  bool operator==(const BundleDescription&) const = default;
};

/// "table_000001.sst".
std::string BundleTableFile(std::uint64_t number);

/// The text of bundle.json, which ends in a newline.
std::string EncodeBundle(const BundleDescription& bundle);
/// Errors   kCorruption: damaged, changed by hand, or impossible figures; kUnsupported: a newer format. Messages start with
///          `file_name`.
Result<BundleDescription> DecodeBundle(std::string_view text, std::string_view file_name);

}  // namespace lsmkv
