#include "tool/repair_merge.h"

#include <algorithm>
#include <map>

#include "engine/iterators/merging_iterator.h"
#include "engine/version/table_iterators.h"

namespace lsmkv::tool {

std::vector<std::vector<TablePtr>> Chains(std::vector<TablePtr> tables) {
  std::ranges::sort(tables, {}, [](const TablePtr& table) -> const std::string& { return table->record().smallest_key; });
  std::vector<std::vector<TablePtr>> chains;
  std::multimap<std::string, std::size_t> ends;        // the last key of each chain so far
  for (TablePtr& table : tables) {
    std::size_t chain = chains.size();
    // The chain that ends first: if even that one reaches into this table, all do.
    if (!ends.empty() && ends.begin()->first < table->record().smallest_key) {
      chain = ends.begin()->second;
      ends.erase(ends.begin());
    } else {
      chains.emplace_back();
    }
    ends.emplace(table->record().largest_key, chain);
    chains[chain].push_back(std::move(table));
  }
  return chains;
}

void RunMerger::Add(const TableRecord& record, const std::string& path) {
  bytes_ += record.size_bytes;
  tables_.push_back(directory_.TableAt(record, path));
}

Status RunMerger::AddAside(NewTables& tables) {
  Result<std::vector<TableRecord>> written = tables.FinishAside();
  if (!written) return written.error();
  for (const TableRecord& record : *written) {
    Add(record, directory_.context().TablePath(record.id));
    aside_.push_back(record);
  }
  return {};
}

Status RunMerger::Run() {
  const IteratorOptions read{.fill_cache = false, .readahead_bytes = 256u << 10};
  std::vector<std::unique_ptr<InternalIterator>> sources;
  for (const std::vector<TablePtr>& chain : Chains(tables_)) sources.push_back(NewLevelIterator(chain, read));
  MergingIterator entries(std::move(sources));
  const Result<VersionPtr> named = Version::Make(std::vector<LevelTables>{tables_});      // L0 may overlap
  if (!named) return named.error();
  NewTables run(directory_, directory_.LevelFor(bytes_), *named);
  for (entries.SeekToFirst(); entries.Valid(); entries.Next()) {
    if (entries.entry().kind == EntryKind::kTombstone) continue;
    if (Status status = run.Add(entries.entry()); !status.ok()) return status;
  }
  if (Status status = entries.status(); !status.ok()) return status;
  if (Status status = run.Finish(); !status.ok()) return status;
  tables_.clear();
  for (const TableRecord& record : aside_)
    IgnoreError(directory_.context().fs.RemoveFile(directory_.context().TablePath(record.id)), "nobody names it; the first start removes it");
  return {};
}

}  // namespace lsmkv::tool
