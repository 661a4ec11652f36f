#include "engine/version/version.h"

#include <algorithm>

#include "base/assert.h"

namespace lsmkv {
namespace {

void AddUsage(const TableFile& table, BlobUsages* usages) {
  for (std::size_t i = 0; i < table.blobs().size(); ++i) {
    BlobUsage& usage = (*usages)[table.blobs()[i]->id()];
    if (usage.file == nullptr) usage.file = table.blobs()[i];
    ++usage.tables;
    usage.live_bytes += table.record().blobs[i].live_bytes;
  }
}

/// A file that nothing refers to any more stays, with no tables: what is added next may refer to it again.
void RemoveUsage(const TableFile& table, BlobUsages* usages) {
  for (const BlobRef& ref : table.record().blobs) {
    BlobUsage& usage = usages->at(ref.id);
    --usage.tables;
    usage.live_bytes -= ref.live_bytes;
  }
}

Status SortLevel(std::uint32_t n, LevelTables* tables) {
  if (n == 0) {
    std::ranges::sort(*tables, [](const TablePtr& a, const TablePtr& b) {
      if (a->record().largest_seq != b->record().largest_seq) return a->record().largest_seq > b->record().largest_seq;
      return a->id() > b->id();
    });
    return {};
  }
  std::ranges::sort(*tables, {}, [](const TablePtr& table) -> const std::string& { return table->record().smallest_key; });
  for (std::size_t i = 1; i < tables->size(); ++i) {
    if ((*tables)[i - 1]->record().largest_key >= (*tables)[i]->record().smallest_key)
      return Status::Corruption("level " + std::to_string(n) + ": " + (*tables)[i - 1]->record().file + " and " +
                                (*tables)[i]->record().file + " overlap");
  }
  return {};
}

}  // namespace

LevelFigures FiguresOf(std::span<const TablePtr> tables) {
  LevelFigures figures;
  figures.sstables = tables.size();
  for (const TablePtr& table : tables) {
    figures.entries += table->record().entries;
    figures.tombstones += table->record().tombstones;
    figures.bytes += table->record().size_bytes;
  }
  return figures;
}

Result<std::shared_ptr<const Version>> Version::Make(std::vector<LevelTables> levels) {
  BlobUsages blobs;
  for (const LevelTables& tables : levels)
    for (const TablePtr& table : tables) AddUsage(*table, &blobs);
  return Make(std::move(levels), std::move(blobs));
}

Result<std::shared_ptr<const Version>> Version::Make(std::vector<LevelTables> levels, BlobUsages blobs) {
  auto version = std::make_shared<Version>();
  while (!levels.empty() && levels.back().empty()) levels.pop_back();
  for (std::uint32_t n = 0; n < levels.size(); ++n) {
    if (Status status = SortLevel(n, &levels[n]); !status.ok()) return status;
    version->figures_.push_back(FiguresOf(levels[n]));
  }
  version->levels_ = std::move(levels);
  version->blobs_ = std::move(blobs);
  return std::shared_ptr<const Version>(std::move(version));
}

Result<std::shared_ptr<const Version>> Version::With(const VersionChange& change) const {
  std::vector<LevelTables> levels = levels_;
  BlobUsages blobs = blobs_;
  for (const auto& [level, id] : change.removed) {
    LSMKV_ASSERT(level < levels.size());
    const std::size_t erased = std::erase_if(levels[level], [&](const TablePtr& table) {
      if (table->id() != id) return false;
      RemoveUsage(*table, &blobs);
      return true;
    });
    LSMKV_ASSERT(erased == 1);
  }
  for (const VersionChange::Added& added : change.added) {
    if (added.level >= levels.size()) levels.resize(added.level + 1);
    levels[added.level].push_back(added.table);
    AddUsage(*added.table, &blobs);
  }
  std::erase_if(blobs, [](const auto& usage) { return usage.second.tables == 0; });
  return Make(std::move(levels), std::move(blobs));
}

Result<PinnedValue> Version::ReadBlob(const EntryView& entry, std::uint64_t key_hash, ReadMode mode) const {
  const std::optional<BlobPointer> pointer = DecodeBlobPointer(entry.value);
  if (!pointer) return Status::Corruption("malformed pointer to a blob");
  const auto usage = blobs_.find(pointer->blob);
  if (usage == blobs_.end()) return Status::Corruption(BlobRecordFile(pointer->blob) + ": a pointer leads here, but no manifest names it");
  Result<std::shared_ptr<const BlobValue>> value = usage->second.file->Get(*pointer, key_hash, mode);
  if (!value) return value.error();
  const std::string_view data = (*value)->value();
  return PinnedValue(data, entry.expire_at_ms, std::move(*value), PinnedValue::Keeps::kBlock);
}

void Version::WillReadBlob(const EntryView& entry) const {
  const std::optional<BlobPointer> pointer = DecodeBlobPointer(entry.value);
  const auto usage = pointer ? blobs_.find(pointer->blob) : blobs_.end();
  if (usage != blobs_.end()) usage->second.file->WillRead(*pointer);
}

const TablePtr* Version::FindTable(std::uint32_t n, std::string_view key) const {
  const LevelTables& tables = levels_[n];
  const auto it = std::ranges::partition_point(
      tables, [key](const TablePtr& table) { return std::string_view(table->record().largest_key) < key; });
  if (it == tables.end() || key < std::string_view((*it)->record().smallest_key)) return nullptr;
  return &*it;
}

std::vector<TablePtr> Version::Overlapping(std::uint32_t n, std::string_view smallest, std::string_view largest) const {
  const std::span<const TablePtr> tables = level(n);
  std::vector<TablePtr> found;
  if (n == 0) {
    for (const TablePtr& table : tables) {
      if (table->record().largest_key >= smallest && table->record().smallest_key <= largest) found.push_back(table);
    }
    return found;
  }
  auto it = std::ranges::partition_point(
      tables, [smallest](const TablePtr& table) { return std::string_view(table->record().largest_key) < smallest; });
  for (; it != tables.end() && (*it)->record().smallest_key <= largest; ++it) found.push_back(*it);
  return found;
}

bool Version::Contains(std::uint32_t n, std::uint64_t id) const {
  return std::ranges::any_of(level(n), [id](const TablePtr& table) { return table->id() == id; });
}

std::optional<KeySpan> SpanOf(std::span<const TablePtr> tables) {
  if (tables.empty()) return std::nullopt;
  KeySpan span{tables[0]->record().smallest_key, tables[0]->record().largest_key};
  for (const TablePtr& table : tables) {
    span.smallest = std::min(span.smallest, table->record().smallest_key);
    span.largest = std::max(span.largest, table->record().largest_key);
  }
  return span;
}

}  // namespace lsmkv
