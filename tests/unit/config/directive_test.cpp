#include "config/directive.h"

#include <catch2/catch.hpp>
#include <set>

#include "base/ascii.h"
#include "base/words.h"


using namespace lsmkv;

namespace {

std::vector<std::string> DefaultWords(const Directive& directive) { return *SplitWords(directive.default_text); }
const Directive& Row(std::string_view name) {
  const Directive* const directive = FindDirective(name);
  REQUIRE(directive != nullptr);
  return *directive;
}

}  // namespace

TEST_CASE("names and aliases are lower case and unique, docs fit the file", "[config]") {
  std::set<std::string_view> seen;
  for (const Directive& directive : Directives()) {
    CAPTURE(directive.name);
    CHECK(LowerCase(directive.name) == directive.name);
    CHECK(seen.insert(directive.name).second);
    if (!directive.alias.empty()) CHECK(seen.insert(directive.alias).second);
    CHECK_FALSE(directive.doc.empty());
    const auto lines = 1 + std::count(directive.doc.begin(), directive.doc.end(), '\n');
    CHECK(lines <= 3);
  }
}

TEST_CASE("every default parses, lies within its bounds and contradicts no other", "[config]") {
  Settings settings;
  for (const Directive& directive : Directives()) {
    CAPTURE(directive.name);
    CHECK_FALSE(ParseValue(directive, DefaultWords(directive), &settings).has_value());
  }
  CHECK_FALSE(FindContradiction(settings).has_value());
}

TEST_CASE("a default in the file is written as the rewriter would write it", "[config]") {
  for (const Directive& directive : Directives()) {
    CAPTURE(directive.name);
    CHECK(FormatForFile(directive, DefaultSettings()) == directive.default_text);
  }
}

TEST_CASE("what CONFIG GET says can be given back to CONFIG SET", "[config]") {
  for (const Directive& directive : Directives()) {
    if (std::holds_alternative<WordList>(directive.type)) continue;   // read at start, from several words
    CAPTURE(directive.name);
    const std::string shown = FormatValue(directive, DefaultSettings());
    Settings settings = DefaultSettings();
    CHECK_FALSE(ParseValue(directive, {&shown, 1}, &settings).has_value());
    CHECK(FormatValue(directive, settings) == shown);
  }
}

TEST_CASE("every directive that is not a fact changes the settings", "[config]") {
  const auto other_value = [](const Directive& directive) -> std::string {
    struct Visitor {
      const Directive& row;
      std::string operator()(const Flag& t) const { return DefaultSettings().*t.field ? "no" : "yes"; }
      std::string operator()(const Count& t) const {
        return std::to_string(DefaultSettings().*t.field == t.max ? t.min : t.max);
      }
      std::string operator()(const Integer& t) const { return std::to_string(t.min); }
      std::string operator()(const ByteSize& t) const {
        return std::to_string(DefaultSettings().*t.field == t.max ? t.min : t.max);
      }
      std::string operator()(const Octal&) const { return "700"; }
      std::string operator()(const Ratio&) const { return "0.5"; }
      std::string operator()(const Text&) const { return "/another"; }
      std::string operator()(const WordList&) const { return "10.0.0.1"; }
      std::string operator()(const Choice& t) const { return std::string(t.names[t.get(DefaultSettings()) == 0 ? 1 : 0]); }
      std::string operator()(const PercentileList&) const { return "0 12.5"; }
      std::string operator()(const OutputLimitList&) const { return "normal 1mb 1kb 9"; }
      std::string operator()(const Fact&) const { return {}; }
    };
    return std::visit(Visitor{directive}, directive.type);
  };
  for (const Directive& directive : Directives()) {
    if (std::holds_alternative<Fact>(directive.type)) continue;
    CAPTURE(directive.name);
    Settings settings = DefaultSettings();
    const std::string value = other_value(directive);
    REQUIRE_FALSE(ParseValue(directive, {&value, 1}, &settings).has_value());
    int changed = 0;
    for (const Directive& row : Directives()) changed += FormatValue(row, settings) != FormatValue(row, DefaultSettings());
    CHECK(changed == 1);   // its own field and nobody else's
  }
}

