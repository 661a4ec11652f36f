#include "bench/entries.h"

#include <catch2/catch.hpp>
#include <set>

using namespace lsmkv::bench;

TEST_CASE("keys sort as their numbers do, and missing keys lie between them", "[bench]") {
  KeyMaker keys(16);
  CHECK(keys.Key(0) == "0000000000000000");
  CHECK(keys.Key(1234567890123456) == "1234567890123456");
  std::string before;
  for (const std::uint64_t number : {0u, 1u, 9u, 10u, 99u, 1000u, 123456u}) {
    const std::string key(keys.Key(number));
    const std::string missing(keys.MissingKey(number));
    const std::string next(keys.Key(number + 1));
    CAPTURE(number);
    CHECK(key.size() == 16);
    CHECK(before < key);
    CHECK(key < missing);
    CHECK(missing < next);
    before = key;
  }
}

TEST_CASE("values are half compressible, and differ", "[bench]") {
  ValueSource values(100, 7);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string_view value = values.Next();
    REQUIRE(value.size() == 100);
    CHECK(value.substr(0, 50) == value.substr(50));
    seen.emplace(value);
  }
  CHECK(seen.size() == 1000);
}

TEST_CASE("values of any length come without end", "[bench]") {
  const std::uint64_t bytes = GENERATE(1u, 99u, 4096u, 1u << 20);
  CAPTURE(bytes);
  ValueSource values(bytes, 7);
  for (int i = 0; i < 20'000; ++i) REQUIRE(values.Next().size() == bytes);
}

TEST_CASE("the same seed gives the same sequence, another another", "[bench]") {
  Random a(1);
  Random b(1);
  Random c(2);
  int same = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t x = a.Below(1'000'000);
    CHECK(x < 1'000'000);
    CHECK(x == b.Below(1'000'000));
    same += x == c.Below(1'000'000) ? 1 : 0;
  }
  CHECK(same < 10);
}
