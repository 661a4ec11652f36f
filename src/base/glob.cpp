#include "base/glob.h"

#include <utility>

namespace lsmkv {
namespace {

constexpr std::string_view kSpecial = "*?[\\";

unsigned char Fold(char c, bool ignore_case) {
  const auto byte = static_cast<unsigned char>(c);
  return ignore_case && byte >= 'A' && byte <= 'Z' ? static_cast<unsigned char>(byte + 32) : byte;
}

// Matches one byte against the class whose '[' is at `*at`; moves `*at` past it.
bool ClassMatches(std::string_view pattern, std::size_t* at, char c, bool ignore_case) {
  const unsigned char byte = Fold(c, ignore_case);
  std::size_t i = *at + 1;
  const bool negated = i < pattern.size() && pattern[i] == '^';
  if (negated) ++i;
  bool found = false;
  while (i < pattern.size() && pattern[i] != ']') {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      found |= Fold(pattern[i + 1], ignore_case) == byte;
      i += 2;
    } else if (i + 2 < pattern.size() && pattern[i + 1] == '-') {
      unsigned char low = Fold(pattern[i], ignore_case);
      unsigned char high = Fold(pattern[i + 2], ignore_case);
      if (low > high) std::swap(low, high);
      found |= byte >= low && byte <= high;
      i += 3;
    } else {
      found |= Fold(pattern[i], ignore_case) == byte;
      i += 1;
    }
  }
  *at = i < pattern.size() ? i + 1 : i;
  return found != negated;
}

// Matches one byte against the element at `*at`, which is not a star; moves `*at` past it.
bool ElementMatches(std::string_view pattern, std::size_t* at, char c, bool ignore_case) {
  switch (pattern[*at]) {
    case '?':
      ++*at;
      return true;
    case '[':
      return ClassMatches(pattern, at, c, ignore_case);
    case '\\':
      if (*at + 1 < pattern.size()) ++*at;
      [[fallthrough]];
    default:
      return Fold(pattern[(*at)++], ignore_case) == Fold(c, ignore_case);
  }
}

}  // namespace

bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t at = 0;
  std::size_t position = 0;
  std::size_t after_star = kNone;     // where the pattern goes on after the last star
  std::size_t star_position = 0;      // and where in the text that was tried last
  while (position < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      while (at < pattern.size() && pattern[at] == '*') ++at;
      if (at == pattern.size()) return true;
      after_star = at;
      star_position = position;
      continue;
    }
    if (at < pattern.size() && ElementMatches(pattern, &at, text[position], ignore_case)) {
      ++position;
      continue;
    }
    if (after_star == kNone) return false;
    at = after_star;
    position = ++star_position;
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

bool GlobIsLiteral(std::string_view pattern) { return pattern.find_first_of(kSpecial) == std::string_view::npos; }

std::string_view GlobPrefix(std::string_view pattern) { return pattern.substr(0, pattern.find_first_of(kSpecial)); }

}  // namespace lsmkv
