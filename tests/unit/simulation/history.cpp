#include "history.h"

#include <algorithm>
#include <utility>

namespace lsmkv::simulation {
namespace {

void Apply(const std::vector<Change>& changes, std::size_t jumps, State* state) {
  for (const Change& change : changes) {
    if (change.value) {
      (*state)[change.key] = {*change.value, change.expire_at_ms, jumps};
    } else {
      state->erase(change.key);
    }
  }
}

std::string TextOf(const Value& value) {
  return "\"" + value.text.substr(0, 24) + "\"" + (value.expire_at_ms == 0 ? "" : " until " + std::to_string(value.expire_at_ms));
}
std::string TextOf(const std::optional<Value>& value) { return value ? TextOf(*value) : "nothing"; }
std::string TextOf(const Moment& moment) {
  return "between sequence numbers " + std::to_string(moment.first) + " and " + std::to_string(moment.last) + ", " +
         std::to_string(moment.from_ms) + " to " + std::to_string(moment.until_ms) + " ms";
}

}  // namespace

bool History::MayBeGone(const Value& value, const Moment& moment) const {
  std::uint64_t most_ms = moment.until_ms;
  for (std::size_t i = value.jumps; i < moment.until_jumps; ++i) most_ms = std::max(most_ms, jumps_[i].before_ms);
  return HasExpired(value.expire_at_ms, most_ms);
}

void History::NoteGone(const std::string& key, const Value& value, const Moment& moment) {
  const auto [gone, is_new] = gone_.try_emplace({key, {value.text, value.expire_at_ms}}, moment.until_event);
  if (!is_new) gone->second = std::min(gone->second, moment.until_event);
}

/// Where it is clear which value was looked for: at one sequence number, no ingest in doubt.
void History::NoteAllGone() {
  if (jumps_.empty() || gaps_) return;       // a clock that only goes on brings nothing back
  for (const Read& read : reads_) {
    if (read.found || read.moment.first != read.moment.last) continue;
    const State state = At(batches_, read.moment.first);
    if (const auto is = state.find(read.key); is != state.end()) NoteGone(read.key, is->second, read.moment);
  }
  for (const Scan& scan : scans_) {
    if (scan.moment.first != scan.moment.last) continue;
    for (const auto& [key, value] : At(batches_, scan.moment.first)) {
      if (!scan.found.contains(key) && !HasExpired(value.expire_at_ms, scan.moment.from_ms)) NoteGone(key, value, scan.moment);
    }
  }
}

std::string History::FaultOfReturn(const std::string& key, const Value& value, std::uint64_t from_event) const {
  const auto gone = gone_.find({key, {value.text, value.expire_at_ms}});
  if (gone == gone_.end() || from_event <= gone->second) return "";
  return key + " is " + TextOf(value) + ", which was gone already";
}

std::string History::FaultOfReturns() const {
  for (const Read& read : reads_) {
    if (!read.found) continue;
    if (const std::string fault = FaultOfReturn(read.key, *read.found, read.moment.from_event); !fault.empty()) return "Get: " + fault;
  }
  for (const Scan& scan : scans_) {
    for (const auto& [key, value] : scan.found) {
      if (const std::string fault = FaultOfReturn(key, value, scan.moment.from_event); !fault.empty()) return "an iterator: " + fault;
    }
  }
  return "";
}

/// How `found`, all that is alive by the clock at the moment's beginning, differs from `expected`; what expires during the moment may be gone.
std::string History::Difference(const State& expected, const State& found, const Moment& moment) const {
  for (const auto& [key, value] : found) {
    const auto is = expected.find(key);
    if (is == expected.end()) return key + " is " + TextOf(value) + ", should not be there";
    if (is->second != value) return key + " is " + TextOf(value) + ", should be " + TextOf(is->second);
    if (HasExpired(value.expire_at_ms, moment.from_ms)) return key + " is " + TextOf(value) + ", has expired";
  }
  for (const auto& [key, value] : expected) {
    if (!found.contains(key) && !HasExpired(value.expire_at_ms, moment.from_ms) && !MayBeGone(value, moment)) return key + " is missing, should be " + TextOf(value);
  }
  return "";
}

State History::At(const Batches& batches, SequenceNumber sequence) {
  State state;
  for (const auto& [last, batch] : batches) {
    if (last > sequence) break;
    Apply(batch.changes, batch.jumps, &state);
  }
  return state;
}

std::optional<std::string> History::Newest(const std::string& key) const {
  std::optional<std::string> value;
  for (const auto& [last, batch] : batches_) {
    for (const Change& change : batch.changes) {
      if (change.key == key) value = change.value;
    }
  }
  return value;
}

bool History::IsBoundary(SequenceNumber at) const {
  const auto batch = batches_.lower_bound(at);
  if (batch == batches_.end()) return at == last() || gaps_;
  return batch->first == at || (batch->second.first(batch->first) == at + 1) || gaps_;
}

std::string History::FaultOf(const Batches& batches, const Read& read) const {
  // The last change of the key in each batch that may be the newest one seen.
  std::optional<Value> value;
  bool explained = false;
  const auto explains = [&] {
    if (value == read.found) return true;
    return !read.found && MayBeGone(*value, read.moment);
  };
  bool looked = false;
  for (const auto& [last, batch] : batches) {
    if (last > read.moment.last) break;
    if (last > read.moment.first && !looked) {
      explained = explains();
      looked = true;
    }
    bool changed = false;
    for (const Change& change : batch.changes) {
      if (change.key != read.key) continue;
      value = change.value ? std::optional(Value{*change.value, change.expire_at_ms, batch.jumps}) : std::nullopt;
      changed = true;
    }
    if (last > read.moment.first && changed) explained = explained || explains();
  }
  if (!looked) explained = explains();
  if (explained) return "";
  return "Get(" + read.key + ") found " + TextOf(read.found) + "; the last value there was " + TextOf(value) + "; " + TextOf(read.moment);
}

std::string History::FaultOf(const Batches& batches, const Scan& scan) const {
  State state = At(batches, scan.moment.first);
  std::string difference = Difference(state, scan.found, scan.moment);
  for (auto batch = batches.upper_bound(scan.moment.first); batch != batches.end() && batch->first <= scan.moment.last; ++batch) {
    if (difference.empty()) return "";
    Apply(batch->second.changes, batch->second.jumps, &state);
    difference = Difference(state, scan.found, scan.moment);
  }
  if (difference.empty()) return "";
  return "an iterator shows what never was: " + difference + "; " + TextOf(scan.moment);
}

/// With and without the ingests that may or may not have been seen: what either explains is right.
template <typename Seen>
std::string History::FaultOfOpen(const Batches& all, const Seen& seen) const {
  std::vector<SequenceNumber> open;
  Batches batches = all;
  for (const auto& [at, batch] : all) {
    if (!batch.ingested || batch.until_event < seen.moment.from_event) continue;
    batches.erase(at);
    constexpr std::size_t kMostOpen = 4;
    if (batch.from_event <= seen.moment.until_event && open.size() < kMostOpen) open.push_back(at);
  }
  std::string fault;
  for (std::size_t chosen = 0; chosen < (std::size_t{1} << open.size()); ++chosen) {
    Batches some = batches;
    for (std::size_t i = 0; i < open.size(); ++i) {
      if ((chosen >> i & 1) != 0) some[open[i]] = all.at(open[i]);
    }
    fault = FaultOf(some, seen);
    if (fault.empty()) return "";
  }
  return fault;
}

/// What is true of one of the orders that there may have been is right.
template <typename Seen>
std::string History::FaultOfAny(const Seen& seen, const std::vector<Batches>& possible) const {
  std::string first;
  for (const Batches& batches : possible) {
    const std::string fault = FaultOfOpen(batches, seen);
    if (fault.empty()) return "";
    if (first.empty()) first = fault;
  }
  return first;
}

/// The batches without the unclear ingests, and with each of them at each sequence number, of those with no other batch between them at one, that
/// nothing else has.
std::vector<History::Batches> History::Possible() const {
  std::vector<Batches> possible = {batches_};
  for (const Unclear& ingest : unclear_) {
    for (std::size_t i = 0, without = possible.size(); i < without; ++i) {
      SequenceNumber free = ingest.after + 1;
      const auto put_before = [&](SequenceNumber next) {
        if (free >= next || free > ingest.until) return;
        possible.push_back(possible[i]);
        possible.back()[free] = ingest.batch;
      };
      for (const auto& [last, batch] : Batches(possible[i])) {
        put_before(batch.first(last));
        free = std::max(free, last + 1);
      }
      put_before(UINT64_MAX);
    }
  }
  return possible;
}

/// Sequence numbers follow each other without a gap, unless ingests took some.
std::string History::FaultOfOrder() const {
  SequenceNumber before = 0;
  for (const auto& [last, batch] : batches_) {
    const SequenceNumber first = batch.first(last);
    if (gaps_ ? first <= before : first != before + 1) {
      return "a batch of " + std::to_string(batch.changes.size()) + " ends at sequence number " + std::to_string(last) + ", the one before at " +
             std::to_string(before);
    }
    before = last;
  }
  return "";
}

std::string History::Fault() {
  std::string fault = FaultOfOrder();
  NoteAllGone();
  if (fault.empty()) fault = FaultOfReturns();
  const std::vector<Batches> possible = Possible();
  for (const Read& read : std::exchange(reads_, {})) {
    if (fault.empty()) fault = FaultOfAny(read, possible);
  }
  for (const Scan& scan : std::exchange(scans_, {})) {
    if (fault.empty()) fault = FaultOfAny(scan, possible);
  }
  return fault;
}

std::string History::FaultAt(const Moment& moment, SequenceNumber at, const State& found) const {
  for (const auto& [key, value] : found) {
    if (const std::string fault = FaultOfReturn(key, value, UINT64_MAX); !fault.empty()) return fault;
  }
  for (const Batches& batches : Possible()) {
    if (Difference(At(batches, at), found, moment).empty()) return "";
  }
  const std::string difference = Difference(At(batches_, at), found, moment);
  // For people: whether it is another state that once was.
  for (const auto& [last, batch] : batches_) {
    if (Difference(At(batches_, last), found, moment).empty()) {
      return difference + " (it is what was at sequence number " + std::to_string(last) + ", not at " + std::to_string(at) + ")";
    }
  }
  return difference + " (at sequence number " + std::to_string(at) + ")";
}

}  // namespace lsmkv::simulation
