// Which tables make up the tree at one moment. A Version never changes once it is published: flushes and compactions make a
// new one, and whoever still reads the old one keeps its tables on disk by holding it.
//
// Invariants
//   1. levels[0] is ordered newest first (largest sequence number descending); its tables may overlap.
//   2. levels[n], n > 0, is ordered by key and its tables do not overlap: no key stands twice in a level.
//   3. Along L0 newest..oldest, L1, L2, ... the versions of one key only get older.
//   4. What a blob file's tables in this version do not refer to is its garbage; one that no table refers to is in no version.
//   5. A table or blob file removed from the tree is deleted when the last holder of its object lets go (FileJanitor).
// Threads  immutable; shared by shared_ptr<const Version>.
// Source   LevelDB's doc/impl.md; Pebble's readState for the pinning.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/version/level_limits.h"
#include "engine/version/table_file.h"
#include "lsmkv/engine.h"

namespace lsmkv {

using LevelTables = std::vector<TablePtr>;

LevelFigures FiguresOf(std::span<const TablePtr> tables);

/// What one commit changes.
struct VersionChange {
  struct Added {
    std::uint32_t level;
    TablePtr table;
  };
  std::vector<Added> added;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> removed;   ///< (level, table id)
  bool new_entries = false;              ///< some were in no table and no memtable before
  /// It is added at one level and taken away at another.
  bool Moves(std::uint64_t id) const {
    const auto is_it = [id](const auto& entry) { return entry.second == id; };
    return std::ranges::any_of(added, [id](const Added& a) { return a.table->id() == id; }) && std::ranges::any_of(removed, is_it);
  }
};

class Version {
 public:
  Version() = default;
  /// Sorts each level as invariants 1 and 2 ask. kCorruption when tables of a level > 0 overlap.
  static Result<std::shared_ptr<const Version>> Make(std::vector<LevelTables> levels);
  Result<std::shared_ptr<const Version>> With(const VersionChange& change) const;

  /// Number of levels that exist, trailing empty ones left out.
  std::uint32_t level_count() const { return static_cast<std::uint32_t>(levels_.size()); }
  std::span<const TablePtr> level(std::uint32_t n) const {
    return n < levels_.size() ? std::span<const TablePtr>(levels_[n]) : std::span<const TablePtr>();
  }
  LevelFigures figures(std::uint32_t n) const { return n < figures_.size() ? figures_[n] : LevelFigures{}; }

  /// What the tables refer to in blob files.
  const BlobUsages& blobs() const { return blobs_; }
  /// A hint that ReadBlob(entry) follows.
  void WillReadBlob(const EntryView& entry) const;
  /// The value of a kBlob entry of one of this version's tables. `key_hash` is the key's Hash(). Errors: BlobFile::Get's.
  Result<PinnedValue> ReadBlob(const EntryView& entry, std::uint64_t key_hash, ReadMode mode) const;

  /// Level n > 0: the only table that may hold `key`, or null.
  const TablePtr* FindTable(std::uint32_t n, std::string_view key) const;
  /// Tables of level n that touch [smallest, largest], in the level's order.
  std::vector<TablePtr> Overlapping(std::uint32_t n, std::string_view smallest, std::string_view largest) const;
  bool Contains(std::uint32_t n, std::uint64_t id) const;

 private:
  static Result<std::shared_ptr<const Version>> Make(std::vector<LevelTables> levels, BlobUsages blobs);

  std::vector<LevelTables> levels_;
  std::vector<LevelFigures> figures_;
  BlobUsages blobs_;
};

using VersionPtr = std::shared_ptr<const Version>;

/// The smallest and largest key of some tables.
struct KeySpan {
  std::string smallest;
  std::string largest;
  bool Overlaps(const KeySpan& other) const { return smallest <= other.largest && other.smallest <= largest; }
};
std::optional<KeySpan> SpanOf(std::span<const TablePtr> tables);

/// The tables of a version that may hold a key, in the order in which a lookup asks them: the newest first. Both outlive it.
class CandidateTables {
 public:
  CandidateTables() = default;
  CandidateTables(const Version& version, std::string_view key) : version_(&version), key_(key) {}

  /// Null: there are no more.
  const TablePtr* Next() {
    if (level_ == 0) {
      const std::span<const TablePtr> tables = version_->level(0);
      while (in_l0_ < tables.size())
        if (const TablePtr& table = tables[in_l0_++]; table->MayHold(key_)) return &table;
    }
    while (level_ + 1 < version_->level_count())
      if (const TablePtr* const table = version_->FindTable(++level_, key_)) return table;
    return nullptr;
  }

 private:
  const Version* version_ = nullptr;
  std::string_view key_;
  std::uint32_t level_ = 0;
  std::size_t in_l0_ = 0;
};

}  // namespace lsmkv
