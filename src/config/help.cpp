// The table as people read it: --help, and the text of config/lsmkv.conf.
#include <fmt/core.h>

#include <vector>

#include "config/config.h"
#include "config/directive.h"

namespace lsmkv {
namespace {

bool IsFact(const Directive& directive) { return std::holds_alternative<Fact>(directive.type); }

std::vector<std::string_view> DocLines(const Directive& directive) {
  std::vector<std::string_view> lines;
  std::string_view rest = directive.doc;
  while (true) {
    const std::size_t end = rest.find('\n');
    lines.push_back(rest.substr(0, end));
    if (end == std::string_view::npos) return lines;
    rest.remove_prefix(end + 1);
  }
}

/// "Allowed 2..100. CONFIG SET changes it at run time."
std::string Terms(const Directive& directive) {
  std::string terms;
  if (const std::string allowed = AllowedText(directive); !allowed.empty()) terms += fmt::format("Allowed: {}. ", allowed);
  if (!directive.alias.empty()) terms += fmt::format("Redis calls it {}; both names work. ", directive.alias);
  terms += directive.mutability == Mutability::kAtRunTime ? "CONFIG SET changes it at run time." : "Read at start.";
  return terms;
}

constexpr std::string_view kConfigHead =
    "# lsmkv-server's configuration, in the style of redis.conf: `directive value`, one to a line; a line that starts with\n"
    "# '#' is a comment. Values with spaces go in quotes. Sizes take units: k is 1000, kb 1024, m, mb, g and gb likewise.\n"
    "# When a directive stands twice, the last one wins. The same words on the command line win over this file:\n"
    "#   lsmkv-server lsmkv.conf --port 6380 --wal-fsync always\n"
    "#\n"
    "# Every directive is here, with its default. `lsmkv-server --print-default-config` prints this text,\n"
    "# `lsmkv-server FILE --check-config` checks a file.\n";

constexpr std::string_view kFactsHead =
    "# These are not options. CONFIG GET answers them, because tools ask every Redis for them, with what is true here;\n"
    "# giving one of them another value is an error that says why.\n";

constexpr std::string_view kHelpHead =
    "lsmkv-server: a key-value server that speaks the Redis protocol and keeps its data on disk in an LSM tree\n\n"
    "usage: lsmkv-server [CONFIG] [--directive value …]\n\n"
    "  CONFIG                    a file in the style of redis.conf; without one, the defaults\n"
    "  --directive value …       any directive of the file; wins over it\n"
    "  --check-config            check file and directives, and exit\n"
    "  --print-default-config    print a configuration file with every directive, its default and its meaning, and exit\n"
    "  --ping                    ask the server that listens where the configuration says whether it is alive:\n"
    "                            exit 0 when it answers, 1 when it does not\n"
    "  --version, -v   --help, -h\n";

}  // namespace

std::string DefaultConfigText() {
  std::string text(kConfigHead);
  std::string facts;
  std::optional<Category> category;
  for (const Directive& directive : Directives()) {
    if (IsFact(directive)) {
      facts += fmt::format("#   {} {}: {}\n", directive.name, directive.default_text, directive.doc);
      continue;
    }
    if (category != directive.category) {
      category = directive.category;
      text += fmt::format("\n# ---- {} ----\n", CategoryTitle(directive.category));
    }
    text += '\n';
    for (const std::string_view line : DocLines(directive)) text += fmt::format("# {}\n", line);
    text += fmt::format("# {}\n", Terms(directive));
    text += fmt::format("{} {}\n", directive.name, directive.default_text);
  }
  return text + fmt::format("\n# ---- {} ----\n\n", CategoryTitle(Category::kFacts)) + std::string(kFactsHead) + facts;
}

std::string HelpText() {
  std::string text(kHelpHead);
  std::optional<Category> category;
  for (const Directive& directive : Directives()) {
    if (IsFact(directive)) continue;
    if (category != directive.category) {
      category = directive.category;
      text += fmt::format("\n{}\n", CategoryTitle(directive.category));
    }
    const std::string allowed = AllowedText(directive);
    text += fmt::format("  --{:<28} {}{}\n", directive.name, directive.default_text,
                        allowed.empty() ? "" : fmt::format("  ({})", allowed));
    for (const std::string_view line : DocLines(directive)) text += fmt::format("      {}\n", line);
  }
  return text;
}

}  // namespace lsmkv
