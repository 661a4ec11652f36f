// The RESP parser. Promises: however the bytes are cut into pieces, the same commands come out and the same error; arguments
// are views into what was given; what a pending command keeps is bounded by the bytes that have arrived.
//   input := limits:u8 cuts:u16 bytes
#include <algorithm>
#include <optional>
#include <vector>

#include "fuzz_support.h"
#include "resp/parser.h"

namespace lsmkv {
namespace {

using fuzz::Dice;
using fuzz::ExactCopy;
using fuzz::Input;

struct Heard {
  std::vector<std::vector<std::string>> commands;
  std::optional<std::string> error;
  bool operator==(const Heard&) const = default;
};

resp::ParserLimits LimitsOf(std::uint8_t byte) {
  resp::ParserLimits limits;
  if (byte & 1) limits.authenticated = false;
  if (byte & 2) limits.max_bulk_bytes = 20;
  if (byte & 4) limits.max_args = 3;
  if (byte & 8) limits.max_inline_bytes = 64;
  return limits;
}

/// What a session hears that gets `bytes` in pieces of random sizes up to `most`.
Heard Listen(std::string_view bytes, const resp::ParserLimits& limits, Dice dice, std::size_t most) {
  Heard heard;
  resp::Parser parser(limits);
  resp::ArgVector args;
  std::string buffer;
  std::size_t wanted = 1;
  constexpr std::size_t kFixedBytes = 4096;
  const std::size_t most_progress = kFixedBytes + 64 * bytes.size();
  while (true) {
    // A copy at another place each time: the parser says that the buffer may move between calls.
    const ExactCopy now(buffer);
    std::size_t consumed = 0;
    std::string error;
    const resp::ParseStatus status = parser.Next(now.view(), args, &consumed, &error);
    FUZZ_REQUIRE(consumed <= buffer.size(), "no more is consumed than there is");
    FUZZ_REQUIRE(parser.memory_bytes() <= most_progress, "progress is bounded by what has arrived");
    if (status == resp::ParseStatus::kError) {
      FUZZ_REQUIRE(error.starts_with("Protocol error: "), "an error says what it is");
      heard.error = error;
      std::string again;
      FUZZ_REQUIRE(parser.Next(now.view(), args, &consumed, &again) == resp::ParseStatus::kError && again == error,
                   "an error is repeated");
      return heard;
    }
    if (status == resp::ParseStatus::kComplete) {
      FUZZ_REQUIRE(wanted <= 1 || buffer.size() >= wanted, "a command is not complete before what it wanted has arrived");
      FUZZ_REQUIRE(!args.empty() && consumed > 0, "a command has arguments and bytes");
      heard.commands.emplace_back(args.begin(), args.end());
      buffer.erase(0, consumed);
      wanted = 1;
      continue;
    }
    FUZZ_REQUIRE(args.empty() && parser.wanted() >= 1, "an unfinished command shows no arguments and wants more");
    buffer.erase(0, consumed);
    wanted = buffer.size() + parser.wanted();
    if (bytes.empty()) return heard;
    const std::size_t piece = std::min<std::size_t>(bytes.size(), 1 + dice.Below(most));
    buffer.append(bytes.substr(0, piece));
    bytes.remove_prefix(piece);
  }
}

}  // namespace
}  // namespace lsmkv

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lsmkv;
  Input input(data, size);
  const resp::ParserLimits limits = LimitsOf(input.Byte());
  const std::uint16_t cuts = input.Short();
  const std::string_view bytes = input.Rest();
  const Heard whole = Listen(bytes, limits, Dice(0), SIZE_MAX);
  FUZZ_REQUIRE(Listen(bytes, limits, Dice(cuts), 1 + cuts % 40) == whole, "pieces make no difference");
  if (bytes.size() <= 512) FUZZ_REQUIRE(Listen(bytes, limits, Dice(0), 1) == whole, "not even single bytes do");
  return 0;
}
