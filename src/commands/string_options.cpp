#include "commands/string_options.h"

#include <algorithm>
#include <iterator>

#include "commands/replies.h"

namespace lsmkv {
namespace {

struct OptionRow {
  std::string_view word;
  StringOption option;
  std::uint32_t excludes;   // an option may be given twice; the last one counts
  bool has_time;
};

constexpr std::uint32_t OtherThan(StringOption deadline) { return kKeepTtl | kPersist | (kAnyDeadline & ~deadline); }

constexpr OptionRow kOptions[] = {
    {"nx", kNx, kXx, false},
    {"xx", kXx, kNx, false},
    {"get", kGet, 0, false},
    {"keepttl", kKeepTtl, kPersist | kAnyDeadline, false},
    {"persist", kPersist, kKeepTtl | kAnyDeadline, false},
    {"ex", kEx, OtherThan(kEx), true},
    {"px", kPx, OtherThan(kPx), true},
    {"exat", kExAt, OtherThan(kExAt), true},
    {"pxat", kPxAt, OtherThan(kPxAt), true},
};

}  // namespace

std::optional<StringOptions> ParseStringOptions(std::span<const std::string_view> words, std::uint32_t known) {
  StringOptions options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto* const row = std::ranges::find_if(kOptions, [&](const OptionRow& candidate) {
      return EqualsIgnoringCase(words[i], candidate.word);
    });
    if (row == std::end(kOptions) || (known & row->option) == 0 || options.Has(row->excludes)) return std::nullopt;
    options.given |= row->option;
    if (!row->has_time) continue;
    if (++i == words.size()) return std::nullopt;
    options.time = words[i];
  }
  return options;
}

std::optional<std::uint64_t> DeadlineOfOptionsOrReply(CommandContext& context, const StringOptions& options) {
  if (!options.Has(kAnyDeadline)) return 0;
  const TimeUnit unit = options.Has(kEx | kExAt) ? TimeUnit::kSeconds : TimeUnit::kMilliseconds;
  const TimeBase base = options.Has(kEx | kPx) ? TimeBase::kNow : TimeBase::kEpoch;
  return PositiveDeadlineOrReply(context, options.time, unit, base);
}

}  // namespace lsmkv
