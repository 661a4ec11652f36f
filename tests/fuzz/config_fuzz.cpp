// The configuration file and the command line. Promises: every text is settings or an error that names the line; settings stay
// within their bounds, so that what they say can be said again; CONFIG REWRITE gives a file that reads as the running
// settings, and leaves one that says so already alone.
//   input := file "\0" what the settings have become meanwhile, in the same language
#include <map>
#include <vector>

#include "base/words.h"
#include "config/config.h"
#include "config/config_file.h"
#include "config/directive.h"
#include "config/memory_plan.h"
#include "fuzz_support.h"

namespace lsmkv {
namespace {

constexpr std::string_view kName = "lsmkv.conf";

/// True, and `settings` as the text says.
bool Read(std::string_view text, Settings* settings) {
  const auto lines = ParseConfigLines(text, kName);
  Status status = lines.status();
  if (lines) status = ApplyConfigLines(*lines, kName, settings);
  if (!status.ok()) FUZZ_REQUIRE(status.message().starts_with("lsmkv.conf:"), "an error names file and line");
  return status.ok();
}

void ValuesCanBeSaidAgain(const Settings& settings) {
  for (const Directive& directive : Directives()) {
    Settings again = DefaultSettings();
    const std::vector<std::string> one_word{FormatValue(directive, settings)};
    FUZZ_REQUIRE(!ParseValue(directive, one_word, &again), "what CONFIG GET says can be given to CONFIG SET");
    FUZZ_REQUIRE(FormatValue(directive, again) == one_word[0], "and then says the same");
    Settings from_file = DefaultSettings();
    const auto words = SplitWords(FormatForFile(directive, settings));
    FUZZ_REQUIRE(words && !ParseValue(directive, *words, &from_file), "what is written into the file can be read");
    FUZZ_REQUIRE(FormatValue(directive, from_file) == one_word[0], "and says the same");
  }
}

void RewriteSays(std::string_view file, const Settings& running) {
  const auto rewritten = RewriteConfigText(file, kName, running);
  FUZZ_REQUIRE(rewritten.has_value(), "a file that can be read can be rewritten");
  Settings read = DefaultSettings();
  FUZZ_REQUIRE(Read(*rewritten, &read), "what was rewritten can be read");
  ResolvePaths(&read);
  for (const Directive& directive : Directives()) {
    FUZZ_REQUIRE(FormatValue(directive, read) == FormatValue(directive, running), "what was rewritten gives the running settings");
  }
  const auto twice = RewriteConfigText(*rewritten, kName, running);
  FUZZ_REQUIRE(twice && *twice == *rewritten, "rewriting twice changes nothing more");
}

/// The words of a text as a command line.
void TryCommandLine(std::string_view text) {
  const auto words = SplitWords(text);
  if (!words) return;
  const Result<CommandLine> parsed = ParseCommandLine(*words);
  if (!parsed) FUZZ_REQUIRE(!parsed.error().message().empty(), "an error says something");
}

}  // namespace
}  // namespace lsmkv

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lsmkv;
  fuzz::Input input(data, size);
  const std::string_view whole = input.Rest();
  const std::size_t zero = std::min(whole.find('\0'), whole.size());
  const std::string_view file = whole.substr(0, zero);
  const std::string_view changes = whole.substr(std::min(zero + 1, whole.size()));
  TryCommandLine(file);
  Settings settings = DefaultSettings();
  if (!Read(file, &settings)) return 0;
  ValuesCanBeSaidAgain(settings);
  static_cast<void>(FindContradiction(settings));
  Settings running = settings;
  if (!Read(changes, &running)) running = settings;
  ResolvePaths(&running);
  RewriteSays(file, running);
  return 0;
}
