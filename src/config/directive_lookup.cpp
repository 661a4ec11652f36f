// Finding a row by name, and the nearest one when there is none.
#include <algorithm>
#include <numeric>
#include <vector>

#include "base/ascii.h"
#include "config/directive.h"

namespace lsmkv {
namespace {

constexpr std::size_t kLongestComparedName = 64;

/// Levenshtein's distance: insertions, deletions and replacements from `a` to `b`.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

const Directive* FindDirective(std::string_view name) {
  for (const Directive& directive : Directives()) {
    if (EqualsIgnoringCase(directive.name, name)) return &directive;
    if (!directive.alias.empty() && EqualsIgnoringCase(directive.alias, name)) return &directive;
  }
  return nullptr;
}

std::string_view NearestDirective(std::string_view name) {
  if (name.size() > kLongestComparedName) return {};
  const std::string wanted = LowerCase(name);
  std::size_t nearest_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  std::string_view nearest;
  for (const Directive& directive : Directives()) {
    for (const std::string_view known : {directive.name, directive.alias}) {
      if (known.empty()) continue;
      const std::size_t distance = EditDistance(wanted, known);
      if (distance >= nearest_distance) continue;
      nearest_distance = distance;
      nearest = known;
    }
  }
  return nearest;
}

}  // namespace lsmkv
