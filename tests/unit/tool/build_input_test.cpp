#include "tool/build_input.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <vector>

using namespace lsmkv;
using namespace lsmkv::tool;

namespace {

struct Read {
  std::string key;
  std::string value;
  std::uint64_t expire_at_ms;
  friend bool operator==(const Read&, const Read&) = default;
};

/// The text in pieces of `piece` bytes.
ReadBytes FromText(std::string_view text, std::size_t piece) {
  return [text, piece](char* buffer, std::size_t size) mutable -> Result<std::size_t> {
    const std::size_t bytes = std::min({piece, size, text.size()});
    std::memcpy(buffer, text.data(), bytes);
    text.remove_prefix(bytes);
    return bytes;
  };
}

Status ReadAll(InputFormat format, std::string_view text, std::size_t piece, std::vector<Read>* entries) {
  return ReadInput("in", FromText(text, piece), {format, 2, 1'000'000}, [entries](const InputEntry& entry) {
    entries->push_back({std::string(entry.key), std::string(entry.value), entry.expire_at_ms});
    return Status();
  });
}

}  // namespace

TEST_CASE("input cut at every byte reads as if whole", "[build]") {
  using namespace std::string_literals;
  struct Case {
    InputFormat format;
    std::string text;
    std::vector<Read> want;
  };
  const auto c = GENERATE(values<Case>({
      {InputFormat::kTsv, "a\tb\n\n  \nc\\t\\x00\\\\\t\\n\t77\r\nlast\t"s, {{"a", "b", 0}, {"c\t\0\\"s, "\n", 77}, {"last", "", 0}}},
      {InputFormat::kJsonLines, "{\"key\":\"a\",\"value\":\"b\"}\n{\"key_base64\":\"AP8=\",\"value_base64\":\"\",\"expire_at_ms\":5}\n"
                                "{\"key\":\"\\u00fc\\n\",\"value\":\"x\",\"expire_at_ms\":null}"s,
       {{"a", "b", 0}, {"\0\xff"s, "", 5}, {"\xc3\xbc\n", "x", 0}}},
      {InputFormat::kResp, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n\r\n\r\nset b 1 ex 2\r\nSET c 1 PXAT 9\r\nselect 2\r\nmset d 1 e \"2 3\"\r\n"
                           "*4\r\n$6\r\npsetex\r\n$1\r\nf\r\n$2\r\n10\r\n$1\r\n\0\r\nsetex g 1 v\r\nset h 1 EXAT 3\r\n"s,
       {{"a", "\r\n", 0}, {"b", "1", 1'002'000}, {"c", "1", 9}, {"d", "1", 0}, {"e", "2 3", 0}, {"f", "\0"s, 1'000'010}, {"g", "v", 1'001'000}, {"h", "1", 3000}}},
  }));
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 1u << 20}) {
    CAPTURE(piece);
    std::vector<Read> entries;
    REQUIRE(ReadAll(c.format, c.text, piece, &entries).ok());
    CHECK(entries == c.want);
  }
}

TEST_CASE("what is wrong in the input is said with its place, and what came before it was taken", "[build]") {
  struct Case {
    InputFormat format;
    const char* text;
    const char* says;
  };
  const auto c = GENERATE(values<Case>({
      {InputFormat::kTsv, "a\tb\nc", "in:2: no tab"},
      {InputFormat::kTsv, "a\tb\nc\td\\", "in:2: a backslash at the end"},
      {InputFormat::kTsv, "a\tb\n\\x4\td", "in:2: \\x without two"},
      {InputFormat::kTsv, "a\tb\nc\td\\z", "in:2: '\\z' is no escape"},
      {InputFormat::kTsv, "a\tb\nc\td\t-1", "in:2: '-1' is not a time"},
      {InputFormat::kTsv, "a\tb\nc\td\t1\t2", "in:2: '1\t2' is not a time"},
      {InputFormat::kJsonLines, "{\"key\":\"a\",\"value\":\"b\"}\n[1]", "in:2: not a JSON object"},
      {InputFormat::kJsonLines, "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"a\"}", "in:2: \"value\" or \"value_base64\""},
      {InputFormat::kJsonLines, "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"a\",\"key_base64\":\"\",\"value\":\"\"}", "in:2: \"key\" or \"key_base64\""},
      {InputFormat::kJsonLines, "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":1,\"value\":\"\"}", "in:2: \"key\" is not a string"},
      {InputFormat::kJsonLines, "{\"key\":\"a\",\"value\":\"b\"}\n{\"key_base64\":\"a\",\"value\":\"\"}", "in:2: \"key_base64\" is not base64"},
      {InputFormat::kJsonLines, "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"a\",\"value\":\"\",\"ttl\":1}", "in:2: there is no field \"ttl\""},
      {InputFormat::kJsonLines, "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"a\",\"value\":\"\",\"expire_at_ms\":-1}", "in:2: \"expire_at_ms\""},
      {InputFormat::kResp, "set a b\r\nincr a\r\n", "in: command 2: 'incr' cannot"},
      {InputFormat::kResp, "set a b\r\nset a 1 nx ex 1\r\n", "in: command 2: SET key value"},
      {InputFormat::kResp, "set a b\r\nset a 1 nx ex\r\n", "in: command 2: SET with nx"},
      {InputFormat::kResp, "set a b\r\nset a 1 ex 0\r\n", "in: command 2: invalid expire"},
      {InputFormat::kResp, "set a b\r\nset a 1 ex 9223372036854775807\r\n", "in: command 2: invalid expire"},
      {InputFormat::kResp, "set a b\r\nmset a\r\n", "in: command 2: MSET"},
      {InputFormat::kResp, "set a b\r\nselect 1\r\n", "in: command 2: a bundle holds one database, and this one's is 2"},
      {InputFormat::kResp, "set a b\r\n*1\r\n:1\r\n", "in: command 2: Protocol error"},
      {InputFormat::kResp, "set a b\r\n*2\r\n$3\r\nset", "in: command 2: the input ends in the middle"},
  }));
  CAPTURE(c.text);
  std::vector<Read> entries;
  const Status status = ReadAll(c.format, c.text, 1u << 20, &entries);
  CHECK(status.code() == StatusCode::kInvalidArgument);
  CHECK(status.message().starts_with(c.says));
  CHECK(entries == std::vector<Read>{{"a", "b", 0}});
}

TEST_CASE("an error of who takes the entries ends the reading and names the place", "[build]") {
  int taken = 0;
  const Status status = ReadInput("in", FromText("a\t1\nb\t2\nc\t3\n", 5), {}, [&](const InputEntry&) {
    return ++taken == 2 ? Status::InvalidArgument("too large") : Status();
  });
  CHECK(status.message() == "in:2: too large");
  CHECK(taken == 2);
}
