// The order of a whole run: round by round, in a round benchmark by benchmark, and each benchmark on one engine after the other.
// So whatever else the machine does meets all of them alike, and the ratio of two engines is taken between neighbours in time.
//
//   round 1   fillseq: A B C   fillrandom: A B C   …
//   round 2   fillseq: A B C   …
//
// Every round begins with empty data directories, each engine's own (with --existing-data: with what is there); before each run
// the disk is synced. A benchmark that needs data where there is none yet is given fillrandom's, unmeasured.
//
// Where the same must come out on all engines (how many keys are alive, how many gets found something) and does not, the run is
// an error: an engine that loses or invents entries is not worth measuring.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/engines.h"
#include "bench/measurement.h"
#include "bench/settings.h"
#include "bench/work_directory.h"
#include "bench/workload.h"

namespace lsmkv::bench {

/// One workload on one engine, a measurement for each round.
struct Series {
  const Workload* workload;
  const EngineKind* engine;
  std::vector<Measurement> rounds;
};

/// Workload by workload, and in each the engines as they were given.
using Outcome = std::vector<Series>;

/// @param progress  is told in a line what has just been done.
Result<Outcome> RunAll(const Settings& settings, const std::vector<const EngineKind*>& engines, const WorkDirectory& dir,
                       const std::function<void(const std::string&)>& progress);

/// Not ok: which two engines disagree about what is there after `workload`. Takes the last round of each.
Status CheckAgreement(const Workload& workload, const std::vector<const Series*>& engines);

}  // namespace lsmkv::bench
