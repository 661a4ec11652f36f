// How much compaction and flushes owe, as far as writers are held back for it (admission.h): 0 nothing, 1 as much as it can be.
//
//   L0         from l0-slowdown-sstables, where it is 0, to l0-stop-sstables, where it is 1. What running merges take away does not count:
//              it goes in the merge's last moment, and whoever slowed writers for it would do so in the middle of each long one. So L0 may
//              have that much more for as long as they last: what is on its way to L1, and what becomes one table meanwhile.
//   its bytes  from three quarters of what lies deeper (and of no less than kL0BytesOfLimit times its limit) to one and a half times that, up
//              to 0.7: they are few tables when they have been gathered, and would else come to be several times what is alive. And with
//              those in merges, from twice that to four times, up to 0.9: each stop and start begins a merge of all L0 anew, and a server
//              that is killed every half minute would else gather for ever.
//   a level    from its hard limit to three times that, up to 0.7: it slows, but L0 decides how far
//   blobs      from a dead share of kBlobDeadLimit to twice that, up to 0.6
//   memtables  while some wait for their flush: from three quarters of what they may take to all of it, up to 0.95
// The largest of these. That of the memtables by itself: they are full within a second, so that nobody may count on what is usual.
#pragma once

#include <algorithm>

#include "engine/version/version.h"

namespace lsmkv {

struct WriteDebt {
  double tree = 0;
  double memtables = 0;

  double largest() const { return std::max(tree, memtables); }
};

/// What of L0 counts; `in_merges`: by how much it will have less when what runs has ended. Of both sstables and bytes are looked at.
LevelFigures WaitingL0(const Version& version, const LevelFigures& in_merges);

/// Pure.
/// @param l0_waiting     WaitingL0()
/// @param memtable_fill  how much of what memtables may take is taken, 0 to 1; 0 where none waits for its flush.
WriteDebt DebtOfWriters(const Version& version, const Options& options, const LevelFigures& l0_waiting, double memtable_fill);

}  // namespace lsmkv
