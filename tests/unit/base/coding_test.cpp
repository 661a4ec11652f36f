#include "base/coding.h"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

namespace lsmkv {
namespace {

std::vector<std::uint64_t> InterestingNumbers() {
  std::vector<std::uint64_t> numbers = {0, UINT64_MAX};
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    numbers.insert(numbers.end(), {power - 1, power, power + 1});
  }
  return numbers;
}

}  // namespace

TEST_CASE("fixed integers are little-endian and come back", "[coding]") {
  std::string out;
  PutFixed<std::uint32_t>(&out, 0x04030201);
  CHECK(out == "\x01\x02\x03\x04");
  std::string_view in = out;
  std::uint32_t value = 0;
  CHECK(GetFixed(&in, &value));
  CHECK(value == 0x04030201);
  CHECK(in.empty());
  std::string_view three("abc");
  CHECK_FALSE(GetFixed(&three, &value));
  CHECK(three == "abc");
}

TEST_CASE("varints come back, whatever follows them", "[coding]") {
  for (const std::uint64_t want : InterestingNumbers()) {
    CAPTURE(want);
    std::string out;
    PutVarint(&out, want);
    CHECK(out.size() <= kMaxVarint64Bytes);
    const std::size_t bytes = out.size();
    out += "\xff\xffrest";
    std::string_view in = out;
    std::uint64_t wide = 0;
    REQUIRE(GetVarint64(&in, &wide));
    CHECK(wide == want);
    CHECK(in.size() == out.size() - bytes);

    in = out;
    std::uint32_t narrow = 0;
    CHECK(GetVarint32(&in, &narrow) == (want <= UINT32_MAX));
    if (want <= UINT32_MAX) CHECK(narrow == want);
    if (want > UINT32_MAX) CHECK(in == out);
  }
}

TEST_CASE("a varint cut anywhere is refused and left where it was", "[coding]") {
  for (const std::uint64_t number : InterestingNumbers()) {
    std::string out;
    PutVarint(&out, number);
    for (std::size_t size = 0; size < out.size(); ++size) {
      CAPTURE(number, size);
      const std::string_view cut(out.data(), size);
      std::string_view in = cut;
      std::uint64_t wide = 0;
      std::uint32_t narrow = 0;
      CHECK_FALSE(GetVarint64(&in, &wide));
      CHECK_FALSE(GetVarint32(&in, &narrow));
      CHECK(in == cut);
    }
  }
}

TEST_CASE("a varint of more than 64 bits is refused", "[coding]") {
  const auto bytes = GENERATE(as<std::string>(), "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02",
                              "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  std::string_view in = bytes;
  std::uint64_t value = 0;
  CHECK_FALSE(GetVarint64(&in, &value));
  CHECK(in == bytes);
}

TEST_CASE("length-prefixed bytes come back, and not one byte short", "[coding]") {
  const std::size_t size = GENERATE(0u, 1u, 127u, 128u, 20000u);
  CAPTURE(size);
  std::string out;
  PutLengthPrefixed(&out, std::string(size, 'x'));
  std::string_view in = out;
  std::string_view bytes;
  REQUIRE(GetLengthPrefixed(&in, &bytes));
  CHECK(bytes == std::string(size, 'x'));
  CHECK(in.empty());
  const std::string_view cut(out.data(), out.size() - 1);
  in = cut;
  CHECK_FALSE(GetLengthPrefixed(&in, &bytes));
  CHECK(in == cut);
}

}  // namespace lsmkv
