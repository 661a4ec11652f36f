#pragma once

#include <string>
#include <string_view>

#include "lsmkv/engine.h"

namespace lsmkv {

/// The keys that ReadOptions let an iterator show: [begin, end), where an empty `end` is no bound.
struct KeyRange {
  std::string begin;
  std::string end;

  /// Bounds and prefix together: the keys that satisfy all of them.
  static KeyRange Of(const ReadOptions& options);

  bool IsBehind(std::string_view key) const { return !end.empty() && key >= end; }
  /// Whether it has a key in [smallest, largest].
  bool Overlaps(std::string_view smallest, std::string_view largest) const {
    return largest >= begin && !IsBehind(smallest);
  }
};

}  // namespace lsmkv
