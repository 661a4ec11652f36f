// The work of a flush and of a compaction: immutable inputs, new tables as output, nothing else touched. The scheduler
// starts them on worker threads and commits what they return.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "engine/compaction/compaction_rate.h"
#include "engine/compaction/picker.h"
#include "engine/manifest/manifest.h"
#include "engine/memtable/memtable.h"
#include "engine/version/engine_context.h"
#include "engine/version/version.h"

namespace lsmkv {

struct JobResult {
  std::vector<TableRecord> outputs;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t entries_in = 0;
  std::uint64_t entries_out = 0;
  std::uint64_t expired = 0;            ///< entries whose deadline had passed
  std::uint32_t pieces = 1;             ///< sub-compactions
  std::uint64_t blob_bytes_moved = 0;
  std::chrono::microseconds duration{0};
};

/// One memtable into one table (none when nothing is left of it). Threads: any, side by side.
Result<JobResult> RunFlush(EngineContext& context, const MemTable& memtable);

/// What merges share; both outlive them.
struct MergeResources {
  ThreadPool& helpers;                  ///< its idle threads take pieces of a large merge
  CompactionRate& rate;
  SequenceNumber ingest_point = 0;      ///< EngineContext::ingest_point when the plan was made; each piece of it goes by that
};
/// `version` is the one the plan was made for: it tells what lies below. kShuttingDown when the engine closes.
Result<JobResult> RunMerge(EngineContext& context, VersionPtr version, const Merge& merge, const MergeResources& resources);

}  // namespace lsmkv
