// Values of directives: text to field and back, one overload for each type of row.
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/ascii.h"
#include "base/assert.h"
#include "base/numbers.h"
#include "base/words.h"
#include "config/byte_size.h"
#include "config/directive.h"

namespace lsmkv {
namespace {

using Words = std::span<const std::string>;
using Refusal = std::optional<BadValue>;

constexpr std::string_view kClassNames[kClientClasses] = {"normal", "replica", "pubsub"};
/// CONFIG GET calls replicas slaves: clients that parse the answer look for Redis's word.
constexpr std::string_view kClassNamesShown[kClientClasses] = {"normal", "slave", "pubsub"};

template <typename Integer>
std::optional<Integer> ParseInteger(std::string_view text, int base = 10) {
  Integer value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

std::optional<double> ParseFinite(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// Written as an integer is, though perhaps a negative one or one of more than 64 bits: out of range rather than no number.
bool LooksLikeInteger(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return false;
  return text.front() != '0' || (text.size() == 1 && !negative);
}

std::string Join(std::span<const std::string_view> words, std::string_view separator) {
  std::string joined;
  for (const std::string_view word : words) {
    if (!joined.empty()) joined += separator;
    joined += word;
  }
  return joined;
}

template <typename Whole>
std::string RangeText(Whole min, Whole max) { return fmt::format("{}..{}", min, max); }
std::string SizeRangeText(std::uint64_t min, std::uint64_t max) {
  return FormatByteSize(min) + ".." + FormatByteSize(max);
}
std::string RatioRangeText(double min, double max) { return fmt::format("{}..{}", min, max); }

BadValue OutOfRange(const std::string& word, const std::string& allowed, const std::string& for_client) {
  return {fmt::format("'{}' is out of range, allowed {}", word, allowed), for_client};
}
template <typename Whole>
std::string Between(Whole min, Whole max) {
  return fmt::format("argument must be between {} and {} inclusive", min, max);
}

// ---- parsing: each sets its field or says why not

Refusal Parse(const Flag& type, const std::string& word, Settings* settings) {
  const bool yes = EqualsIgnoringCase(word, "yes");
  if (!yes && !EqualsIgnoringCase(word, "no")) {
    return BadValue{fmt::format("'{}' is neither yes nor no", word), "argument must be 'yes' or 'no'"};
  }
  settings->*type.field = yes;
  return {};
}

constexpr const char* kPercentileRange = "0..100";
constexpr const char* kNotAnInteger = "argument couldn't be parsed into an integer";

Refusal Parse(const Count& type, const std::string& word, Settings* settings) {
  const auto value = ParseUint64(word);      // strict, as Redis: no "010", no "+5"
  if (!value && !LooksLikeInteger(word)) {
    return BadValue{fmt::format("'{}' is not an integer, allowed {}", word, RangeText(type.min, type.max)), kNotAnInteger};
  }
  if (!value && !ParseInt64(word)) return OutOfRange(word, RangeText(type.min, type.max), kNotAnInteger);
  if (!value || *value < type.min || *value > type.max) {
    return OutOfRange(word, RangeText(type.min, type.max), Between(type.min, type.max));
  }
  settings->*type.field = *value;
  return {};
}

Refusal Parse(const Integer& type, const std::string& word, Settings* settings) {
  const auto value = ParseInt64(word);
  if (!value && !LooksLikeInteger(word)) {
    return BadValue{fmt::format("'{}' is not an integer, allowed {}", word, RangeText(type.min, type.max)), kNotAnInteger};
  }
  if (!value) return OutOfRange(word, RangeText(type.min, type.max), kNotAnInteger);
  if (*value < type.min || *value > type.max) return OutOfRange(word, RangeText(type.min, type.max), Between(type.min, type.max));
  settings->*type.field = *value;
  return {};
}

Refusal Parse(const ByteSize& type, const std::string& word, Settings* settings) {
  const auto value = ParseByteSize(word);
  if (!value) {
    return BadValue{fmt::format("'{}' is not a size such as 100, 64k, 64mb or 1gb", word),
                    "argument must be a memory value"};
  }
  if (*value < type.min || *value > type.max) {
    return OutOfRange(word, SizeRangeText(type.min, type.max), Between(type.min, type.max));
  }
  settings->*type.field = *value;
  return {};
}

Refusal Parse(const Octal& type, const std::string& word, Settings* settings) {
  const auto value = ParseInteger<std::uint32_t>(word, 8);
  if (!value || *value > type.max) {
    return BadValue{fmt::format("'{}' is not an octal number up to {:o}", word, type.max),
                    "argument couldn't be parsed as an octal number"};
  }
  settings->*type.field = *value;
  return {};
}

Refusal Parse(const Ratio& type, const std::string& word, Settings* settings) {
  const std::optional<double> value = ParseFinite(word);
  if (!value) {
    return BadValue{fmt::format("'{}' is not a number, allowed {}", word, RatioRangeText(type.min, type.max)),
                    "argument couldn't be parsed into a number"};
  }
  if (*value < type.min || *value > type.max) {
    return OutOfRange(word, RatioRangeText(type.min, type.max),
                      fmt::format("argument must be between {} and {} inclusive", type.min, type.max));
  }
  settings->*type.field = *value;
  return {};
}

Refusal Parse(const Text& type, const std::string& word, Settings* settings) {
  if (word.empty() && !type.may_be_empty) return BadValue{"must not be empty", "argument must not be empty"};
  if (word.find('\0') != std::string::npos) return BadValue{"holds a zero byte", "argument holds a zero byte"};
  settings->*type.field = word;
  return {};
}

Refusal Parse(const Choice& type, const std::string& word, Settings* settings) {
  for (std::size_t i = 0; i < type.names.size(); ++i) {
    if (!EqualsIgnoringCase(type.names[i], word)) continue;
    type.set(*settings, i);
    return {};
  }
  const std::string names = Join(type.names, ", ");
  return BadValue{fmt::format("'{}' is not one of: {}", word, names),
                  "argument(s) must be one of the following: " + names};
}

Refusal Parse(const WordList& type, Words words, Settings* settings) {
  if (words.size() > type.max_words) {
    return BadValue{fmt::format("has {} words, allowed 0..{}", words.size(), type.max_words), "wrong number of arguments"};
  }
  (settings->*type.field).assign(words.begin(), words.end());
  return {};
}

Refusal Parse(const PercentileList& type, Words words, Settings* settings) {
  if (words.size() > type.max_percentiles) {
    return BadValue{fmt::format("has {} numbers, allowed 0..{}", words.size(), type.max_percentiles), "wrong number of arguments"};
  }
  std::vector<double> percentiles;
  for (const std::string& word : words) {
    const std::optional<double> value = ParseFinite(word);
    if (!value) {
      return BadValue{fmt::format("'{}' is not a number, allowed {}", word, kPercentileRange),
                      "Invalid latency-tracking-info-percentiles parameters"};
    }
    if (*value < 0 || *value > 100) {
      return OutOfRange(word, kPercentileRange, "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    }
    percentiles.push_back(*value);
  }
  settings->*type.field = std::move(percentiles);
  return {};
}

std::optional<std::size_t> FindClientClass(std::string_view name) {
  for (std::size_t i = 0; i < kClientClasses; ++i) {
    if (EqualsIgnoringCase(name, kClassNames[i]) || EqualsIgnoringCase(name, kClassNamesShown[i])) return i;
  }
  return std::nullopt;
}

Refusal Parse(const OutputLimitList& type, Words words, Settings* settings) {
  if (words.empty() || words.size() % 4 != 0) {
    return BadValue{"takes a class, a hard limit, a soft limit and seconds, once or several times",
                    "Wrong number of arguments in buffer limit configuration."};
  }
  OutputBufferLimits limits = settings->*type.field;
  for (; !words.empty(); words = words.subspan(4)) {
    const auto index = FindClientClass(words[0]);
    if (!index) {
      return BadValue{fmt::format("'{}' is not one of: {}", words[0], Join(kClassNames, ", ")),
                      "Invalid client class specified in buffer limit configuration."};
    }
    const auto hard = ParseByteSize(words[1]);
    const auto soft = ParseByteSize(words[2]);
    const auto seconds = ParseInteger<std::uint32_t>(words[3]);
    if (!hard || !soft || !seconds) {
      return BadValue{fmt::format("'{} {} {}' is not two sizes and a number of seconds", words[1], words[2], words[3]),
                      "Error in hard, soft or soft_seconds setting in buffer limit configuration."};
    }
    limits[*index] = {*hard, *soft, *seconds};
  }
  settings->*type.field = limits;
  return {};
}

/// What the file would have as the only word of a Fact.
std::string FactValue(const Directive& directive) {
  const auto words = SplitWords(directive.default_text);
  LSMKV_ASSERT(words && words->size() == 1);
  return words->front();
}

Refusal ParseFact(const Directive& directive, const std::string& word) {
  const std::string truth = FactValue(directive);
  if (EqualsIgnoringCase(word, truth)) return {};
  const std::string why = fmt::format("is always {} in lsmkv: {}", QuoteWord(truth), directive.doc);
  return BadValue{why, why};
}

// ---- formatting

struct Formatter {
  const Settings& settings;
  bool for_file;

  std::string Size(std::uint64_t bytes) const { return for_file ? FormatByteSize(bytes) : std::to_string(bytes); }

  std::string operator()(const Flag& type) const { return settings.*type.field ? "yes" : "no"; }
  std::string operator()(const Count& type) const { return std::to_string(settings.*type.field); }
  std::string operator()(const Integer& type) const { return std::to_string(settings.*type.field); }
  std::string operator()(const ByteSize& type) const { return Size(settings.*type.field); }
  std::string operator()(const Octal& type) const { return fmt::format("{:o}", settings.*type.field); }
  std::string operator()(const Ratio& type) const { return fmt::format("{}", settings.*type.field); }
  std::string operator()(const Choice& type) const { return std::string(type.names[type.get(settings)]); }
  std::string operator()(const Text& type) const {
    return for_file ? QuoteWord(settings.*type.field) : settings.*type.field;
  }
  std::string operator()(const WordList& type) const {
    std::string joined;
    for (const std::string& word : settings.*type.field) {
      if (!joined.empty()) joined += ' ';
      joined += for_file ? QuoteWord(word) : word;
    }
    return for_file && joined.empty() ? "\"\"" : joined;
  }
  std::string operator()(const PercentileList& type) const {
    const std::string joined = fmt::format("{}", fmt::join(settings.*type.field, " "));
    return for_file && joined.empty() ? "\"\"" : joined;
  }
  std::string operator()(const OutputLimitList& type) const {
    std::string joined;
    for (std::size_t i = 0; i < kClientClasses; ++i) {
      const OutputBufferLimit& limit = (settings.*type.field)[i];
      joined += fmt::format("{}{} {} {} {}", i == 0 ? "" : " ", for_file ? kClassNames[i] : kClassNamesShown[i],
                            Size(limit.hard_bytes), Size(limit.soft_bytes), limit.soft_seconds);
    }
    return joined;
  }
  std::string operator()(const Fact&) const { return {}; }  // the row, not the settings, has its value
};

template <typename Type>
constexpr bool kIsList = std::is_same_v<Type, WordList> || std::is_same_v<Type, PercentileList> || std::is_same_v<Type, OutputLimitList>;

/// `"a b" c` in any number of strings as the words a, b, c.
std::vector<std::string> Respread(Words words) {
  std::vector<std::string> spread;
  for (const std::string& word : words) {
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t end = std::min(word.find_first_of(" \t", at), word.size());
      if (end > at) spread.push_back(word.substr(at, end - at));
      at = end + 1;
    }
  }
  return spread;
}

}  // namespace

std::optional<BadValue> ParseValue(const Directive& directive, std::span<const std::string> words, Settings* settings) {
  return std::visit(
      [&](const auto& type) -> Refusal {
        using Type = std::decay_t<decltype(type)>;
        if constexpr (kIsList<Type>) {
          if (words.empty()) return BadValue{"takes a value", "wrong number of arguments"};
          return Parse(type, Respread(words), settings);
        } else {
          if (words.size() != 1) {
            return BadValue{fmt::format("takes one value, got {} (a comment needs a line of its own)", words.size()),
                            "wrong number of arguments"};
          }
          if constexpr (std::is_same_v<Type, Fact>) {
            return ParseFact(directive, words.front());
          } else {
            return Parse(type, words.front(), settings);
          }
        }
      },
      directive.type);
}

std::string FormatValue(const Directive& directive, const Settings& settings) {
  if (std::holds_alternative<Fact>(directive.type)) return FactValue(directive);
  return std::visit(Formatter{settings, false}, directive.type);
}

std::string FormatForFile(const Directive& directive, const Settings& settings) {
  if (std::holds_alternative<Fact>(directive.type)) return std::string(directive.default_text);
  return std::visit(Formatter{settings, true}, directive.type);
}

std::string AllowedText(const Directive& directive) {
  struct Visitor {
    std::string operator()(const Flag&) const { return "yes, no"; }
    std::string operator()(const Count& type) const { return RangeText(type.min, type.max); }
    std::string operator()(const Integer& type) const { return RangeText(type.min, type.max); }
    std::string operator()(const ByteSize& type) const { return SizeRangeText(type.min, type.max); }
    std::string operator()(const Octal& type) const { return fmt::format("0..{:o}", type.max); }
    std::string operator()(const Ratio& type) const { return RatioRangeText(type.min, type.max); }
    std::string operator()(const Text&) const { return {}; }
    std::string operator()(const WordList&) const { return {}; }
    std::string operator()(const PercentileList&) const { return kPercentileRange; }
    std::string operator()(const Choice& type) const { return Join(type.names, ", "); }
    std::string operator()(const OutputLimitList&) const { return {}; }
    std::string operator()(const Fact&) const { return {}; }
  };
  return std::visit(Visitor{}, directive.type);
}

}  // namespace lsmkv
