// The table of databases in a repaired directory: which physical database each number leads to. It is one record among all others
// (keyspace/database_table.h), so it may be lost like any of them; and then a start would make a new one, whose numbers are in use.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "keyspace/codec.h"
#include "keyspace/database_table.h"
#include "lsmkv/write_batch.h"

namespace lsmkv::tool {

/// Sees every entry that is saved.
class DatabaseCensus {
 public:
  void See(const EntryView& entry);
  /// The table to write: none when the newest that was seen leads everywhere, or when there are no databases here at all.
  std::optional<DatabaseTable> Missing() const;
  SequenceNumber largest_sequence() const { return largest_sequence_; }
  /// Its engine key.
  const std::string& key() const { return key_; }

 private:
  const std::string key_ = ServerKey("databases");
  std::optional<DatabaseTable> table_;            // the newest seen
  SequenceNumber table_sequence_ = 0;
  SequenceNumber largest_sequence_ = 0;
  std::set<std::uint64_t> ids_;                   // physical databases that have keys
  std::uint64_t last_id_ = UINT64_MAX;            // of the last key; most keys follow one of the same database
};

}  // namespace lsmkv::tool
