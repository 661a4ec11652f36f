#include "resp/parser.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

namespace lsmkv::resp {
namespace {

using Command = std::vector<std::string>;

struct Outcome {
  std::vector<Command> commands;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

// Feeds `pieces` as a session would: appends, drops what was consumed, and moves the buffer every time.
Outcome Feed(const std::vector<std::string_view>& pieces, const ParserLimits& limits = {}) {
  Parser parser(limits);
  Outcome outcome;
  ArgVector args;
  std::string buffer;
  for (const std::string_view piece : pieces) {
    buffer = std::string(buffer.data(), buffer.size()) + std::string(piece);
    for (;;) {
      std::size_t consumed = 0;
      const ParseStatus status = parser.Next(buffer, args, &consumed, &outcome.error);
      REQUIRE(consumed <= buffer.size());
      if (status == ParseStatus::kComplete) {
        REQUIRE_FALSE(args.empty());
        outcome.commands.emplace_back(args.begin(), args.end());
      }
      if (status == ParseStatus::kNeedMore) REQUIRE(parser.wanted() >= 1);
      buffer.erase(0, consumed);
      if (status == ParseStatus::kError) return outcome;
      if (status == ParseStatus::kNeedMore) break;
    }
  }
  return outcome;
}

std::vector<std::string_view> CutAt(std::string_view whole, std::size_t cut) {
  return {whole.substr(0, cut), whole.substr(cut)};
}

std::vector<std::string_view> ByteByByte(std::string_view whole) {
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < whole.size(); ++i) pieces.push_back(whole.substr(i, 1));
  return pieces;
}

std::string Array(const Command& command) {
  std::string out = "*" + std::to_string(command.size()) + "\r\n";
  for (const std::string& arg : command) out += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  return out;
}

}  // namespace

TEST_CASE("a protocol sample cut anywhere parses as if whole", "[resp]") {
  struct Case {
    std::string bytes;
    std::vector<Command> want;
  };
  const std::string binary("a\0\r\nb", 5);
  const auto c = GENERATE_COPY(values<Case>({
      {"*1\r\n$4\r\nPING\r\n", {{"PING"}}},
      {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n", {{"SET", "k", "value"}}},
      {"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n", {{"GET", ""}, {"PING"}}},
      {"*0\r\n*-1\r\n\r\n\n*1\r\n$4\r\nPING\r\n\r\n", {{"PING"}}},
      {"*0000001\r\n", {}},
      {"PING\r\nSET a b\n  GET   a  \r\n", {{"PING"}, {"SET", "a", "b"}, {"GET", "a"}}},
      {"SET \"a b\" '\\'x' \"\\x41\\n\\\"\"\r\n", {{"SET", "a b", "'x", "A\n\""}}},
      {"SET a\"b c\" '' \"\"\r\n", {{"SET", "ab c", "", ""}}},
      {"SET \"\\xzz\\q\" k\r\n", {{"SET", "xzzq", "k"}}},
      {Array({"SET", binary, std::string(300, 'v')}) + "PING\r\n" + Array({"GET", binary}),
       {{"SET", binary, std::string(300, 'v')}, {"PING"}, {"GET", binary}}},
      {"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n", {{"PING"}, {"PING"}}},   // CR LF behind a bulk is not compared
      {"$4\r\n", {{"$4"}}},
  }));
  CAPTURE(c.bytes);
  Outcome want{c.want, ""};
  if (c.bytes.starts_with("*0000001")) want.error = "Protocol error: invalid multibulk length";
  REQUIRE(Feed({c.bytes}) == want);
  CHECK(Feed(ByteByByte(c.bytes)) == want);
  for (std::size_t cut = 0; cut <= c.bytes.size(); ++cut) {
    CAPTURE(cut);
    CHECK(Feed(CutAt(c.bytes, cut)) == want);
  }
}

TEST_CASE("a violation gives Redis's words, wherever it is cut", "[resp]") {
  struct Case {
    std::string bytes;
    std::string want;
    bool authenticated = true;
  };
  const auto c = GENERATE(values<Case>({
      {"*x\r\n", "invalid multibulk length"},
      {"*\r\n", "invalid multibulk length"},
      {"*1048577\r\n", "invalid multibulk length"},
      {"*99999999999999999999\r\n", "invalid multibulk length"},
      {"* 1\r\n", "invalid multibulk length"},
      {"*11\r\n", "unauthenticated multibulk length", false},
      {"*1\r\nPING\r\n", "expected '$', got 'P'"},
      {"*1\r\n\r\n", "expected '$', got '\r'"},
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*1\r\n$x\r\n", "invalid bulk length"},
      {"*1\r\n$\r\n", "invalid bulk length"},
      {"*1\r\n$03\r\n", "invalid bulk length"},
      {"*1\r\n$536870913\r\n", "invalid bulk length"},
      {"*1\r\n$9223372036854775808\r\n", "invalid bulk length"},
      {"*1\r\n$16385\r\n", "unauthenticated bulk length", false},
      {"GET \"a\r\n", "unbalanced quotes in request"},
      {"GET \"a\"b\r\n", "unbalanced quotes in request"},
      {"GET 'a\r\n", "unbalanced quotes in request"},
  }));
  CAPTURE(c.bytes);
  ParserLimits limits;
  limits.authenticated = c.authenticated;
  const Outcome want{{}, "Protocol error: " + c.want};
  CHECK(Feed({c.bytes}, limits) == want);
  CHECK(Feed(ByteByByte(c.bytes), limits) == want);
}

TEST_CASE("a line without an end is refused at its limit", "[resp]") {
  struct Case {
    std::string start;
    std::string want;
  };
  const auto c = GENERATE(values<Case>({
      {"", "Protocol error: too big inline request"},
      {"*", "Protocol error: too big mbulk count string"},
      {"*1\r\n", "Protocol error: too big bulk count string"},
  }));
  const std::string fits = c.start + std::string(64 * 1024 - (c.start == "*" ? 1 : 0), 'a');
  CHECK(Feed({fits}).error.empty());
  CHECK(Feed({fits, "a"}).error == c.want);
  CHECK(Feed({fits + "a"}).error == c.want);
}

TEST_CASE("the limits admit exactly what they say", "[resp]") {
  ParserLimits limits;
  limits.authenticated = false;
  CHECK(Feed({Array(Command(10, "a"))}, limits).commands.size() == 1);
  CHECK(Feed({Array({std::string(16384, 'a')})}, limits).commands.size() == 1);
  limits.authenticated = true;
  limits.max_args = 3;
  limits.max_bulk_bytes = 4;
  CHECK(Feed({Array({"a", "b", "cccc"})}, limits).commands.size() == 1);
  CHECK(Feed({Array({"a", "b", "c", "d"})}, limits).error == "Protocol error: invalid multibulk length");
  CHECK(Feed({Array({"aaaaa"})}, limits).error == "Protocol error: invalid bulk length");
}

TEST_CASE("an error is repeated, whatever comes after", "[resp]") {
  Parser parser;
  ArgVector args;
  std::size_t consumed = 0;
  std::string error;
  REQUIRE(parser.Next("*x\r\n", args, &consumed, &error) == ParseStatus::kError);
  error.clear();
  CHECK(parser.Next("*1\r\n$4\r\nPING\r\n", args, &consumed, &error) == ParseStatus::kError);
  CHECK(error == "Protocol error: invalid multibulk length");
}

TEST_CASE("wanted says what the pending bulk needs", "[resp]") {
  Parser parser;
  ArgVector args;
  std::size_t consumed = 0;
  std::string error;
  REQUIRE(parser.Next("*2\r\n$3\r\nGET\r\n$1000\r\nabc", args, &consumed, &error) == ParseStatus::kNeedMore);
  CHECK(consumed == 0);
  CHECK(parser.wanted() == 1000 - 3 + 2);
  Parser blank;
  REQUIRE(blank.Next("\r\n*0\r\n", args, &consumed, &error) == ParseStatus::kNeedMore);
  CHECK(consumed == 6);   // nothing of it has to be kept
}

TEST_CASE("a command in a hundred thousand pieces is not rescanned", "[resp]") {
  const Command command(30'000, "v");
  const std::string bytes = Array(command);
  Parser parser;
  ArgVector args;
  std::size_t consumed = 0;
  std::string error;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    REQUIRE(parser.Next({bytes.data(), size}, args, &consumed, &error) == ParseStatus::kNeedMore);
  }
  REQUIRE(parser.Next(bytes, args, &consumed, &error) == ParseStatus::kComplete);
  CHECK(consumed == bytes.size());
  CHECK(Command(args.begin(), args.end()) == command);
}

TEST_CASE("random bytes never break the parser, and cutting them changes nothing", "[resp][fuzz]") {
  const auto seed = GENERATE(range(0u, 30u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::vector<std::string> words = {"*", "$", "\r\n", "\n", "\r", "1", "2", "-", "0", "GET", "\"", "'", " ", "\\x4", "\\",
                                          "*1\r\n", "$3\r\nGET\r\n", "*2\r\n", std::string(1, '\0'), "\xff"};
  for (int round = 0; round < 60; ++round) {
    std::string bytes;
    for (std::size_t i = random() % 60; i > 0; --i) bytes += words[random() % words.size()];
    const Outcome whole = Feed({bytes});
    CHECK(Feed(ByteByByte(bytes)) == whole);
    CHECK(Feed(CutAt(bytes, random() % (bytes.size() + 1))) == whole);
  }
}

}  // namespace lsmkv::resp
