// The manifest of one level: which SSTables it consists of. Small readable JSON, rewritten whole; manifest_store.h does the
// writing and the commit protocol, this file knows the text.
//
//   { "format": 1, "level": 1, "revision": 42, "wal_floor": null, "last_id": 7, "written_at": "2026-03-01T12:00:07.123Z",
//     "sstables": [ { "id": 7, "file": "sst/sstable_000007.sst", ... "replaces": [[0, 4], [0, 5]] } ],
//     "checksum": "xxh3:8f2c..." }
//
//   keys       printable ASCII as it is, a backslash as \\, every other byte as \xNN (in JSON each backslash doubles)
//   times      ISO-8601, UTC, milliseconds; past the year 9999 the number of milliseconds since 1970
//   checksum   of everything but itself, as compact JSON in the order of the file: white space may be changed, nothing else
//   wal_floor  L0 only: the oldest WAL segment that holds writes not in tables. `flushed_sequence` goes with it: the last
//              write that is in tables.
//   last_id    the largest table id given out when it was written, so that no id is used twice after its table is gone
//   replaces   [level, id] of tables in other manifests that count no more, whether these say so yet or not
//   blobs      [id, entries, live_bytes, file_bytes] of each blob file that the table refers to, with how many entries and how
//              many bytes of it; only where there are any. What no table refers to is a blob file's garbage.
//
// Fields that this version does not know are ignored in format 1 and would be lost by a rewrite; what older code
// must not ignore takes a new format number, which it refuses by name.
// Not here  whether the named files are there (manifest_store.h), what is in them (sstable/).
#pragma once

#include <cstdint>
#include <optional>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/manifest/file_names.h"
#include "lsmkv/status.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

inline constexpr std::uint32_t kManifestFormat = 1;
/// More text than this is not a manifest of ours: such a one is neither written nor read, which takes about twice as much memory.
inline constexpr std::uint64_t kMaxManifestBytes = 1ull << 30;

/// A table of another manifest, by its level and id.
using TableRef = std::pair<std::uint32_t, std::uint64_t>;

/// What a table refers to in one blob file, whose id comes from the same counter as the tables'.
struct BlobRef {
  std::uint64_t id = 0;
  std::uint64_t entries = 0;
  std::uint64_t live_bytes = 0;               ///< of the records that these entries point to
  std::uint64_t file_bytes = 0;               ///< of the whole file, whoever refers to the rest

  bool operator==(const BlobRef&) const = default;
};

/// What a manifest says of one SSTable; what TableProperties (sstable/) says, and where it is.
struct TableRecord {
  std::uint64_t id = 0;                       ///< 1 or more
  std::string file;                           ///< relative to the data directory: "sst/sstable_000007.sst"
  std::uint64_t entries = 0;                  ///< tombstones included
  std::uint64_t tombstones = 0;
  std::uint64_t size_bytes = 0;
  std::string smallest_key;
  std::string largest_key;
  SequenceNumber smallest_seq = 0;
  SequenceNumber largest_seq = 0;
  std::uint64_t created_at_ms = 0;            ///< since 1970, like all of these
  std::uint64_t expiring = 0;                 ///< entries that expire at some time
  std::uint64_t expires_first_ms = 0;         ///< meaningful if expiring > 0
  std::uint64_t expires_last_ms = 0;
  std::vector<TableRef> replaces;
  std::vector<BlobRef> blobs;                 ///< ascending by id

  bool operator==(const TableRecord&) const = default;
};

struct LevelManifest {
  std::uint32_t level = 0;
  std::uint64_t revision = 0;                 ///< counts the writes of this level
  std::optional<std::uint64_t> wal_floor;     ///< L0 only
  std::optional<SequenceNumber> flushed_sequence;  ///< L0 only
  std::uint64_t last_id = 0;
  std::uint64_t written_at_ms = 0;
  std::vector<TableRecord> sstables;          ///< L0: in the order they were added; deeper: by key, without overlap

  bool operator==(const LevelManifest&) const = default;
};

/// Errors   kCorruption: figures no level of ours can have. Looked at before every write and after every read.
Status CheckManifest(const LevelManifest& manifest);
using TextSink = std::function<Status(std::string_view piece)>;
/// Hands the text of a manifest, which ends in a newline, to `sink` piece by piece: with large keys it is never in memory whole.
/// Errors   the sink's first, which ends it.
Status EncodeManifest(const LevelManifest& manifest, const TextSink& sink);
std::string EncodeManifest(const LevelManifest& manifest);
/// How long the text is; what is surely not more than `enough` is not counted, and a bound is the answer.
std::uint64_t ManifestBytes(const LevelManifest& manifest, std::uint64_t enough);
/// Errors   kCorruption: damaged, changed by hand, or impossible figures; kUnsupported: a newer format. Messages start with
///          `file_name` and say what can be done.
Result<LevelManifest> DecodeManifest(std::string_view text, std::string_view file_name);

}  // namespace lsmkv
