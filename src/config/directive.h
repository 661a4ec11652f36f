// The directive table: one row for each word a configuration may contain. From it come the parsing of the file and of the
// command line, CONFIG GET, SET and REWRITE, --help, and the text of config/lsmkv.conf; nothing about a directive is
// written in a second place.
//
// Invariants (directive_test.cpp)
//   1. Names and aliases are lower case and unique; every default parses and lies within its own bounds.
//   2. No row is parsed and ignored: it sets a field of Settings that somebody reads, or it is a Fact, which can only
//      be "set" to what is true anyway.
//   3. FormatValue and ParseValue are inverse: what CONFIG GET says can be given back to CONFIG SET.
// Source  Redis src/config.c, static_configs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "config/settings.h"

namespace lsmkv {

struct Flag {                 ///< yes or no
  bool Settings::*field;
};
struct Count {                ///< a plain integer
  std::uint64_t Settings::*field;
  std::uint64_t min;
  std::uint64_t max;
};
struct Integer {              ///< one that may be negative
  std::int64_t Settings::*field;
  std::int64_t min;
  std::int64_t max;
};
struct ByteSize {             ///< 100, 64k, 64mb, 1gb: Redis's units
  std::uint64_t Settings::*field;
  std::uint64_t min;
  std::uint64_t max;
};
struct Octal {                ///< file permissions
  std::uint32_t Settings::*field;
  std::uint32_t max;
};
struct Ratio {
  double Settings::*field;
  double min;
  double max;
};
struct Text {
  std::string Settings::*field;
  bool may_be_empty;
};
struct WordList {             ///< zero or more words
  std::vector<std::string> Settings::*field;
  std::size_t max_words;
};
struct Choice {               ///< one of `names`; the index is the enumerator
  std::span<const std::string_view> names;
  std::size_t (*get)(const Settings&);
  void (*set)(Settings&, std::size_t);
};
struct PercentileList {       ///< zero or more, 0 to 100 each
  std::vector<double> Settings::*field;
  std::size_t max_percentiles;
};
struct OutputLimitList {      ///< class hard soft seconds, once or several times
  OutputBufferLimits Settings::*field;
};
/// A name that tools ask every Redis for, whose answer is always `Directive::default_text` here.
struct Fact {};

using DirectiveType = std::variant<Flag, Count, Integer, ByteSize, Octal, Ratio, Text, WordList, Choice, PercentileList, OutputLimitList, Fact>;

enum class Mutability : std::uint8_t { kAtStart, kAtRunTime };
enum class Category : std::uint8_t {
  kNetwork, kSecurity, kClients, kMemory, kGeneral, kMonitoring, kThreads, kDurability, kMemtables, kLevels, kTables, kFacts };
inline constexpr std::size_t kCategories = 12;
std::string_view CategoryTitle(Category category);

struct Directive {
  std::string_view name;
  std::string_view alias;          ///< Redis's name for it, where that differs; may be empty
  DirectiveType type;
  std::string_view default_text;   ///< as one writes it in the file
  Mutability mutability;
  Category category;
  std::string_view doc;            ///< lines of at most 100 characters; of a Fact: why it is so
};

/// In the order of config/lsmkv.conf.
std::span<const Directive> Directives();
/// By name or alias, whatever the case; null when there is none.
const Directive* FindDirective(std::string_view name);
/// The known name nearest to `name`; empty when none is near.
std::string_view NearestDirective(std::string_view name);

/// Why a value was refused, in the words of each place that shows it.
struct BadValue {
  std::string for_file;    ///< "'1' is out of range, allowed 2..100"
  std::string for_client;  ///< what Redis answers to CONFIG SET: "argument must be between 2 and 100 inclusive"
};
/// Sets the row's field. `words` are what followed the name; list types accept them in one string as well.
std::optional<BadValue> ParseValue(const Directive& directive, std::span<const std::string> words, Settings* settings);
/// As CONFIG GET answers: sizes in bytes.
std::string FormatValue(const Directive& directive, const Settings& settings);
/// As a line of the file has it: sizes with their unit, quotes where needed.
std::string FormatForFile(const Directive& directive, const Settings& settings);
/// "2..100", "yes, no", "1mb or more", …; empty when anything goes.
std::string AllowedText(const Directive& directive);

/// What no single row can check. Returns the name of the row to blame and what is wrong, nullopt when all is well.
struct Contradiction {
  std::string_view directive;
  std::string text;
};
std::optional<Contradiction> FindContradiction(const Settings& settings);

}  // namespace lsmkv
