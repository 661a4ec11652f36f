// The database table as the running server reads it, in two forms: for commands, which physical database a logical one
// is now; for compaction, which physical databases are dead (garbage as a whole).
//
// FLUSHDB gives a database a new physical id and is done: what lay under the old id is dead, and compaction drops it
// as it comes by. That is safe only under this rule:
//
//   A dead id's data may be dropped only after the change of the table is on disk for good. The table is a record in
//   the same tree: were compaction quicker than the WAL's sync, a power cut could bring the old table back, and what it
//   points at would be gone.
//
// So the two forms are told at different times: commands by Install(), under the locks that keep writers out;
// compaction by MarkDurable(), after Engine::Sync() has returned.
//
// Invariants
//   1. An id is called dead only when it is below `dead_below_` and in no slot of `live_`.
//   2. An id that lives on never changes its slot, and a slot changes from an id that died to one that is not yet below
//      `dead_below_`. A reader that walks the slots during a change therefore never misses a living id.
//   3. Before the first MarkDurable() nothing is dead: compaction may run while the table is still being read.
//
// Threads  Physical(), IsDead(), IsRangeDead(): any, no locks, no waiting. Install(): by one thread at a time.
//          MarkDurable(): any; a table older than the last one told is ignored.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/mutex.h"
#include "keyspace/database_table.h"
#include "lsmkv/options.h"

namespace lsmkv {

class DatabaseMap final : public CompactionFilter {
 public:
  DatabaseMap() = default;
  DatabaseMap(const DatabaseMap&) = delete;
  DatabaseMap& operator=(const DatabaseMap&) = delete;

  // ---- for commands
  std::uint32_t databases() const { return databases_; }
  /// `logical` < databases(). A writer holds a key lock from before it asks until its batch is written.
  std::uint64_t Physical(std::uint32_t logical) const {
    return physical_[logical].load(std::memory_order_acquire);   // pairs with Install()
  }

  /// Odd: a change is under way. The same even number before and after: what was asked in between belongs together, and to what
  /// the engine showed meanwhile.
  std::uint64_t changes() const { return changes_.load(std::memory_order_acquire); }
  /// Returns when changes() is another number.
  void WaitForChange(std::uint64_t changes) const { changes_.wait(changes, std::memory_order_acquire); }

  // ---- for compaction
  bool IsDead(std::string_view engine_key) const override;
  bool IsRangeDead(std::string_view smallest, std::string_view largest) const override;

  // ---- for Keyspace
  /// Once, before any command: how many logical databases there are to be and how many the table has.
  void Prepare(std::uint32_t databases, const DatabaseTable& table) LSMKV_EXCLUDES(mutex_);
  /// Around the write of a table that is to be installed, and its Install(). By one thread at a time.
  void BeginChange() { changes_.fetch_add(1, std::memory_order_relaxed); }   // release stores follow: the engine's, Install()'s
  void EndChange() {
    changes_.fetch_add(1, std::memory_order_release);
    changes_.notify_all();
  }
  /// Shows commands a new table, of the size Prepare() was given.
  void Install(const DatabaseTable& table);
  /// `table`, and every one before it, is on disk for good.
  void MarkDurable(const DatabaseTable& table) LSMKV_EXCLUDES(mutex_);

 private:
  bool AnyLive(std::uint64_t first, std::uint64_t last) const;

  std::uint32_t databases_ = 0;                                // constant after Prepare
  std::size_t slots_ = 0;                                      // constant after Prepare
  std::unique_ptr<std::atomic<std::uint64_t>[]> physical_;     // by logical index
  std::unique_ptr<std::atomic<std::uint64_t>[]> live_;         // by slot, in no order
  std::atomic<std::uint64_t> changes_{0};
  /// Release in MarkDurable, after the slots; acquire in IsDead, before them.
  std::atomic<std::uint64_t> dead_below_{0};
  Mutex mutex_;                                                // a leaf: orders MarkDurable calls
};

}  // namespace lsmkv