TEST_CASE("a bad value says what is allowed", "[config]") {
  struct Case {
    const char* directive;
    std::vector<std::string> words;
    const char* for_file;
    const char* for_client;
  };
  const auto c = GENERATE(values<Case>({
      {"slowlog-log-slower-than", {"-2"}, "'-2' is out of range, allowed -1..9223372036854775807",
       "argument must be between -1 and 9223372036854775807 inclusive"},
      {"slowlog-log-slower-than", {"9223372036854775808"}, "'9223372036854775808' is out of range, allowed -1..9223372036854775807",
       "argument couldn't be parsed into an integer"},
      {"slowlog-log-slower-than", {"1ms"}, "'1ms' is not an integer, allowed -1..9223372036854775807",
       "argument couldn't be parsed into an integer"},
      {"level-ratio", {"1"}, "'1' is out of range, allowed 2..100", "argument must be between 2 and 100 inclusive"},
      {"level-ratio", {"-1"}, "'-1' is out of range, allowed 2..100", "argument must be between 2 and 100 inclusive"},
      {"level-ratio", {"ten"}, "'ten' is not an integer, allowed 2..100", "argument couldn't be parsed into an integer"},
      {"level-ratio", {"10x"}, "'10x' is not an integer, allowed 2..100", "argument couldn't be parsed into an integer"},
      {"timeout", {"99999999999999999999999"}, "'99999999999999999999999' is out of range, allowed 0..2147483647",
       "argument couldn't be parsed into an integer"},
      {"timeout", {"010"}, "'010' is not an integer, allowed 0..2147483647", "argument couldn't be parsed into an integer"},
      {"timeout", {"+5"}, "'+5' is not an integer, allowed 0..2147483647", "argument couldn't be parsed into an integer"},
      {"timeout", {" 5"}, "' 5' is not an integer, allowed 0..2147483647", "argument couldn't be parsed into an integer"},
      {"timeout", {"-0"}, "'-0' is not an integer, allowed 0..2147483647", "argument couldn't be parsed into an integer"},
      {"proto-max-bulk-len", {"5"}, "'5' is out of range, allowed 1mb..1gb",
       "argument must be between 1048576 and 1073741824 inclusive"},
      {"proto-max-bulk-len", {"1tb"}, "'1tb' is not a size such as 100, 64k, 64mb or 1gb",
       "argument must be a memory value"},
      {"loglevel", {"loud"}, "'loud' is not one of: debug, verbose, notice, warning",
       "argument(s) must be one of the following: debug, verbose, notice, warning"},
      {"protected-mode", {"on"}, "'on' is neither yes nor no", "argument must be 'yes' or 'no'"},
      {"soft-limit-ratio", {"1.5"}, "'1.5' is out of range, allowed 0.01..1", "argument must be between 0.01 and 1 inclusive"},
      {"soft-limit-ratio", {"nan"}, "'nan' is not a number, allowed 0.01..1", "argument couldn't be parsed into a number"},
      {"unixsocketperm", {"9"}, "'9' is not an octal number up to 777", "argument couldn't be parsed as an octal number"},
      {"dir", {""}, "must not be empty", "argument must not be empty"},
      {"port", {"1", "2"}, "takes one value, got 2 (a comment needs a line of its own)", "wrong number of arguments"},
      {"latency-tracking-info-percentiles", {"50", "101"}, "'101' is out of range, allowed 0..100",
       "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"},
      {"latency-tracking-info-percentiles", {"50 nan"}, "'nan' is not a number, allowed 0..100",
       "Invalid latency-tracking-info-percentiles parameters"},
      {"client-output-buffer-limit", {"normal", "1", "2"},
       "takes a class, a hard limit, a soft limit and seconds, once or several times",
       "Wrong number of arguments in buffer limit configuration."},
      {"client-output-buffer-limit", {"odd", "1", "2", "3"}, "'odd' is not one of: normal, replica, pubsub",
       "Invalid client class specified in buffer limit configuration."},
      {"appendonly", {"no"}, "is always yes in lsmkv: the write-ahead log cannot be turned off",
       "is always yes in lsmkv: the write-ahead log cannot be turned off"},
  }));
  CAPTURE(c.directive, c.words);
  Settings settings = DefaultSettings();
  const auto bad = ParseValue(Row(c.directive), c.words, &settings);
  REQUIRE(bad.has_value());
  CHECK(bad->for_file == c.for_file);
  CHECK(bad->for_client == c.for_client);
}

TEST_CASE("a fact may be set to what is true", "[config]") {
  Settings settings = DefaultSettings();
  const std::vector<std::string> yes = {"YES"};
  const std::vector<std::string> empty = {""};
  CHECK_FALSE(ParseValue(Row("appendonly"), yes, &settings).has_value());
  CHECK_FALSE(ParseValue(Row("save"), empty, &settings).has_value());
}

TEST_CASE("percentiles are a list that may be empty, in the file as in CONFIG", "[config]") {
  Settings settings = DefaultSettings();
  const Directive& row = Row("latency-tracking-info-percentiles");
  CHECK(settings.latency_tracking_info_percentiles == std::vector<double>{50, 99, 99.9});
  CHECK(FormatForFile(row, settings) == "50 99 99.9");
  const std::vector<std::string> words{"0 12.5", "100"};
  REQUIRE_FALSE(ParseValue(row, words, &settings).has_value());
  CHECK(FormatValue(row, settings) == "0 12.5 100");
  const std::string none;
  REQUIRE_FALSE(ParseValue(row, {&none, 1}, &settings).has_value());
  CHECK(settings.latency_tracking_info_percentiles.empty());
  CHECK(FormatValue(row, settings).empty());
  CHECK(FormatForFile(row, settings) == "\"\"");
  const std::vector<std::string> many(33, "1");
  CHECK(ParseValue(row, many, &settings)->for_file == "has 33 numbers, allowed 0..32");
}

