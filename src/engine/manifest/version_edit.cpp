#include "engine/manifest/version_edit.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>
#include <set>

namespace lsmkv {
namespace {

Status WrongEdit(std::string what) { return Status::InvalidArgument("version edit: " + std::move(what)); }

std::set<TableRef> AllNamed(const Manifests& manifests) {
  std::set<TableRef> named;
  for (const auto& [level, manifest] : manifests) {
    for (const TableRecord& table : manifest.sstables) named.insert({level, table.id});
  }
  return named;
}

void ForgetReplaces(LevelManifest* manifest) {
  for (TableRecord& table : manifest->sstables) table.replaces.clear();
}

/// Builds the next contents of the manifests that an edit touches.
class Planner {
 public:
  Planner(const Manifests& on_disk, const VersionEdit& edit) : on_disk_(on_disk), edit_(edit) {}

  Status Apply() {
    for (const TableRef& ref : edit_.removed) removed_.insert(ref);
    std::size_t found = 0;
    for (auto it = removed_.begin(); it != removed_.end();) {
      const std::uint32_t level = it->first;
      found += std::erase_if(Next(level).sstables, [&](const TableRecord& table) { return removed_.contains({level, table.id}); });
      it = removed_.upper_bound({level, UINT64_MAX});
    }
    if (found != edit_.removed.size()) return WrongEdit("removes tables that are not there, or one twice");
    if (edit_.wal_floor) Next(0).wal_floor = edit_.wal_floor;
    if (edit_.flushed_sequence) Next(0).flushed_sequence = edit_.flushed_sequence;
    return edit_.added.empty() ? Status::Ok() : ApplyAdded();
  }

  std::vector<LevelManifest> InOrder() {
    std::vector<LevelManifest> order = StaleReplaces();
    if (edit_.added.empty()) {
      for (auto& [level, manifest] : std::views::reverse(next_)) order.push_back(std::move(manifest));
      return order;
    }
    order.push_back(std::move(next_.at(edit_.target_level)));
    for (auto& [level, manifest] : next_) {
      if (level != edit_.target_level) order.push_back(std::move(manifest));
    }
    return order;
  }

 private:
  /// Step 4 happens here: whatever is written next starts without `replaces`.
  LevelManifest& Next(std::uint32_t level) {
    const auto [it, inserted] = next_.try_emplace(level);
    if (inserted) {
      if (const auto old = on_disk_.find(level); old != on_disk_.end()) it->second = old->second;
      it->second.level = level;
      ForgetReplaces(&it->second);
    }
    return it->second;
  }

  Status ApplyAdded() {
    LevelManifest& target = Next(edit_.target_level);
    std::set<TableRef> replaced;
    const std::size_t first_added = target.sstables.size();
    for (const TableRecord& table : edit_.added) {
      target.sstables.push_back(table);
      replaced.insert(table.replaces.begin(), table.replaces.end());
    }
    for (const TableRef& ref : replaced) {
      if (!removed_.contains(ref)) {
        return WrongEdit(fmt::format("replaces table {} of L{} and does not remove it", ref.second, ref.first));
      }
    }
    for (const TableRef& ref : edit_.removed) {
      const bool says_so = ref.first == edit_.target_level || replaced.contains(ref);
      if (!says_so) target.sstables[first_added].replaces.push_back(ref);
    }
    if (target.level > 0) std::ranges::sort(target.sstables, {}, &TableRecord::smallest_key);
    return Status::Ok();
  }

  /// Step 0.
  std::vector<LevelManifest> StaleReplaces() const {
    std::vector<LevelManifest> stale;
    for (const auto& [level, manifest] : on_disk_) {
      if (level == edit_.target_level || !ReplacesAnAddedTable(manifest)) continue;
      stale.push_back(manifest);
      ForgetReplaces(&stale.back());
    }
    return stale;
  }
  bool ReplacesAnAddedTable(const LevelManifest& manifest) const {
    return std::ranges::any_of(manifest.sstables, [&](const TableRecord& table) {
      return std::ranges::any_of(table.replaces, [&](const TableRef& ref) {
        return ref.first == edit_.target_level &&
               std::ranges::find(edit_.added, ref.second, &TableRecord::id) != edit_.added.end();
      });
    });
  }

  const Manifests& on_disk_;
  const VersionEdit& edit_;
  std::set<TableRef> removed_;
  Manifests next_;
};

/// No table may count in two levels.
Status CheckIdsAreUnique(const Manifests& live) {
  std::map<std::uint64_t, std::uint32_t> level_of;
  for (const auto& [level, manifest] : live) {
    for (const TableRecord& table : manifest.sstables) {
      const auto [it, inserted] = level_of.try_emplace(table.id, level);
      if (!inserted) {
        return Status::Corruption(fmt::format("{} is named by {} and by {}", table.file, ManifestFileName(it->second),
                                              ManifestFileName(level)));
      }
    }
  }
  return Status::Ok();
}

}  // namespace

Result<std::vector<LevelManifest>> PlanCommit(const Manifests& on_disk, const VersionEdit& edit, std::uint64_t last_id,
                                              std::uint64_t now_ms) {
  Planner planner(on_disk, edit);
  if (Status applied = planner.Apply(); !applied.ok()) return applied;
  std::vector<LevelManifest> writes = planner.InOrder();
  Manifests after = on_disk;
  for (LevelManifest& manifest : writes) {
    const auto before = after.find(manifest.level);
    manifest.revision = before == after.end() ? 1 : before->second.revision + 1;
    manifest.last_id = std::max(manifest.last_id, last_id);
    manifest.written_at_ms = now_ms;
    if (Status checked = CheckManifest(manifest); !checked.ok()) return WrongEdit(checked.message());
    after[manifest.level] = manifest;
  }
  if (Status unique = CheckIdsAreUnique(after); !unique.ok()) return WrongEdit(unique.message());
  return writes;
}

SequenceNumber FlushedSequence(const Manifests& live) {
  const auto l0 = live.find(0);
  if (l0 != live.end() && l0->second.flushed_sequence) return *l0->second.flushed_sequence;
  SequenceNumber largest = 0;
  for (const auto& [level, manifest] : live)
    for (const TableRecord& table : manifest.sstables) largest = std::max(largest, table.largest_seq);
  return largest;
}

Result<Resolution> Resolve(const Manifests& on_disk, std::uint64_t now_ms) {
  const std::set<TableRef> named = AllNamed(on_disk);
  std::map<TableRef, TableRef> replaced_by;
  for (const auto& [level, manifest] : on_disk) {
    for (const TableRecord& table : manifest.sstables) {
      for (const TableRef& ref : table.replaces) {
        if (named.contains(ref)) replaced_by[ref] = {level, table.id};
      }
    }
  }
  for (const auto& [ref, by] : replaced_by) {
    if (!replaced_by.contains(by)) continue;
    return Status::Corruption(fmt::format("{} and {} contradict each other about {}", ManifestFileName(ref.first),
                                          ManifestFileName(by.first), TableRecordFile(ref.second)));
  }
  Resolution resolution;
  resolution.live = on_disk;
  for (auto& [level, manifest] : resolution.live) {
    const auto is_replaced = [&](const TableRecord& table) { return replaced_by.contains({manifest.level, table.id}); };
    if (std::erase_if(manifest.sstables, is_replaced) == 0) continue;
    ForgetReplaces(&manifest);
    ++manifest.revision;
    manifest.written_at_ms = now_ms;
    resolution.to_write.push_back(manifest);
  }
  if (Status unique = CheckIdsAreUnique(resolution.live); !unique.ok()) return unique;
  return resolution;
}

}  // namespace lsmkv
