// Many sorted sources as one: what a scan reads and what a compaction writes out.
//
// Each source holds a key at most once. Of the sources that hold the same key the one with the largest sequence number
// wins (at the same number, the first in the list); the others are stepped over and counted.
//
// The sources play in a loser tree (Knuth, The Art of Computer Programming, vol. 3, 5.4.1): tree_[0] is the source with
// the smallest key, each inner place keeps the loser of the match played there, so that after the winner has moved only
// the matches on its way to the root are played again: log2(n) comparisons a step, to a binary heap's two times that.
//
//                 tree_[0] winner
//                 tree_[1]                 place i of n sources has the children 2i and 2i+1;
//            tree_[2]  tree_[3]            places n .. 2n-1 are the sources 0 .. n-1
//            s2  s3    s0   s1
//
// A match compares one integer: the 8 bytes that follow what all current keys have in common. Keys in one database share
// their first bytes, so the first 8 would say nothing. When a source moves to a key outside of the common part, that
// part shrinks and the tree is built anew; every kRebaseInterval steps it is measured anew, so that it grows again.
//
// Backward it is the same tournament with the largest key winning: the integers are kept complemented, so that the match stays
// one comparison, and of equal keys the newest still wins. A change of direction costs one step of every source.
//
// A seek goes to one source after the other. The first that has to wait for the disk says so before (DiskWaitListener), and those behind it
// ask for their index blocks, which waits for nothing; the first that has to wait for a block makes those behind it ask for theirs, which
// waits for the indexes. So cold sources cost two waits, not two each, and while all is in memory nobody asks.
//
// Invariants
//   1. Every valid source's key begins with common_.
//   2. While Valid, no source has failed: a source that fails ends the whole, since its keys would be missing.
//   3. While Valid, each source stands at its first key that, in the direction of the walk, is not in front of entry().key, or
//      at its end when it has none: one step back is its nearest key on the other side.
// Threads  none of its own; one caller at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/internal_iterator.h"

namespace lsmkv {

class MergingIterator final : public InternalIterator, private DiskWaitListener {
 public:
  /// `sources` may be empty. Not Valid until the first seek.
  explicit MergingIterator(std::vector<std::unique_ptr<InternalIterator>> sources);
  MergingIterator(const MergingIterator&) = delete;      // its sources know where it is
  MergingIterator& operator=(const MergingIterator&) = delete;

  bool Valid() const override { return valid_; }
  void SeekToFirst() override;
  void Seek(std::string_view target) override;
  void SeekToLast() override;
  void SeekForPrev(std::string_view target) override;
  void Next() override;
  void Prev() override;
  /// Belongs to the winning source.
  const EntryView& entry() const override { return sources_[winner()].iterator->entry(); }
  Status status() const override { return status_; }

  /// Versions stepped over so far because a newer one of their key won.
  std::uint64_t skipped() const { return skipped_; }

 private:
  static constexpr std::uint32_t kRebaseInterval = 4096;

  struct Source {
    std::unique_ptr<InternalIterator> iterator;
    std::uint64_t prefix = 0;          // of the key after common_, as a big-endian integer; complemented when backward
    std::string_view key;              // the current entry's
    SequenceNumber sequence = 0;
    bool valid = false;
  };

  std::size_t winner() const { return tree_[0]; }
  bool Beats(std::size_t a, std::size_t b) const {
    if (sources_[a].prefix != sources_[b].prefix) return sources_[a].prefix < sources_[b].prefix;
    return BeatsInDetail(a, b);
  }
  bool BeatsInDetail(std::size_t a, std::size_t b) const;
  /// Seeks with every source, to walk on from there in the given direction. `place`: where to; null: a step, for which nothing is asked ahead.
  template <typename SeekSource>
  void SeekAll(bool backward, const SeekPlace* place, const SeekSource& seek);
  /// By the source that is being sought.
  void BeforeWait(SeekStage stage) override;
  void Step();
  /// The other direction, and the first step in it.
  void Turn();
  std::uint64_t PrefixOf(std::string_view key) const;
  void Fetch(Source* source);
  void AdvanceWinner();
  void Replay(std::size_t source);
  void Rebuild();
  void MeasureCommon();

  std::vector<Source> sources_;
  std::vector<std::size_t> tree_;      // [0] the winner, [1..n) losers
  std::string common_;                 // what all current keys begin with
  std::string last_key_;               // the key just left
  bool backward_ = false;
  struct SeekUnderWay {
    const SeekPlace* place = nullptr;  // null: none, or all of it has been asked for
    std::size_t next = 0;              // the sources from here on have not had their turn
    bool indexes_asked = false;
  };
  SeekUnderWay seek_;
  std::uint32_t steps_to_rebase_ = kRebaseInterval;
  std::uint64_t skipped_ = 0;
  bool valid_ = false;
  Status status_;
};

}  // namespace lsmkv
