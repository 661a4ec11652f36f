// Runs one workload on one open engine, in this process, and measures it.
//
// What is timed       the operations only, each thread's own one after another, with one clock reading between two. Making keys
//                     and values is part of it, the same for every engine and small (tens of nanoseconds).
// What is not         opening, and what follows.
// After writes        the memtables are flushed, and compaction is waited for: only then is all the work of those writes done,
//                     and only then are CPU, write and space amplification read. Else an engine would look good that puts off its
//                     work until the measurement is over.
// The live entries    are counted by walking the tree when all else has been read.
//
// compact             is one call; its operations are the live entries, so that its rate and CPU are an entry's.
//
// Source  the workloads are those of db_bench (LevelDB benchmarks/db_bench.cc, RocksDB tools/db_bench_tool.cc), by observed
//         behaviour.
#pragma once

#include "bench/engine_adapter.h"
#include "bench/measurement.h"
#include "bench/settings.h"
#include "bench/workload.h"

namespace lsmkv::bench {

/// @param dir  the engine's data directory, to be measured.
Result<Measurement> RunWorkload(EngineAdapter& engine, const Workload& workload, const Settings& settings, const std::string& dir);

}  // namespace lsmkv::bench
