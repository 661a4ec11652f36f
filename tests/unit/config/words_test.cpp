#include "config/words.h"

#include <catch2/catch.hpp>
#include <random>

using namespace lsmkv;
using Words = std::vector<std::string>;

TEST_CASE("a line is split as Redis splits it", "[config]") {
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

TEST_CASE("unbalanced quotes are refused", "[config]") {
  CHECK_FALSE(SplitWords(R"(x "a b)").has_value());
  CHECK_FALSE(SplitWords(R"(x 'a)").has_value());
  CHECK_FALSE(SplitWords(R"(x "a"b)").has_value());
  CHECK_FALSE(SplitWords(R"(x "a\)").has_value());
}

TEST_CASE("any word comes back from its quoted form", "[config]") {
  const auto seed = GENERATE(range(0u, 200u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::string word(random() % 20, ' ');
  for (char& c : word) c = static_cast<char>(random() % 256);
  CHECK(SplitWords("name " + QuoteWord(word)) == Words{"name", word});
}

TEST_CASE("sizes have Redis's units", "[config]") {
  CHECK(ParseByteSize("100") == 100);
  CHECK(ParseByteSize("100B") == 100);
  CHECK(ParseByteSize("1k") == 1000);
  CHECK(ParseByteSize("1kb") == 1024);
  CHECK(ParseByteSize("2M") == 2'000'000);
  CHECK(ParseByteSize("64mb") == 64ull << 20);
  CHECK(ParseByteSize("1g") == 1'000'000'000);
  CHECK(ParseByteSize("1GB") == 1ull << 30);
  for (const char* bad : {"", "mb", "-1", "1.5mb", "1 mb", "1tb", "18446744073709551616", "18446744073709551615gb"}) {
    CAPTURE(bad);
    CHECK_FALSE(ParseByteSize(bad).has_value());
  }
  CHECK(FormatByteSize(0) == "0");
  CHECK(FormatByteSize(1000) == "1000");
  CHECK(FormatByteSize(1536) == "1536");
  CHECK(FormatByteSize(64ull << 20) == "64mb");
  CHECK(FormatByteSize(3ull << 30) == "3gb");
}
