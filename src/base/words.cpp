#include "base/words.h"

#include <algorithm>

namespace lsmkv {
namespace {

bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0'; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
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

}  // namespace

WordSplitter::Found WordSplitter::Next(std::string_view* plain, std::string* unescaped) {
  while (!rest_.empty() && IsBlank(rest_[0])) rest_.remove_prefix(1);
  if (rest_.empty()) return Found::kEnd;
  std::size_t end = 0;
  while (end < rest_.size() && !IsBlank(rest_[end]) && rest_[end] != '"' && rest_[end] != '\'') ++end;
  if (end == rest_.size() || IsBlank(rest_[end])) {
    *plain = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return Found::kPlain;
  }
  unescaped->assign(rest_.substr(0, end));
  rest_.remove_prefix(end);
  while (!rest_.empty() && !IsBlank(rest_[0])) {
    const char c = rest_[0];
    rest_.remove_prefix(1);
    if (c != '"' && c != '\'') {
      unescaped->push_back(c);
      continue;
    }
    if (!(c == '"' ? TakeDoubleQuoted(unescaped) : TakeSingleQuoted(unescaped))) return Found::kUnbalanced;
    break;   // what closes a quote also closes the word
  }
  return Found::kUnescaped;
}

bool WordSplitter::TakeDoubleQuoted(std::string* out) {
  while (!rest_.empty()) {
    if (rest_[0] == '"') {
      rest_.remove_prefix(1);
      return rest_.empty() || IsBlank(rest_[0]);
    }
    if (rest_[0] != '\\' || rest_.size() < 2) {
      out->push_back(rest_[0]);
      rest_.remove_prefix(1);
    } else if (rest_[1] == 'x' && rest_.size() >= 4 && HexDigit(rest_[2]) >= 0 && HexDigit(rest_[3]) >= 0) {
      out->push_back(static_cast<char>(HexDigit(rest_[2]) * 16 + HexDigit(rest_[3])));
      rest_.remove_prefix(4);
    } else {
      out->push_back(Unescape(rest_[1]));
      rest_.remove_prefix(2);
    }
  }
  return false;
}

bool WordSplitter::TakeSingleQuoted(std::string* out) {
  while (!rest_.empty()) {
    if (rest_[0] == '\'') {
      rest_.remove_prefix(1);
      return rest_.empty() || IsBlank(rest_[0]);
    }
    const bool escaped_quote = rest_.starts_with("\\'");
    out->push_back(escaped_quote ? '\'' : rest_[0]);
    rest_.remove_prefix(escaped_quote ? 2 : 1);
  }
  return false;
}

std::optional<std::vector<std::string>> SplitWords(std::string_view line) {
  WordSplitter splitter(line);
  std::vector<std::string> words;
  std::string_view plain;
  std::string unescaped;
  while (true) {
    switch (splitter.Next(&plain, &unescaped)) {
      case WordSplitter::Found::kPlain: words.emplace_back(plain); break;
      case WordSplitter::Found::kUnescaped: words.push_back(std::move(unescaped)); break;
      case WordSplitter::Found::kEnd: return words;
      case WordSplitter::Found::kUnbalanced: return std::nullopt;
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

}  // namespace lsmkv
