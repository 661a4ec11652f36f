#include "config/byte_size.h"

#include <catch2/catch.hpp>

using namespace lsmkv;

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
