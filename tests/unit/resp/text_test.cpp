// Numbers and patterns as clients write them (base/numbers.h, base/glob.h).
#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "base/glob.h"
#include "base/numbers.h"

namespace lsmkv {

TEST_CASE("an integer is accepted only in the form formatting would give", "[numbers]") {
  for (const char* text : {"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1a", "9223372036854775808", "-9223372036854775809", "0x1",
                           "1.0", "99999999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseInt64(text));
  }
  CHECK(ParseInt64("0") == 0);
  CHECK(ParseInt64("-1") == -1);
  CHECK(ParseInt64("9223372036854775807") == INT64_MAX);
  CHECK(ParseInt64("-9223372036854775808") == INT64_MIN);
  CHECK(ParseUint64("18446744073709551615") == UINT64_MAX);
  CHECK_FALSE(ParseUint64("18446744073709551616"));
  CHECK_FALSE(ParseUint64("-1"));
  CHECK_FALSE(ParseUint64("00"));
}

TEST_CASE("floating-point numbers are whole, finite where they were written so, and never NaN", "[numbers]") {
  for (const char* text : {"", " 1", "1 ", "nan", "1e5000", "1e-5000", "abc", "1.2.3", "-"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseLongDouble(text));
  }
  CHECK(ParseLongDouble("3.0e3") == 3000.0L);
  CHECK(ParseLongDouble("-inf") == -__builtin_infl());
  CHECK(ParseDouble("0x10") == 16.0);
  CHECK_FALSE(ParseDouble("1e400"));
  CHECK_FALSE(ParseLongDouble(std::string(6000, '1')));
}

TEST_CASE("INCRBYFLOAT's text has no exponent and no idle zeros", "[numbers]") {
  CHECK(FormatLongDouble(10.5L) == "10.5");
  CHECK(FormatLongDouble(3000.0L) == "3000");
  CHECK(FormatLongDouble(0.1L) == "0.1");
  CHECK(FormatLongDouble(-0.0L) == "0");
  CHECK(FormatLongDouble(1e20L) == "100000000000000000000");
  CHECK(FormatLongDouble(-1.25L) == "-1.25");
}

TEST_CASE("a double is written with the fewest digits that read back the same", "[numbers]") {
  char buffer[kDoubleTextBytes];
  CHECK(FormatDouble(0, buffer) == "0");
  CHECK(FormatDouble(0.1, buffer) == "0.1");
  CHECK(FormatDouble(-2.5, buffer) == "-2.5");
  CHECK(FormatDouble(100, buffer) == "100");
  CHECK(FormatDouble(1e7, buffer) == "10000000");
  CHECK(FormatDouble(1e25, buffer) == "1e+25");
  CHECK(FormatDouble(1.5e-10, buffer) == "1.5e-10");
  CHECK(FormatDouble(0.001, buffer) == "0.001");
  CHECK(FormatDouble(1.0 / 3, buffer) == "0.3333333333333333");
  CHECK(FormatDouble(-__builtin_inf(), buffer) == "-inf");
}

TEST_CASE("a pattern matches what it matches in Redis", "[glob]") {
  struct Case {
    const char* pattern;
    const char* text;
    bool want;
  };
  const auto c = GENERATE(values<Case>({
      {"*", "", true},           {"", "", true},           {"", "a", false},        {"a*", "abc", true},       {"a*c", "abc", true},
      {"a*d", "abc", false},     {"?", "a", true},         {"?", "", false},        {"h?llo", "hello", true},  {"h[ae]llo", "hallo", true},
      {"h[ae]llo", "hillo", false}, {"h[^e]llo", "hallo", true}, {"h[^e]llo", "hello", false}, {"h[a-c]llo", "hbllo", true},
      {"h[c-a]llo", "hbllo", true}, {"h\\*llo", "h*llo", true}, {"h\\*llo", "hello", false}, {"[", "a", false}, {"[a", "a", true},
      {"[^]", "x", true},        {"[]", "x", false},       {"[\\]]", "]", true},    {"a\\", "a\\", true},      {"*a*b*c*", "xaxbxcx", true},
      {"**a", "bba", true},      {"*[0-9]", "k7", true},   {"*[0-9]", "k", false},  {"a**", "a", true},        {"A", "a", false},
  }));
  CAPTURE(c.pattern, c.text);
  CHECK(GlobMatch(c.pattern, c.text) == c.want);
}

TEST_CASE("a pattern of many stars is answered in bounded time", "[glob]") {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(GlobMatch(pattern + "b", std::string(20'000, 'a')));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  CHECK(GlobMatch("ABC[x-z]", "abcY", true));
  CHECK(GlobIsLiteral("user:1"));
  CHECK_FALSE(GlobIsLiteral("user:*"));
  CHECK(GlobPrefix("user:*") == "user:");
}

}  // namespace lsmkv
