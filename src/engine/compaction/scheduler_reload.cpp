// The part of the scheduler that takes over manifests which something else has changed. Reading and checking is a worker's; until
// it is done nothing is committed, so that what was read is what stands on disk.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/assert.h"
#include "base/log.h"
#include "engine/compaction/scheduler.h"

namespace lsmkv {

struct Scheduler::Reloaded {
  Status status;
  std::unique_ptr<ManifestStore> manifests;
  RecoveredTree tree;
  VersionPtr base;               // the version it is compared with
  VersionPtr version;            // the same, when nothing has changed
  std::size_t added = 0;
  std::size_t removed = 0;
};

namespace {

using PlacedTable = std::pair<std::uint32_t, TablePtr>;   // level, table

std::map<std::uint64_t, PlacedTable> TablesById(const Version& version) {
  std::map<std::uint64_t, PlacedTable> tables;
  for (std::uint32_t n = 0; n < version.level_count(); ++n)
    for (const TablePtr& table : version.level(n)) tables.emplace(table->id(), PlacedTable(n, table));
  return tables;
}

/// A table that is new to the engine must be what its manifest says.
Status CheckNewTable(const TableFile& table) {
  const Result<TableProperties> properties = table.ReadProperties();
  if (!properties) return properties.error();
  const TableRecord& record = table.record();
  const auto same_share = [](const BlobRef& ref, const auto& share) {
    return ref.id == share.first && ref.entries == share.second.entries && ref.live_bytes == share.second.bytes;
  };
  const bool same_blobs = std::ranges::equal(record.blobs, properties->blobs, same_share);
  const bool agrees = same_blobs && properties->entries == record.entries && properties->tombstones == record.tombstones &&
                      properties->smallest_key == record.smallest_key && properties->largest_key == record.largest_key &&
                      properties->smallest_sequence == record.smallest_seq && properties->largest_sequence == record.largest_seq;
  if (agrees) return {};
  return Status::Corruption(table.path() + ": is another table than its manifest describes");
}

}  // namespace

Result<std::string> Scheduler::Reload() {
  const auto request = std::make_shared<ReloadRequest>();
  MutexLock lock(mutex_);
  inbox_.reloads.push_back(request);
  work_.NotifyOne();
  while (!request->answer.has_value() && !stopping_) progress_.Wait(mutex_);
  if (!request->answer.has_value()) return Status::ShuttingDown();
  return *request->answer;
}

void Scheduler::StartReload() {
  if (reloads_.empty() || reload_reading_ || !merges_.empty() || !merges_to_commit_.empty()) return;
  reload_reading_ = true;
  const auto reloaded = std::make_shared<Reloaded>();
  reloaded->base = tree_.Current()->version;
  merge_pool_.Submit([this, reloaded] {
    reloaded->status = ReadAgain(reloaded.get());
    MutexLock lock(mutex_);
    inbox_.reloaded = reloaded;
    work_.NotifyOne();
  });
}

/// On a worker. Everything that can be wrong is found here.
Status Scheduler::ReadAgain(Reloaded* reloaded) const {
  reloaded->manifests = std::make_unique<ManifestStore>(context_.fs, context_.options.dir, context_.clock);
  Result<RecoveredTree> tree = reloaded->manifests->Recover();
  if (!tree) return tree.error();
  reloaded->tree = std::move(*tree);
  std::map<std::uint64_t, PlacedTable> present = TablesById(*reloaded->base);
  std::vector<LevelTables> levels;
  const SequenceNumber last_sequence = hooks_.last_sequence();
  for (const auto& [level, manifest] : reloaded->tree.levels) {
    if (level >= kMaxLevels) return Status::Corruption(ManifestFileName(level) + ": deeper than any level can be");
    if (level >= levels.size()) levels.resize(level + 1);
    for (TableRecord record : manifest.sstables) {
      record.replaces.clear();
      const auto known = present.find(record.id);
      if (known != present.end()) {
        const auto& [known_level, table] = known->second;
        if (table->record() != record)
          return Status::Corruption(fmt::format("{} has changed under its id; a new table needs a new id", record.file));
        if (known_level != level) ++reloaded->added, ++reloaded->removed;
        levels[level].push_back(table);
        present.erase(known);
        continue;
      }
      if (record.largest_seq > last_sequence)
        return Status::InvalidArgument(fmt::format("{} has sequence number {}, newer than the last write, {}; use LSM INGEST", record.file,
                                                   record.largest_seq, last_sequence));
      const TablePtr table = context_.MakeTable(record);
      if (Status status = CheckNewTable(*table); !status.ok()) return status;
      levels[level].push_back(table);
      ++reloaded->added;
    }
  }
  reloaded->removed += present.size();
  if (reloaded->added + reloaded->removed == 0) {
    reloaded->version = reloaded->base;
    return {};
  }
  Result<VersionPtr> version = Version::Make(std::move(levels));
  if (!version) return version.error();
  reloaded->version = std::move(*version);
  return {};
}

void Scheduler::TakeReload(Reloaded& reloaded) {
  reload_reading_ = false;
  Result<std::string> answer = Adopt(reloaded);
  if (answer) {
    LogInfo("compaction", "manifests reloaded: {}", *answer);
  } else {
    LogError("compaction", "manifests not reloaded, the present tree stays: {}", answer.error().message());
  }
  FinishReload(std::move(answer));
}

Result<std::string> Scheduler::Adopt(Reloaded& reloaded) {
  if (!reloaded.status.ok()) return reloaded.status;
  LSMKV_ASSERT(tree_.Current()->version == reloaded.base);
  const auto own = manifests_->manifests().find(0);
  const std::uint64_t floor = own == manifests_->manifests().end() ? 0 : own->second.wal_floor.value_or(0);   // 0: no flush yet
  if (reloaded.tree.wal_floor.value_or(0) != floor)
    return Status::InvalidArgument("manifest_l0.json names another WAL segment than the engine writes; that takes a restart");
  const std::string changes = fmt::format("{} tables added, {} removed", reloaded.added, reloaded.removed);
  if (reloaded.version == reloaded.base) return changes;
  HistoryEvent event;
  event.kind = "reload";
  event.reason = changes;
  manifests_ = std::move(reloaded.manifests);
  steps_.clear();                             // what they had put into the target may be gone
  std::uint64_t next = context_.next_table_id.load(std::memory_order_relaxed);
  while (next <= reloaded.tree.max_table_id && !context_.next_table_id.compare_exchange_weak(next, reloaded.tree.max_table_id + 1)) {
  }
  {
    const RowCache::Closed closed(context_.tables->row_cache);
    tree_.InstallVersion(reloaded.version);   // tables that went keep their files: the next start removes what nobody names
    context_.counters.content_changes.fetch_add(1, std::memory_order_release);
  }
  ForgetDamageThatIsGone();
  history_.Add(event);
  return changes;
}

void Scheduler::FinishReload(Result<std::string> answer) {
  const ReloadPtr request = reloads_.front();
  reloads_.pop_front();
  MutexLock lock(mutex_);
  request->answer = std::move(answer);
  progress_.NotifyAll();
}

}  // namespace lsmkv
