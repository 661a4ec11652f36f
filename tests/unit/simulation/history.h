// What was written, in the order the engine gave it, and what was seen. Reads are judged when all writes are known: a batch may be
// seen before its writer hears of its sequence number.
//
// The wall clock may jump. A value with a deadline is gone only if the clock has shown more since it was written, before the look at it
// ended: then it may be gone for good, whatever the clock shows later, and once somebody has found it gone it does not come back. An
// iterator does not show it after its deadline; Get() may, which leaves that to who asks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lsmkv/write_batch.h"

namespace lsmkv::simulation {

struct Change {
  std::string key;
  std::optional<std::string> value;   ///< nullopt: deleted
  std::uint64_t expire_at_ms = 0;
};
struct Value {
  std::string text;
  std::uint64_t expire_at_ms = 0;
  std::size_t jumps = 0;              ///< of the clock, before it was written; not what it is
  bool operator==(const Value& other) const { return text == other.text && expire_at_ms == other.expire_at_ms; }
};
using State = std::map<std::string, Value>;

/// When something was looked at: between two visible sequence numbers, between two times, between two events of the run.
struct Moment {
  SequenceNumber first = 0;
  SequenceNumber last = 0;
  std::uint64_t from_ms = 0;
  std::uint64_t until_ms = 0;
  std::uint64_t from_event = 0;
  std::uint64_t until_event = 0;
  std::size_t from_jumps = 0;         ///< of the wall clock so far
  std::size_t until_jumps = 0;
};
/// Of the wall clock: what it showed last and first.
struct Jump {
  std::uint64_t before_ms = 0;
  std::uint64_t after_ms = 0;
};

class History {
 public:
  /// @param last   what Write() returned.
  /// @param jumps  what jumps() was before.
  void Wrote(SequenceNumber last, std::vector<Change> changes, std::size_t jumps) { batches_[last] = {std::move(changes), false, 0, 0, jumps}; }
  void Jumped(const Jump& jump) { jumps_.push_back(jump); }
  std::size_t jumps() const { return jumps_.size(); }
  /// Whether what was written after so many jumps may be gone at the end of `moment`.
  bool MayBeGone(const Value& value, const Moment& moment) const;
  /// An ingest that went well: all of it stands at one sequence number, `at`, and may be seen from some moment between the two events on.
  void Ingested(SequenceNumber at, std::vector<Change> changes, std::uint64_t from_event, std::uint64_t until_event) {
    batches_[at] = {std::move(changes), true, from_event, until_event, 0};
  }
  /// An ingest of which nobody knows whether it has happened or will: all is judged without it and with it, at each place it may have in the order.
  /// @param after  the last sequence number before it began.
  void MayHaveIngested(SequenceNumber after, std::vector<Change> changes, std::uint64_t from_event) {
    unclear_.push_back({after, UINT64_MAX, {std::move(changes), true, from_event, UINT64_MAX, 0}});
  }
  /// From now on sequence numbers may be given to nothing (an ingest that tries takes some).
  void AllowGaps() { gaps_ = true; }
  bool gaps() const { return gaps_; }
  void Saw(const Moment& moment, std::string key, std::optional<Value> found) {
    reads_.push_back({moment, std::move(key), std::move(found)});
  }
  /// All live keys, as an iterator with now_ms == moment.from_ms showed them.
  void SawAll(const Moment& moment, State found) { scans_.push_back({moment, std::move(found)}); }

  /// The first thing seen that no order of the writes explains; empty: none. Forgets what was seen.
  std::string Fault();
  /// The same of a tree at rest, all of which is `found`, at exactly sequence number `at`.
  std::string FaultAt(const Moment& moment, SequenceNumber at, const State& found) const;
  /// What the newest batch with `key` has made of it.
  std::optional<std::string> Newest(const std::string& key) const;
  /// A batch ends here, or nothing was written yet.
  bool IsBoundary(SequenceNumber at) const;
  /// Batches after `last` never were.
  void Forget(SequenceNumber last) {
    batches_.erase(batches_.upper_bound(last), batches_.end());
    for (Unclear& ingest : unclear_) ingest.until = std::min(ingest.until, last);
  }
  /// The end of the last batch that ends at `sequence` or before.
  SequenceNumber LastUpTo(SequenceNumber sequence) const {
    const auto after = batches_.upper_bound(sequence);
    return after == batches_.begin() ? 0 : std::prev(after)->first;
  }
  /// The end of the last batch.
  SequenceNumber last() const { return batches_.empty() ? 0 : batches_.rbegin()->first; }

 private:
  struct Batch {
    std::vector<Change> changes;
    bool ingested = false;
    std::uint64_t from_event = 0;
    std::uint64_t until_event = 0;
    std::size_t jumps = 0;              // as in Value; nothing that is ingested has a deadline
    SequenceNumber first(SequenceNumber last) const { return ingested ? last : last - changes.size() + 1; }
  };
  using Batches = std::map<SequenceNumber, Batch>;
  struct Unclear {
    SequenceNumber after = 0;
    SequenceNumber until = 0;           // it is not behind this
    Batch batch;
  };
  struct Read {
    Moment moment;
    std::string key;
    std::optional<Value> found;
  };
  struct Scan {
    Moment moment;
    State found;
  };
  static State At(const Batches& batches, SequenceNumber sequence);
  std::string Difference(const State& expected, const State& found, const Moment& moment) const;
  void NoteGone(const std::string& key, const Value& value, const Moment& moment);
  void NoteAllGone();
  std::string FaultOfReturn(const std::string& key, const Value& value, std::uint64_t from_event) const;
  std::string FaultOfReturns() const;
  std::string FaultOf(const Batches& batches, const Read& read) const;
  std::string FaultOf(const Batches& batches, const Scan& scan) const;
  template <typename Seen>
  std::string FaultOfOpen(const Batches& batches, const Seen& seen) const;
  template <typename Seen>
  std::string FaultOfAny(const Seen& seen, const std::vector<Batches>& possible) const;
  std::vector<Batches> Possible() const;
  std::string FaultOfOrder() const;

  Batches batches_;
  std::vector<Unclear> unclear_;
  std::vector<Jump> jumps_;
  std::map<std::pair<std::string, std::pair<std::string, std::uint64_t>>, std::uint64_t> gone_;   // key, text, deadline: since which event
  bool gaps_ = false;
  std::vector<Read> reads_;
  std::vector<Scan> scans_;
};

}  // namespace lsmkv::simulation
