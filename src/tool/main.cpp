// lsmkv-tool: work on a data directory without a server. The table of its commands, and nothing else; each has a file of its name.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tool/commands.h"
#include "tool/settings.h"

// Read by jemalloc at its start, as in the server.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:5000";
}

namespace lsmkv::tool {
namespace {

constexpr Option kJson{"json", "", "the report as JSON"};

constexpr Option kCheckOptions[] = {kJson};
constexpr Option kDumpOptions[] = {
    {"limit", "N", "at most N entries or records (default 100)"},
    {"values", "N", "at most N bytes of each value (default 80); when given, also of those that a table has in blob files"},
    {"blocks", "", "of a table: where each data block begins"},
    {"block", "OFFSET", "of a table: only the data block that begins there"},
};
constexpr Option kStatsOptions[] = {kConfigOption, kJson};
constexpr Option kRepairOptions[] = {{"copy", "", "copy whole tables and blob files instead of linking them"}, kConfigOption, kJson};
constexpr Option kBuildOptions[] = {
    {"format", "FORMAT", "tsv (default), jsonl or resp"},
    {"db", "N", "the database the keys are for (default 0)"},
    {"sorted", "", "the keys ascend, as bytes: one pass, no sorting"},
    {"memory-mb", "N", "memory for sorting (default 256)"},
    kConfigOption,
    kJson,
};
constexpr Option kCompactOptions[] = {{"to", "LEVEL", "the level to merge everything into (default: the deepest)"}, kConfigOption};

constexpr Command kCommands[] = {
    {"build", "NEWDIR [FILE...]", 1, SIZE_MAX, "Makes a bundle of keys and values, for LSM INGEST.",
     "Reads the files (- is standard input, which is also the default), sorts by key with bounded memory, and writes sorted\n"
     "tables with a description into NEWDIR, which must be new or empty. Of several values for a key the last one stays.\n\n"
     "  tsv    key TAB value [TAB expire-at-ms], a line each; \\t \\n \\r \\\\ \\xNN are escapes\n"
     "  jsonl  {\"key\": \"k\", \"value\": \"v\", \"expire_at_ms\": 1900000000000}, a line each; the deadline may be missing;\n"
     "         \"key_base64\", \"value_base64\" for bytes that are not UTF-8\n"
     "  resp   commands as a client sends them: SET key value [EX|PX|EXAT|PXAT time], MSET, SETEX, PSETEX",
     kBuildOptions, &RunBuild},
    {"check", "DIR", 1, 1, "Verifies a data directory: manifests, tables, blob files, log.",
     "Every byte that counts is read. Damage is listed with file, offset and what is wrong; notes are what the next start\n"
     "puts right by itself.",
     kCheckOptions, &RunCheck},
    {"compact", "DIR", 1, 1, "Merges all levels of a data directory into one.", "", kCompactOptions, &RunCompact},
    {"dump", "FILE", 1, 1, "Shows a manifest, a table, a blob file, a segment of the log, a batch beside it, or a bundle.",
     "Keys are shown as `db0 name` (with the physical number of the database) or `raw bytes`; what is not printable is \\xNN.\n"
     "A value in a blob file is shown by its place: `blob 17 @ 4096 +10000 bytes`.\n"
     "It takes no lock: of a file that a server is writing it shows what is there.",
     kDumpOptions, &RunDump},
    {"repair", "DIR NEWDIR", 2, 2, "Saves what is whole of a damaged data directory into a new one.",
     "DIR is only read; NEWDIR must not exist. Whole tables and blob files are linked (or copied), of damaged ones the whole blocks\n"
     "and values are saved, of the log the records up to the damage; a damaged batch beside the log costs only itself. What is lost\n"
     "is listed.",
     kRepairOptions, &RunRepair},
    {"stats", "DIR", 1, 1, "Shows the levels of a data directory against their limits.", "", kStatsOptions, &RunStats},
};

std::string Overview() {
  std::string text = "lsmkv-tool COMMAND [options] ...\n\n";
  for (const Command& command : kCommands) text += std::string("  ") + std::string(command.name) + std::string(10 - command.name.size(), ' ') + std::string(command.summary) + "\n";
  return text +
         "\nlsmkv-tool COMMAND --help tells more. All but dump and build need the directory for themselves: no server may run on it.\n"
         "It ends with 0 when all is well, 1 when damage was found or something was lost, 2 when it could not do its work.\n";
}

Exit Run(const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "help") {
    Print(Overview());
    return words.empty() ? Exit::kCannot : Exit::kFine;
  }
  const auto command = std::ranges::find(kCommands, words[0], &Command::name);
  if (command == std::end(kCommands)) return Cannot(Status::InvalidArgument("there is no command '" + words[0] + "'; see lsmkv-tool --help"));
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (std::ranges::find(rest, "--help") != rest.end()) {
    Print(command->Help());
    return Exit::kFine;
  }
  const Result<Arguments> arguments = command->Parse(rest);
  if (!arguments) return Cannot(arguments.error());
  return command->run(*arguments);
}

}  // namespace
}  // namespace lsmkv::tool

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("lsmkv-tool"));
  spdlog::set_level(spdlog::level::warn);
  const lsmkv::tool::Exit exit = lsmkv::tool::Run(std::vector<std::string>(argv + 1, argv + argc));
  if (std::fflush(stdout) != 0) return static_cast<int>(lsmkv::tool::Exit::kCannot);
  return static_cast<int>(exit);
}
