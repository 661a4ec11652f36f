#include "resp/writer.h"

#include <catch2/catch.hpp>
#include <functional>
#include <limits>
#include <string>

namespace lsmkv::resp {
namespace {

std::string Written(int protocol, const std::function<void(Writer&)>& write) {
  OutputBuffer out;
  Writer writer(out, protocol);
  write(writer);
  return std::string(out.view());
}

}  // namespace

TEST_CASE("each reply has its bytes in RESP2 and in RESP3", "[resp]") {
  struct Case {
    const char* name;
    std::function<void(Writer&)> write;
    std::string resp2;
    std::string resp3;
  };
  const auto c = GENERATE(values<Case>({
      {"ok", [](Writer& w) { w.Ok(); }, "+OK\r\n", "+OK\r\n"},
      {"simple", [](Writer& w) { w.SimpleString("PONG"); }, "+PONG\r\n", "+PONG\r\n"},
      {"error", [](Writer& w) { w.Error("ERR a\r\nb"); }, "-ERR a  b\r\n", "-ERR a  b\r\n"},
      {"integer", [](Writer& w) { w.Integer(1023); }, ":1023\r\n", ":1023\r\n"},
      {"past the table", [](Writer& w) { w.Integer(1024); }, ":1024\r\n", ":1024\r\n"},
      {"negative", [](Writer& w) { w.Integer(-1); }, ":-1\r\n", ":-1\r\n"},
      {"smallest", [](Writer& w) { w.Integer(std::numeric_limits<std::int64_t>::min()); }, ":-9223372036854775808\r\n",
       ":-9223372036854775808\r\n"},
      {"bulk", [](Writer& w) { w.Bulk("abc"); }, "$3\r\nabc\r\n", "$3\r\nabc\r\n"},
      {"empty bulk", [](Writer& w) { w.Bulk({}); }, "$0\r\n\r\n", "$0\r\n\r\n"},
      {"null", [](Writer& w) { w.Null(); }, "$-1\r\n", "_\r\n"},
      {"null array", [](Writer& w) { w.NullArray(); }, "*-1\r\n", "_\r\n"},
      {"array", [](Writer& w) { w.Array(2); }, "*2\r\n", "*2\r\n"},
      {"map", [](Writer& w) { w.Map(2); }, "*4\r\n", "%2\r\n"},
      {"set", [](Writer& w) { w.Set(2); }, "*2\r\n", "~2\r\n"},
      {"push", [](Writer& w) { w.Push(2); }, "*2\r\n", ">2\r\n"},
      {"bool", [](Writer& w) { w.Bool(true); }, ":1\r\n", "#t\r\n"},
      {"double", [](Writer& w) { w.Double(0.1); }, "$3\r\n0.1\r\n", ",0.1\r\n"},
      {"big", [](Writer& w) { w.BigNumber("123"); }, "$3\r\n123\r\n", "(123\r\n"},
      {"verbatim", [](Writer& w) { w.Verbatim("txt", "hi"); }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
  }));
  CAPTURE(c.name);
  CHECK(Written(2, c.write) == c.resp2);
  CHECK(Written(3, c.write) == c.resp3);
}

TEST_CASE("every length around the precomputed ones is written right", "[resp]") {
  for (std::size_t size = 0; size < 1100; ++size) {
    const std::string bytes(size, 'x');
    REQUIRE(Written(2, [&](Writer& w) { w.Bulk(bytes); }) == "$" + std::to_string(size) + "\r\n" + bytes + "\r\n");
  }
}

TEST_CASE("the output buffer keeps its bytes as it grows, and its memory when it is cleared", "[resp]") {
  OutputBuffer out;
  std::string want;
  for (int i = 0; i < 5000; ++i) {
    const std::string piece = std::to_string(i);
    out.Append(piece);
    want += piece;
  }
  CHECK(out.view() == want);
  const std::size_t capacity = out.capacity();
  out.Clear();
  CHECK(out.empty());
  CHECK(out.capacity() == capacity);
  out.Release();
  CHECK(out.capacity() == 0);
}

}  // namespace lsmkv::resp
