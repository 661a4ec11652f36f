// What was written, in the order the engine gave it, and what was seen. Reads are judged when all writes are known: a batch may be
// seen before its writer hears of its sequence number.
#pragma once

#include <cstdint>
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

/// When something was looked at: between two visible sequence numbers, between two times.
struct Moment {
  SequenceNumber first = 0;
  SequenceNumber last = 0;
  std::uint64_t from_ms = 0;
  std::uint64_t until_ms = 0;
};

class History {
 public:
  /// @param last  what Write() returned.
  void Wrote(SequenceNumber last, std::vector<Change> changes) { batches_[last] = std::move(changes); }
  void Saw(const Moment& moment, std::string key, std::optional<Value> found) {
    reads_.push_back({moment, std::move(key), std::move(found)});
  }
  /// All live keys, as an iterator with now_ms == moment.from_ms showed them.
  void SawAll(const Moment& moment, State found) { scans_.push_back({moment, std::move(found)}); }

  /// The first thing seen that no order of the writes explains; empty: none. Forgets what was seen.
  std::string Fault();
  /// The same of a tree at rest, all of which is `found`, at exactly sequence number `at`.
  std::string FaultAt(const Moment& moment, SequenceNumber at, const State& found) const;
  /// A batch ends here, or nothing was written yet.
  bool IsBoundary(SequenceNumber at) const { return at == 0 || batches_.contains(at); }
  /// Batches after `last` never were.
  void Forget(SequenceNumber last) { batches_.erase(batches_.upper_bound(last), batches_.end()); }
  /// The end of the last batch.
  SequenceNumber last() const { return batches_.empty() ? 0 : batches_.rbegin()->first; }
  State At(SequenceNumber sequence) const;

 private:
  struct Read {
    Moment moment;
    std::string key;
    std::optional<Value> found;
  };
  struct Scan {
    Moment moment;
    State found;
  };
  std::string FaultOf(const Read& read) const;
  std::string FaultOf(const Scan& scan) const;
  std::string FaultOfOrder() const;

  std::map<SequenceNumber, std::vector<Change>> batches_;
  std::vector<Read> reads_;
  std::vector<Scan> scans_;
};

}  // namespace lsmkv::simulation
