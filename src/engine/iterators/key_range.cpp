#include "engine/iterators/key_range.h"

#include <algorithm>

namespace lsmkv {
namespace {

/// The first key behind all that begin with `prefix`; empty when there is none: the prefix is empty or all 0xff.
std::string EndOfPrefix(std::string_view prefix) {
  const std::size_t last = prefix.find_last_not_of('\xff');
  if (last == std::string_view::npos) return {};
  std::string end(prefix.substr(0, last + 1));
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace

KeyRange KeyRange::Of(const ReadOptions& options) {
  KeyRange range{std::string(std::max(options.lower_bound, options.prefix)), EndOfPrefix(options.prefix)};
  if (!options.upper_bound.empty() && !range.IsBehind(options.upper_bound)) range.end = options.upper_bound;
  return range;
}

}  // namespace lsmkv
