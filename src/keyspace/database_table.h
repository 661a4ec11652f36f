// Which physical database stands behind each logical one: the value that FLUSHDB and SWAPDB change.
//
//   record  := version:u8 (1) next_id:varint count:varint id:varint[count] checksum:u64
//              xxh3 over all before it; under ServerKey("databases")
//
// Invariants
//   1. Ids only grow: next_id is larger than every id that was ever given out, so a dead id stays dead.
//   2. The ids are all different and below next_id.
//   3. The table never shrinks: a server started with fewer databases keeps what the others hold.
//
// Threads  none: a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lsmkv/status.h"

namespace lsmkv {

class DatabaseTable {
 public:
  /// As at the very first start.
  static DatabaseTable Fresh(std::uint32_t databases);
  /// Database i leads to ids[i], all of which are different; new ones are added until there are `databases`. For repair, where
  /// the table is lost and only its ids are known.
  static DatabaseTable Of(std::vector<std::uint64_t> ids, std::uint32_t databases);
  /// kUnsupported: a newer version. kCorruption: anything else that is not as Encode() writes it.
  static Result<DatabaseTable> Decode(std::string_view record);
  std::string Encode() const;

  /// Adds empty databases until there are `databases`.
  void GrowTo(std::uint32_t databases);
  /// Gives one / every database a new, empty physical one.
  void Flush(std::uint32_t logical);
  void FlushAll();
  void Swap(std::uint32_t first, std::uint32_t second);

  std::size_t size() const { return ids_.size(); }
  std::uint64_t id(std::uint32_t logical) const { return ids_[logical]; }
  const std::vector<std::uint64_t>& ids() const { return ids_; }
  std::uint64_t next_id() const { return next_id_; }
  bool operator==(const DatabaseTable&) const = default;

 private:
  std::vector<std::uint64_t> ids_;   // by logical index
  std::uint64_t next_id_ = 0;
};

}  // namespace lsmkv
