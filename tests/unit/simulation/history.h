// What was written, in the order the engine gave it, and what was seen. Reads are judged when all writes are known: a batch may be
// seen before its writer hears of its sequence number.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
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
  bool operator==(const Value&) const = default;
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
};

class History {
 public:
  /// @param last  what Write() returned.
  void Wrote(SequenceNumber last, std::vector<Change> changes) { batches_[last] = {std::move(changes), false, 0, 0}; }
  /// An ingest that went well: all of it stands at one sequence number, `at`, and may be seen from some moment between the two events on.
  void Ingested(SequenceNumber at, std::vector<Change> changes, std::uint64_t from_event, std::uint64_t until_event) {
    batches_[at] = {std::move(changes), true, from_event, until_event};
  }
  /// An ingest of which nobody knows whether it has happened or will: all is judged without it and with it, at each place it may have in the order.
  /// @param after  the last sequence number before it began.
  void MayHaveIngested(SequenceNumber after, std::vector<Change> changes, std::uint64_t from_event) {
    unclear_.push_back({after, UINT64_MAX, {std::move(changes), true, from_event, UINT64_MAX}});
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
  static std::string FaultOf(const Batches& batches, const Read& read);
  static std::string FaultOf(const Batches& batches, const Scan& scan);
  template <typename Seen>
  static std::string FaultOfOpen(const Batches& batches, const Seen& seen);
  template <typename Seen>
  std::string FaultOfAny(const Seen& seen, const std::vector<Batches>& possible) const;
  std::vector<Batches> Possible() const;
  std::string FaultOfOrder() const;

  Batches batches_;
  std::vector<Unclear> unclear_;
  bool gaps_ = false;
  std::vector<Read> reads_;
  std::vector<Scan> scans_;
};

}  // namespace lsmkv::simulation
