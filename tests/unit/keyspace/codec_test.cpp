#include "keyspace/codec.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

namespace lsmkv {
namespace {

std::string Ordered(std::uint64_t value) {
  char buffer[kMaxOrderedVarintBytes];
  return {buffer, static_cast<std::size_t>(EncodeOrderedVarint(buffer, value) - buffer)};
}

std::vector<std::uint64_t> EdgeNumbers() {
  std::vector<std::uint64_t> numbers{0, 1, 15, 16, 238, 239, 240, 241, UINT64_MAX - 1, UINT64_MAX};
  for (int shift = 8; shift < 64; shift += 8) {
    const std::uint64_t power = std::uint64_t{1} << shift;
    for (const std::uint64_t number : {power - 1, power, power + 1}) numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

TEST_CASE("ordered varints sort as their numbers do, and come back", "[codec]") {
  const std::vector<std::uint64_t> numbers = EdgeNumbers();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    CAPTURE(numbers[i]);
    const std::string encoded = Ordered(numbers[i]);
    if (i > 0) CHECK(Ordered(numbers[i - 1]) < encoded);
    const std::string followed = encoded + "rest";
    std::string_view in = followed;
    std::uint64_t decoded = 0;
    REQUIRE(GetOrderedVarint(&in, &decoded));
    CHECK(decoded == numbers[i]);
    CHECK(in == "rest");
    for (std::size_t cut = 0; cut < encoded.size(); ++cut) {
      std::string_view part = std::string_view(encoded).substr(0, cut);
      CHECK_FALSE(GetOrderedVarint(&part, &decoded));
    }
  }
  CHECK(Ordered(239).size() == 1);
}

TEST_CASE("an ordered varint that is not the shortest is refused", "[codec]") {
  using namespace std::string_literals;
  for (const std::string& bad : {"\xf0\x05"s, "\xf0\xef"s, "\xf1\x00\xff"s, "\xf7\x00\x00\x00\x00\x00\x00\x00\x01"s, "\xf8"s,
                                 "\xff\x01\x01\x01\x01\x01\x01\x01\x01\x01"s}) {
    std::string_view in = bad;
    std::uint64_t value = 0;
    CHECK_FALSE(GetOrderedVarint(&in, &value));
    CHECK(in == bad);
  }
}

TEST_CASE("engine keys sort by database and then by user key, inside their database's range", "[codec]") {
  const auto seed = GENERATE(range(0u, 5u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const std::vector<std::uint64_t> ids = EdgeNumbers();
  std::vector<std::pair<std::uint64_t, std::string>> keys;
  for (int i = 0; i < 300; ++i) {
    std::string user_key(random() % 300 == 0 ? 1000 : random() % 4, '\0');
    for (char& byte : user_key) byte = static_cast<char>(random() % 3 == 0 ? 0xff : random() % 3);
    keys.emplace_back(ids[random() % (ids.size() - 2)], user_key);
  }
  std::ranges::sort(keys);
  std::string before;
  for (const auto& [id, user_key] : keys) {
    const EngineKey key(id, user_key);
    const std::optional<DecodedKey> decoded = DecodeEngineKey(key.view());
    REQUIRE(decoded);
    CHECK(decoded->database == id);
    CHECK(decoded->user_key == user_key);
    CHECK(before <= key.view());
    CHECK(DatabaseBegin(id) <= key.view());
    CHECK(key.view() < DatabaseEnd(id));
    before = key.view();
  }
}

TEST_CASE("a prefix's range holds exactly the keys that start with it", "[codec]") {
  using namespace std::string_literals;
  const std::vector<std::string> words{""s, "\x00"s, "a"s, "ab"s, "a\xff"s, "a\xff\xff"s, "b"s, "\xff"s, "\xff\xff"s, "\xff\xffz"s};
  for (const std::uint64_t id : {0ull, 5ull, 239ull, 240ull, 255ull, 65535ull}) {
    for (const std::string& prefix : words) {
      const std::string end = PrefixEnd(id, prefix);
      CHECK(end <= DatabaseEnd(id));
      for (const std::string& word : words) {
        const EngineKey key(id, word);
        const bool inside = key.view() >= EngineKey(id, prefix).view() && key.view() < end;
        CHECK(inside == word.starts_with(prefix));
      }
    }
  }
}

TEST_CASE("what is not a Redis key or value is not decoded", "[codec]") {
  CHECK_FALSE(DecodeEngineKey(""));
  CHECK_FALSE(DecodeEngineKey("\x10"));
  CHECK_FALSE(DecodeEngineKey(ServerKey("databases")));
  CHECK_FALSE(DecodeValue(""));
  CHECK_FALSE(DecodeValue("\x7fpayload"));
  CHECK_FALSE(DecodeValue("\xffpayload"));
  CHECK(DecodeValue("\x81payload")->edited);
  const std::optional<DecodedValue> value = DecodeValue("\x01payload");
  CHECK_FALSE(value->edited);
  REQUIRE(value);
  CHECK(value->payload == "payload");
}

}  // namespace
}  // namespace lsmkv
