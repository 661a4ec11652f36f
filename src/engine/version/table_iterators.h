// Iterators over tables of a version that open nothing before the first seek. They keep the tables they name.
#pragma once

#include <memory>
#include <span>

#include "engine/internal_iterator.h"
#include "engine/version/table_file.h"

namespace lsmkv {

/// Over one table (of L0).
std::unique_ptr<InternalIterator> NewLazyTableIterator(const TablePtr& table, const IteratorOptions& options);
/// Over the tables of one sorted level, in order.
std::unique_ptr<InternalIterator> NewLevelIterator(std::span<const TablePtr> tables, const IteratorOptions& options);

}  // namespace lsmkv
