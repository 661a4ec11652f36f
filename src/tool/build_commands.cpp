#include "tool/build_commands.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <span>

#include "base/ascii.h"
#include "base/numbers.h"
#include "resp/parser.h"

namespace lsmkv::tool {
namespace {

using Args = std::span<const std::string_view>;

constexpr std::size_t kPieceBytes = 1u << 20;
constexpr std::size_t kLongestBulk = 1u << 30;

Status Wrong(std::string what) { return Status::InvalidArgument(std::move(what)); }

/// When what `unit` and `text` say is over: "PX" "1500".
Result<std::uint64_t> Deadline(std::string_view unit, std::string_view text, std::uint64_t now_ms) {
  const bool seconds = EqualsIgnoringCase(unit, "ex") || EqualsIgnoringCase(unit, "exat");
  const bool absolute = EqualsIgnoringCase(unit, "exat") || EqualsIgnoringCase(unit, "pxat");
  const std::optional<std::uint64_t> number = ParseUint64(text);
  constexpr std::uint64_t kMost = INT64_MAX;
  if (!number || *number == 0 || *number > kMost / (seconds ? 1000 : 1)) return Wrong(fmt::format("invalid expire time '{}'", text));
  const std::uint64_t ms = seconds ? *number * 1000 : *number;
  if (absolute) return ms;
  if (ms > kMost - now_ms) return Wrong(fmt::format("invalid expire time '{}'", text));
  return now_ms + ms;
}

class CommandReader {
 public:
  CommandReader(const InputOptions& options, const TakeEntry& take) : options_(options), take_(take) {}

  Status Run(Args args) const {
    if (EqualsIgnoringCase(args[0], "set")) return Set(args);
    if (EqualsIgnoringCase(args[0], "mset")) return Mset(args);
    if (EqualsIgnoringCase(args[0], "setex")) return Setex(args, "ex");
    if (EqualsIgnoringCase(args[0], "psetex")) return Setex(args, "px");
    if (EqualsIgnoringCase(args[0], "select")) return Select(args);
    return Wrong(fmt::format("'{}' cannot be built from; what can is SET, MSET, SETEX and PSETEX", args[0].substr(0, 40)));
  }

 private:
  Status Set(Args args) const {
    if (args.size() != 3 && args.size() != 5) return Wrong("SET key value [EX | PX | EXAT | PXAT time], and nothing else");
    std::uint64_t expire_at_ms = 0;
    if (args.size() == 5) {
      const bool known = std::ranges::any_of(std::initializer_list<const char*>{"ex", "px", "exat", "pxat"},
                                             [&](const char* unit) { return EqualsIgnoringCase(args[3], unit); });
      if (!known) return Wrong(fmt::format("SET with {} depends on what is there already", args[3].substr(0, 40)));
      const Result<std::uint64_t> deadline = Deadline(args[3], args[4], options_.now_ms);
      if (!deadline) return deadline.error();
      expire_at_ms = *deadline;
    }
    return take_({args[1], args[2], expire_at_ms});
  }
  Status Mset(Args args) const {
    if (args.size() < 3 || args.size() % 2 == 0) return Wrong("MSET key value [key value ...]");
    for (std::size_t i = 1; i < args.size(); i += 2)
      if (Status status = take_({args[i], args[i + 1], 0}); !status.ok()) return status;
    return {};
  }
  Status Setex(Args args, std::string_view unit) const {
    if (args.size() != 4) return Wrong(fmt::format("{} key time value", args[0]));
    const Result<std::uint64_t> deadline = Deadline(unit, args[2], options_.now_ms);
    if (!deadline) return deadline.error();
    return take_({args[1], args[3], *deadline});
  }
  Status Select(Args args) const {
    if (args.size() == 2 && ParseUint64(args[1]) == options_.database) return {};
    return Wrong(fmt::format("a bundle holds one database, and this one's is {} (--db)", options_.database));
  }

  const InputOptions& options_;
  const TakeEntry& take_;
};

}  // namespace

Status ReadCommands(const std::string& name, const ReadBytes& read, const InputOptions& options, const TakeEntry& take) {
  const CommandReader reader(options, take);
  resp::Parser parser({.max_bulk_bytes = kLongestBulk});
  resp::ArgVector args;
  std::string buffer;
  std::uint64_t number = 1;
  const auto place = [&](const Status& status) { return status.WithContext(fmt::format("{}: command {}", name, number)); };
  for (bool more = true; more;) {
    const std::size_t had = buffer.size();
    const std::size_t wanted = std::max(kPieceBytes, parser.wanted());
    buffer.resize(had + wanted);
    const Result<std::size_t> got = read(buffer.data() + had, wanted);
    if (!got) return got.error();
    buffer.resize(had + *got);
    more = *got > 0;
    std::size_t begin = 0;
    for (bool complete = true; complete;) {
      std::size_t consumed = 0;
      std::string error;
      const resp::ParseStatus parsed = parser.Next(std::string_view(buffer).substr(begin), args, &consumed, &error);
      if (parsed == resp::ParseStatus::kError) return place(Wrong(error));
      complete = parsed == resp::ParseStatus::kComplete;
      if (complete) {
        const Status status = reader.Run(args);
        if (!status.ok()) return status.code() == StatusCode::kInvalidArgument ? place(status) : status;
        ++number;
      }
      begin += consumed;
    }
    buffer.erase(0, begin);
  }
  return buffer.empty() ? Status() : place(Wrong("the input ends in the middle of a command"));
}

}  // namespace lsmkv::tool
