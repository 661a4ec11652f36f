// Where an ingest goes. Its entries all have one sequence number S, taken a moment ago; everything older is in tables, and
// some of what is newer may be as well. A pure decision, like the picker's. Of these, the first that is possible:
//
//   place    into the deepest level L >= 1 with room, where nothing overlaps in L, nothing older in the levels above it:
//            written once and nothing rewritten. Compaction brings it deeper later, if at all.
//   L0       as one table, while the ingest is no larger than L0 may be: it lies between what is older and what is newer there,
//            as if a memtable with it had been flushed. The picker does the rest.
//   merge    larger ones into the shallowest level T that may hold as much, together with all tables that overlap in the
//            levels above T and in T itself: so neither L0 nor a level too small for it ever holds it, and what is rewritten
//            stays in proportion (the levels down to T hold about what T may hold, which is at most level-ratio times the
//            ingest).
//
// What makes a place right (version.h, invariant 3): nothing newer than S that overlaps lies deeper, nothing older above.
// Newer data sinks while an ingest waits, so S may have become too old for a place. Then what is newer and has left L0 is taken into the
// merge, which goes as deep as that has sunk; what is just leaving is waited for. A later S would be cheaper, but it would make the ingest win
// over what was written while it waited.
//
// A tombstone newer than S is kept by every merge until the ingest has landed (EngineContext::ingest_point), and a table of nothing but
// expired newer entries is not dropped: else what it covers could come to lie there after it has gone.
//
// Once it runs, an ingest is kept right by what it holds: the picker starts no job into the same level and range, and while
// its target is L0 nothing leaves L0 (BusyTables).
#pragma once

#include <cstdint>
#include <variant>

#include "engine/compaction/picker.h"
#include "engine/version/version.h"

namespace lsmkv {

/// What is known of the entries before they are read.
struct IngestShape {
  KeySpan span;
  SequenceNumber sequence = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

struct IngestInput {
  const Version& version;
  const Options& options;
  const BusyTables& busy;
  IngestShape shape;
};

/// Running jobs are in the way of this. Nothing of it should be given to others meanwhile.
struct WaitForJobs {
  Merge wanted;
};
/// A Merge without its `incoming`; without inputs when nothing has to be rewritten.
using IngestPlan = std::variant<Merge, WaitForJobs>;

IngestPlan PlanIngest(const IngestInput& input);

}  // namespace lsmkv
