// How much compaction and flushes owe, as far as writers are held back for it (admission.h): 0 nothing, 1 as much as it can be.
//
//   L0         from l0-slowdown-sstables, where it is 0, to l0-stop-sstables, where it is 1. Tables that running merges take away do not count:
//              they go in the merge's last moment, and whoever slowed writers for them would do so in the middle of each long one. So L0 may
//              have that many more for as long as they last: those on their way to L1, and those that become one meanwhile.
//   a level    from its hard limit to three times that, up to 0.7: it slows, but L0 decides how far
//   blobs      from a dead share of kBlobDeadLimit to twice that, up to 0.6
//   memtables  while some wait for their flush: from three quarters of what they may take to all of it, up to 0.95
// The largest of these.
#pragma once

#include "engine/version/version.h"

namespace lsmkv {

/// Tables of L0 that count; `in_merges`: by how many it will have fewer when what runs has ended.
std::uint64_t WaitingL0(const Version& version, std::uint64_t in_merges);

/// Pure.
/// @param l0_waiting     WaitingL0()
/// @param memtable_fill  how much of what memtables may take is taken, 0 to 1; 0 where none waits for its flush.
double WriteDebt(const Version& version, const Options& options, std::uint64_t l0_waiting, double memtable_fill);

}  // namespace lsmkv