TEST_CASE("one class of client-output-buffer-limit leaves the others alone", "[config]") {
  Settings settings = DefaultSettings();
  const std::vector<std::string> words = {"slave", "1gb", "512mb", "30"};
  REQUIRE_FALSE(ParseValue(Row("client-output-buffer-limit"), words, &settings).has_value());
  CHECK(settings.client_output_buffer[1] == OutputBufferLimit{1ull << 30, 512ull << 20, 30});
  CHECK(settings.client_output_buffer[2] == DefaultSettings().client_output_buffer[2]);
  CHECK(FormatValue(Row("client-output-buffer-limit"), settings) ==
        "normal 0 0 0 slave 1073741824 536870912 30 pubsub 33554432 8388608 60");
}

TEST_CASE("an unknown name finds its neighbour", "[config]") {
  CHECK(NearestDirective("levl-ratio") == "level-ratio");
  CHECK(NearestDirective("MAX-L0-SSTABLE") == "max-l0-sstables");
  CHECK(NearestDirective("apendfsync") == "appendfsync");
  CHECK(NearestDirective("something-else-entirely").empty());
  CHECK(NearestDirective(std::string(100'000, 'a')).empty());
  CHECK(FindDirective("APPENDFSYNC") == FindDirective("wal-fsync"));
  CHECK(FindDirective("") == nullptr);
}

TEST_CASE("settings that contradict each other are refused", "[config]") {
  Settings s = DefaultSettings();
  SECTION("slowdown and stop") {
    s.l0_slowdown_sstables = s.l0_stop_sstables;
    CHECK(FindContradiction(s)->directive == "l0-slowdown-sstables");
  }
  SECTION("the limit of L0 above where writers are slowed") {
    s.max_l0_sstables = s.l0_slowdown_sstables + 1;
    CHECK(FindContradiction(s)->directive == "max-l0-sstables");
  }
  SECTION("less memory than two memtables") {
    s.memtable_mb = 64;
    s.max_memory_mb = 127;
    CHECK(FindContradiction(s)->directive == "max-memory-mb");
  }
  SECTION("no way in") {
    s.port = 0;
    CHECK(FindContradiction(s)->directive == "port");
    s.unixsocket = "/run/lsmkv.sock";
    CHECK_FALSE(FindContradiction(s).has_value());
  }
}

TEST_CASE("the engine's defaults are the table's", "[config]") {
  const Options table = EngineOptions(DefaultSettings());
  const Options engine;
  CHECK(table.memtable_entries == engine.memtable_entries);
  CHECK(table.max_immutable_memtables == engine.max_immutable_memtables);
  CHECK(table.level_ratio == engine.level_ratio);
  CHECK(table.base_level_bytes == engine.base_level_bytes);
  CHECK(table.base_level_entries == engine.base_level_entries);
  CHECK(table.max_l0_sstables == engine.max_l0_sstables);
  CHECK(table.l0_slowdown_sstables == engine.l0_slowdown_sstables);
  CHECK(table.l0_stop_sstables == engine.l0_stop_sstables);
  CHECK(table.soft_limit_ratio == engine.soft_limit_ratio);
  CHECK(table.compaction_bytes_per_second == engine.compaction_bytes_per_second);
  CHECK(table.optimize_for_hits == engine.optimize_for_hits);
  CHECK(table.dead_ratio == engine.dead_ratio);
  CHECK(table.dead_max_age_ms == engine.dead_max_age_ms);
  CHECK(table.max_sstable_bytes == engine.max_sstable_bytes);
  CHECK(table.block_bytes == engine.block_bytes);
  CHECK(table.bloom_bits_per_key == engine.bloom_bits_per_key);
  CHECK(table.compression == engine.compression);
  CHECK(table.min_blob_bytes == engine.min_blob_bytes);
  CHECK(table.wal_fsync == engine.wal_fsync);
  CHECK(table.wal_skip_corruption == engine.wal_skip_corruption);
  CHECK(table.flush_workers == engine.flush_workers);
  CHECK(table.compaction_workers == engine.compaction_workers);
}

TEST_CASE("io-threads 0 is one for every two cores, at most four", "[config]") {
  Settings s = DefaultSettings();
  CHECK(IoThreads(s, 0) == 1);
  CHECK(IoThreads(s, 1) == 1);
  CHECK(IoThreads(s, 2) == 1);
  CHECK(IoThreads(s, 3) == 2);
  CHECK(IoThreads(s, 8) == 4);
  CHECK(IoThreads(s, 64) == 4);
  s.io_threads = 7;
  CHECK(IoThreads(s, 2) == 7);
}
