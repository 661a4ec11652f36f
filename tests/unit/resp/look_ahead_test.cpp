#include "resp/look_ahead.h"

#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <string>

using namespace lsmkv::resp;

namespace {

std::string Seen(std::string_view buffer) {
  // A copy of exactly its size, so that a look behind the end is one behind an allocation.
  const auto copy = std::make_unique<char[]>(buffer.size());
  std::copy(buffer.begin(), buffer.end(), copy.get());
  std::array<CommandAhead, 3> ahead;
  const std::size_t found = LookAhead({copy.get(), buffer.size()}, ahead);
  std::string seen;
  for (std::size_t i = 0; i < found; ++i) seen.append(ahead[i].key).append(ahead[i].only_key ? "! " : " ");
  return seen;
}

const std::string kGet = "*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n";
const std::string kSet = "*3\r\n$3\r\nSET\r\n$2\r\nk2\r\n$1\r\nv\r\n";

}  // namespace

TEST_CASE("the keys of the commands ahead are the second words of those that are there whole", "[look-ahead]") {
  CHECK(Seen("") == "");
  CHECK(Seen(kGet) == "k1! ");
  CHECK(Seen(kGet + kSet + kGet) == "k1! k2 k1! ");
  CHECK(Seen(kGet + kSet + kGet + kGet) == "k1! k2 k1! ");            // as many as asked for
  CHECK(Seen("*2\r\n$3\r\nGET\r\n$0\r\n\r\n") == "! ");
  CHECK(Seen(kGet + "*1\r\n$4\r\nPING\r\n" + kGet) == "k1! ");          // no key: it ends there
  CHECK(Seen(kGet + "GET inline\r\n") == "k1! ");
  CHECK(Seen(kGet + "*-1\r\n" + kGet) == "k1! ");
  CHECK(Seen(kGet + "*2\r\n$3\r\nGET\r\n$-1\r\n" + kGet) == "k1! ");
  CHECK(Seen(kGet + "*2\r\n$3\r\nGET\r\n$999999999\r\nx") == "k1! ");
  CHECK(Seen(kGet + "*1000000\r\n$3\r\nDEL\r\n") == "k1! ");
}

TEST_CASE("what is cut off anywhere gives only what is whole", "[look-ahead]") {
  const std::string all = kGet + kSet;
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    CAPTURE(cut);
    const std::string want = cut == all.size() ? "k1! k2 " : cut >= kGet.size() ? "k1! " : "";
    CHECK(Seen(all.substr(0, cut)) == want);
  }
}
