// Words of an inline command, with Redis's quoting (its sdssplitargs):
//   "..."   \n \r \t \b \a, \xHH for a byte, and \c for c itself
//   '...'   only \' is special
// A closing quote must be followed by blank space or the end; a quote may open in the middle of a word (a"b c" is `ab c`).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lsmkv::resp {

class InlineSplitter {
 public:
  enum class Found : std::uint8_t { kPlain, kUnescaped, kEnd, kUnbalanced };

  explicit InlineSplitter(std::string_view line) : rest_(line) {}

  /// kPlain: `*plain` is a view into the line. kUnescaped: the word had quotes, and its bytes are in `*unescaped`.
  Found Next(std::string_view* plain, std::string* unescaped);

 private:
  bool TakeDoubleQuoted(std::string* out);
  bool TakeSingleQuoted(std::string* out);

  std::string_view rest_;
};

}  // namespace lsmkv::resp
