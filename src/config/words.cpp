#include "config/words.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace lsmkv {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0'; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = ToLowerAscii(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

char Unescape(char c) {
  switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
  }
}

/// Reads one escape after the backslash at `at` and returns where the next character is.
std::size_t ReadEscape(std::string_view line, std::size_t at, std::string* word) {
  if (at + 3 < line.size() && line[at + 1] == 'x' && HexDigit(line[at + 2]) >= 0 && HexDigit(line[at + 3]) >= 0) {
    word->push_back(static_cast<char>(HexDigit(line[at + 2]) * 16 + HexDigit(line[at + 3])));
    return at + 4;
  }
  word->push_back(Unescape(line[at + 1]));
  return at + 2;
}

/// Reads what is quoted from the opening quote at `at`; returns the place after the closing one, 0 when it is missing.
std::size_t ReadQuoted(std::string_view line, std::size_t at, std::string* word) {
  const char quote = line[at++];
  while (at < line.size() && line[at] != quote) {
    const bool escape = line[at] == '\\' && at + 1 < line.size();
    if (escape && quote == '"') {
      at = ReadEscape(line, at, word);
    } else if (escape && line[at + 1] == '\'') {
      word->push_back('\'');
      at += 2;
    } else {
      word->push_back(line[at++]);
    }
  }
  if (at >= line.size()) return 0;
  ++at;
  return at == line.size() || IsSpace(line[at]) ? at : 0;
}

}  // namespace

std::optional<std::vector<std::string>> SplitWords(std::string_view line) {
  std::vector<std::string> words;
  std::size_t at = 0;
  while (true) {
    while (at < line.size() && IsSpace(line[at])) ++at;
    if (at == line.size()) return words;
    std::string& word = words.emplace_back();
    while (at < line.size() && !IsSpace(line[at])) {
      if (line[at] != '"' && line[at] != '\'') {
        word.push_back(line[at++]);
        continue;
      }
      at = ReadQuoted(line, at, &word);
      if (at == 0) return std::nullopt;
    }
  }
}

std::string QuoteWord(std::string_view word) {
  const auto plain = [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\'' && c != '\\' && c != '#'; };
  if (!word.empty() && std::ranges::all_of(word, plain)) return std::string(word);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (c < ' ' || c == 0x7f) {
      const auto byte = static_cast<unsigned char>(c);
      quoted += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      quoted.push_back(c);
    }
  }
  return quoted + '"';
}

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr Unit kUnits[] = {{"", 1},         {"b", 1},           {"k", 1000},          {"kb", 1024},
                           {"m", 1000'000}, {"mb", 1024 * 1024}, {"g", 1000'000'000}, {"gb", 1ull << 30}};

}  // namespace

std::optional<std::uint64_t> ParseByteSize(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit_name(rest, static_cast<std::size_t>(end - rest));
  for (const Unit& unit : kUnits) {
    if (!EqualsIgnoringCase(unit.name, unit_name)) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() / unit.bytes) return std::nullopt;
    return number * unit.bytes;
  }
  return std::nullopt;
}

std::string FormatByteSize(std::uint64_t bytes) {
  for (const Unit& unit : {Unit{"gb", 1ull << 30}, Unit{"mb", 1ull << 20}, Unit{"kb", 1ull << 10}}) {
    if (bytes != 0 && bytes % unit.bytes == 0) return std::to_string(bytes / unit.bytes) + std::string(unit.name);
  }
  return std::to_string(bytes);
}

}  // namespace lsmkv
