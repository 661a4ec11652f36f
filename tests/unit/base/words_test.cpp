#include "base/words.h"

#include <catch2/catch.hpp>
#include <random>

using namespace lsmkv;
using Words = std::vector<std::string>;

TEST_CASE("a line is split as Redis splits it", "[words]") {
  struct Case {
    std::string line;
    Words want;
  };
  const auto c = GENERATE(values<Case>({
      {"", {}},
      {"  \t\r", {}},
      {"port 6379\r", {"port", "6379"}},
      {R"(requirepass "a b\"c\n\x41\\")", {"requirepass", "a b\"c\nA\\"}},
      {R"(save "")", {"save", ""}},
      {R"(x 'it\'s \n')", {"x", "it's \\n"}},
      {R"(x "\xzz")", {"x", "xzz"}},
      {R"(pre"fix")", {"prefix"}},
  }));
  CAPTURE(c.line);
  CHECK(SplitWords(c.line) == c.want);
}

TEST_CASE("unbalanced quotes are refused", "[words]") {
  CHECK_FALSE(SplitWords(R"(x "a b)").has_value());
  CHECK_FALSE(SplitWords(R"(x 'a)").has_value());
  CHECK_FALSE(SplitWords(R"(x "a"b)").has_value());
  CHECK_FALSE(SplitWords(R"(x "a\)").has_value());
}

TEST_CASE("any word comes back from its quoted form", "[words]") {
  const auto seed = GENERATE(range(0u, 200u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::string word(random() % 20, ' ');
  for (char& c : word) c = static_cast<char>(random() % 256);
  CHECK(SplitWords("name " + QuoteWord(word)) == Words{"name", word});
}
