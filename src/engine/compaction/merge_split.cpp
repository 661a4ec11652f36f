#include "engine/compaction/merge_split.h"

#include <algorithm>

#include "engine/bundle/bundle.h"

namespace lsmkv {

std::vector<std::string> CutsOf(std::vector<Table::Section> sections, std::size_t pieces) {
  std::vector<std::string> cuts;
  std::uint64_t total = 0;
  for (const Table::Section& section : sections) total += section.bytes;
  if (pieces < 2 || total == 0) return cuts;
  std::ranges::sort(sections, {}, &Table::Section::last_key);
  std::uint64_t before = 0;
  for (const Table::Section& section : sections) {
    before += section.bytes;
    const bool full = before >= total / pieces * (cuts.size() + 1);
    if (full && before < total && (cuts.empty() || cuts.back() < section.last_key)) cuts.push_back(section.last_key);
    if (cuts.size() + 1 == pieces) break;
  }
  return cuts;
}

std::size_t PiecesWorthMaking(const Merge& merge, std::uint64_t max_sstable_bytes) {
  constexpr std::uint64_t kTablesPerPiece = 4;
  constexpr std::size_t kMostPieces = 64;
  if (merge.target == 0 || max_sstable_bytes == 0) return 1;   // their result is one table
  if (merge.step_bytes != 0) return 1;                         // small by intention
  std::uint64_t bytes = 0;
  for (const LevelInputs& level : merge.inputs)
    for (const TablePtr& table : level.tables) bytes += table->record().size_bytes;
  if (merge.incoming != nullptr) bytes += merge.incoming->size_bytes();
  return std::clamp<std::size_t>(bytes / (kTablesPerPiece * max_sstable_bytes), 1, kMostPieces);
}

std::vector<std::string> SplitMerge(const Merge& merge, std::uint64_t max_sstable_bytes) {
  const std::size_t pieces = PiecesWorthMaking(merge, max_sstable_bytes);
  if (pieces < 2) return {};
  std::vector<Table::Section> sections;
  for (const LevelInputs& level : merge.inputs) {
    for (const TablePtr& table : level.tables) {
      Result<std::vector<Table::Section>> own = table->Sections();
      if (!own) return {};
      sections.insert(sections.end(), std::make_move_iterator(own->begin()), std::make_move_iterator(own->end()));
    }
  }
  if (merge.incoming != nullptr) {
    for (std::size_t i = 0; i < merge.incoming->ranges().size(); ++i)
      sections.push_back({std::string(merge.incoming->ranges()[i].largest), merge.incoming->table_bytes(i)});
  }
  return CutsOf(std::move(sections), pieces);
}

}  // namespace lsmkv
