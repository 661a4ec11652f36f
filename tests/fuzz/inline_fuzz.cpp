// Inline commands and quoted words. Promises: the words are those that a plain reading of Redis's rules gives (an oracle of
// its own below); pieces make no difference; a quoted word reads back as itself; bad quotes are an error, not a guess.
//   input := cuts:u16 bytes
#include <algorithm>
#include <optional>
#include <vector>

#include "base/words.h"
#include "fuzz_support.h"
#include "resp/parser.h"

namespace lsmkv {
namespace {

using fuzz::Dice;
using fuzz::ExactCopy;
using fuzz::Input;
using Words = std::vector<std::string>;

int HexValue(char c) {
  const std::string_view digits = "0123456789abcdef";
  const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  const std::size_t at = digits.find(lower);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

/// The rules as words.h states them, one character at a time. nullopt: unbalanced.
class Oracle {
 public:
  explicit Oracle(std::string_view line) : line_(line) {}

  std::optional<Words> Read() {
    Words words;
    while (true) {
      while (at_ < line_.size() && Blank()) ++at_;
      if (at_ == line_.size()) return words;
      words.emplace_back();
      if (!ReadWord(&words.back())) return std::nullopt;
    }
  }

 private:
  bool Blank() const { return std::string_view(" \t\n\v\f\r\0", 7).find(line_[at_]) != std::string_view::npos; }
  bool EndsHere() const { return at_ == line_.size() || Blank(); }

  bool ReadWord(std::string* word) {
    while (!EndsHere()) {
      const char c = line_[at_++];
      if (c == '"' || c == '\'') return ReadQuoted(c, word) && EndsHere();
      *word += c;
    }
    return true;
  }
  bool ReadQuoted(char quote, std::string* word) {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == quote) return true;
      if (c == '\\' && at_ < line_.size() && (quote == '"' || line_[at_] == '\'')) {
        *word += quote == '"' ? Escaped() : line_[at_++];
      } else {
        *word += c;
      }
    }
    return false;
  }
  char Escaped() {
    const char c = line_[at_++];
    if (c == 'x' && at_ + 1 < line_.size() && HexValue(line_[at_]) >= 0 && HexValue(line_[at_ + 1]) >= 0) {
      at_ += 2;
      return static_cast<char>(HexValue(line_[at_ - 2]) * 16 + HexValue(line_[at_ - 1]));
    }
    const std::string_view names = "nrtba";
    const std::size_t found = names.find(c);
    return found == std::string_view::npos ? c : "\n\r\t\b\a"[found];
  }

  const std::string_view line_;
  std::size_t at_ = 0;
};

struct Heard {
  std::vector<Words> commands;
  bool unbalanced = false;
  bool operator==(const Heard&) const = default;
};

Heard Expected(std::string_view bytes) {
  Heard heard;
  for (std::size_t end; (end = bytes.find('\n')) != std::string_view::npos; bytes.remove_prefix(end + 1)) {
    std::string_view line = bytes.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    std::optional<Words> words = Oracle(line).Read();
    FUZZ_REQUIRE(words == SplitWords(line), "SplitWords reads what the rules say");
    heard.unbalanced = !words;
    if (!words) return heard;
    if (!words->empty()) heard.commands.push_back(*std::move(words));
  }
  return heard;
}

Heard Listen(std::string_view bytes, Dice dice, std::size_t most) {
  Heard heard;
  resp::Parser parser;
  resp::ArgVector args;
  std::string buffer;
  while (true) {
    const ExactCopy now(buffer);
    std::size_t consumed = 0;
    std::string error;
    const resp::ParseStatus status = parser.Next(now.view(), args, &consumed, &error);
    FUZZ_REQUIRE(consumed <= buffer.size(), "no more is consumed than there is");
    if (status == resp::ParseStatus::kError) {
      FUZZ_REQUIRE(error == "Protocol error: unbalanced quotes in request", "no other error is possible");
      heard.unbalanced = true;
      return heard;
    }
    if (status == resp::ParseStatus::kComplete) heard.commands.emplace_back(args.begin(), args.end());
    buffer.erase(0, consumed);
    if (status == resp::ParseStatus::kComplete) continue;
    if (bytes.empty()) return heard;
    const std::size_t piece = std::min<std::size_t>(bytes.size(), 1 + dice.Below(most));
    buffer.append(bytes.substr(0, piece));
    bytes.remove_prefix(piece);
  }
}

void QuotingIsExact(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += QuoteWord(word) + ' ';
  FUZZ_REQUIRE(SplitWords(line) == words, "what QuoteWord wrote reads back");
}

}  // namespace
}  // namespace lsmkv

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lsmkv;
  Input input(data, size);
  const std::uint16_t cuts = input.Short();
  // No line may begin as an array does, and none may be longer than is allowed: these are the RESP target's.
  std::string bytes(input.Take(32 * 1024));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    if (bytes[at] == '*' && (at == 0 || bytes[at - 1] == '\n')) bytes[at] = '+';
  }
  const Heard expected = Expected(bytes);
  FUZZ_REQUIRE(Listen(bytes, Dice(0), SIZE_MAX) == expected, "the commands are what the rules say");
  FUZZ_REQUIRE(Listen(bytes, Dice(cuts), 1 + cuts % 40) == expected, "pieces make no difference");
  for (const Words& words : expected.commands) QuotingIsExact(words);
  QuotingIsExact({bytes, ""});
  return 0;
}
