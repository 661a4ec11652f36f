// One commit: what it changes, and in which order the manifests are written so that there is one moment at which it
// happens. Pure; manifest_store.h carries it out.
//
//   0. a manifest that still says `replaces` of a table which now comes (back) to the target is rewritten without it
//   1. the new tables and their directory are synced                            the caller has done it
//   2. the target's manifest, whose new tables replace the inputs               its rename is the commit point
//   3. the manifests of the other levels, without the inputs
//   4. `replaces` is dropped at the target's next write
//
// An edit that adds nothing has no target to commit in; its manifests are written deepest level first. What it removes is
// dead as a whole, so each write by itself takes away older data before the newer that hides it.
//
// Invariants
//   1. The steps of one commit are all done before the next begins. So whatever `replaces` an old manifest still holds is
//      about tables that no manifest names any more, but for a table that moves back: hence step 0.
//   2. Of two manifests on disk at any moment, never does each replace a table of the other.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "engine/manifest/manifest.h"

namespace lsmkv {

struct VersionEdit {
  std::uint32_t target_level = 0;
  /// For the target. `replaces` may be left empty: every table in `removed` that is not of the target level is filled in.
  std::vector<TableRecord> added;
  std::vector<TableRef> removed;                   ///< from any levels; a moved table is both added and removed
  std::optional<std::uint64_t> wal_floor;          ///< moves with a flush
  std::optional<SequenceNumber> flushed_sequence;  ///< likewise: the last write below that floor
};

/// The manifests as they are on disk, by level.
using Manifests = std::map<std::uint32_t, LevelManifest>;

/// The writes that commit `edit`, in order. `last_id` and `now_ms` go into each.
/// Errors   kInvalidArgument: it removes what is not there, adds an id twice, or makes tables of a level > 0 overlap.
Result<std::vector<LevelManifest>> PlanCommit(const Manifests& on_disk, const VersionEdit& edit, std::uint64_t last_id,
                                              std::uint64_t now_ms);

/// Everything up to this sequence number is in tables where the log begins that recovery reads: what the last flush says; before the
/// first one, what there are of tables (built, restored, taken in), since the log begins right behind them, or before. So a first
/// segment that is gone or empty is noticed there too, and the second is not taken for the beginning.
SequenceNumber FlushedSequence(const Manifests& live);

struct Resolution {
  Manifests live;                           ///< what counts: without replaced tables
  std::vector<LevelManifest> to_write;      ///< finishes a commit that was cut off after its step 2
};
/// What recovery makes of the manifests it finds.
/// Errors   kCorruption: they contradict each other.
Result<Resolution> Resolve(const Manifests& on_disk, std::uint64_t now_ms);

}  // namespace lsmkv
