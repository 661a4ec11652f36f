// Tables that merges leave alone because they could not be read to their end, so that others go on around them.
//
//   damaged   their bytes are not what was written: left alone as long as the tree has them
//   unread    the system did not read them (a bad sector, no descriptor): that may pass, so they are tried again, after a time that doubles
//             with each failure, since a merge that meets a bad sector has written all before it for nothing
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>

namespace lsmkv {

class UnreadableTables {
 public:
  using Micros = std::chrono::microseconds;
  static constexpr Micros kFirstPause{1'000'000};
  static constexpr Micros kLongestPause{600'000'000};

  bool empty() const { return tables_.empty(); }
  void AddDamaged(std::uint64_t id) { tables_[id] = {Micros::max(), Micros::max()}; }
  /// At the monotonic time `now`.
  void AddUnread(std::uint64_t id, Micros now) {
    State& state = tables_[id];
    if (state.until == Micros::max()) return;
    state.pause = std::clamp(state.pause * 2, kFirstPause, kLongestPause);
    state.until = now + state.pause;
  }
  std::set<std::uint64_t> LeftAlone(Micros now) const {
    std::set<std::uint64_t> ids;
    for (const auto& [id, state] : tables_)
      if (now < state.until) ids.insert(id);
    return ids;
  }
  /// How long until the first of them is tried again; the longest time there is when there is none.
  Micros UntilNext(Micros now) const {
    Micros least = Micros::max();
    for (const auto& [id, state] : tables_)
      if (now < state.until && state.until != Micros::max()) least = std::min(least, state.until - now);
    return least;
  }
  /// Forgets those that are not among `ids`. Returns whether there were any.
  bool KeepOnly(const std::set<std::uint64_t>& ids) {
    return std::erase_if(tables_, [&ids](const auto& table) { return !ids.contains(table.first); }) != 0;
  }

 private:
  struct State {
    Micros pause{0};
    Micros until{0};
  };
  std::map<std::uint64_t, State> tables_;
};

}  // namespace lsmkv
