// Words with Redis's quoting (its sdssplitargs): inline commands and configuration files.
//   "..."   \n \r \t \b \a, \xHH for a byte, and \c for c itself
//   '...'   only \' is special
// A closing quote must be followed by blank space or the end; a quote may open in the middle of a word (a"b c" is `ab c`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lsmkv {

/// Takes a line's words one by one, without a copy where there are no quotes.
class WordSplitter {
 public:
  enum class Found : std::uint8_t { kPlain, kUnescaped, kEnd, kUnbalanced };

  explicit WordSplitter(std::string_view line) : rest_(line) {}

  /// kPlain: `*plain` is a view into the line. kUnescaped: the word had quotes, and its bytes are in `*unescaped`.
  Found Next(std::string_view* plain, std::string* unescaped);

 private:
  bool TakeDoubleQuoted(std::string* out);
  bool TakeSingleQuoted(std::string* out);

  std::string_view rest_;
};

/// All words of a line. nullopt: the quotes do not balance.
std::optional<std::vector<std::string>> SplitWords(std::string_view line);
/// `word` as SplitWords will read it back: in double quotes when it is empty or has anything but plain characters.
std::string QuoteWord(std::string_view word);

}  // namespace lsmkv
