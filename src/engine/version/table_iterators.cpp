#include "engine/version/table_iterators.h"

#include <vector>

#include "engine/iterators/concatenating_iterator.h"

namespace lsmkv {

std::unique_ptr<InternalIterator> NewLazyTableIterator(const TablePtr& table, const IteratorOptions& options) {
  return NewLevelIterator({&table, 1}, options);
}

std::unique_ptr<InternalIterator> NewLevelIterator(std::span<const TablePtr> tables, const IteratorOptions& options) {
  auto ranges = std::make_shared<ConcatenatingIterator::TableRanges>();
  for (const TablePtr& table : tables) ranges->push_back({table->record().smallest_key, table->record().largest_key});
  // The copies keep the tables, whose records the ranges point into.
  std::vector<TablePtr> kept(tables.begin(), tables.end());
  return std::make_unique<ConcatenatingIterator>(std::move(ranges), [kept = std::move(kept), options](std::size_t index) {
    return kept[index]->NewIterator(options);
  });
}

}  // namespace lsmkv
