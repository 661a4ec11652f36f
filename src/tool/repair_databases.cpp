#include "tool/repair_databases.h"

#include <algorithm>
#include <vector>

namespace lsmkv::tool {

void DatabaseCensus::See(const EntryView& entry) {
  largest_sequence_ = std::max(largest_sequence_, entry.sequence);
  if (entry.key == key_) {
    Result<DatabaseTable> table = DatabaseTable::Decode(entry.value);
    if (!table || (table_ && entry.sequence < table_sequence_)) return;
    table_ = std::move(*table);
    table_sequence_ = entry.sequence;
    return;
  }
  const std::optional<DecodedKey> key = DecodeEngineKey(entry.key);
  if (!key || key->database == last_id_) return;
  last_id_ = key->database;
  ids_.insert(last_id_);
}

std::optional<DatabaseTable> DatabaseCensus::Missing() const {
  constexpr std::uint32_t kUsualDatabases = 16;
  if (ids_.empty()) return std::nullopt;
  const std::uint64_t largest = *ids_.rbegin();
  if (table_ && table_->next_id() > largest) return std::nullopt;      // older than the keys: a newer table was lost
  if (largest < kUsualDatabases) return DatabaseTable::Fresh(kUsualDatabases);
  return DatabaseTable::Of({ids_.begin(), ids_.end()}, kUsualDatabases);
}

}  // namespace lsmkv::tool
