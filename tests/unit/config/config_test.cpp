#include "config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "config/config_file.h"
#include "config/directive.h"

using namespace lsmkv;
namespace fs = std::filesystem;

namespace {

/// A directory of its own for one test.
class TempDirectory {
 public:
  TempDirectory() {
    std::string pattern = (fs::temp_directory_path() / "lsmkv-config-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TempDirectory() { fs::remove_all(path_); }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string Path(const std::string& name) const { return (path_ / name).string(); }
  std::size_t FileCount() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

 private:
  fs::path path_;
};

std::string Slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

Result<std::unique_ptr<Config>> Load(const std::vector<std::string>& arguments) {
  const auto command_line = ParseCommandLine(arguments);
  if (!command_line) return command_line.error();
  return Config::Load(*command_line);
}

std::string LoadError(const std::vector<std::string>& arguments) {
  const auto config = Load(arguments);
  return config ? "" : config.error().message();
}

Result<Config::Change> Set(Config& config, const std::vector<Config::Assignment>& assignments) {
  return config.Set(assignments);
}
std::string SetError(Config& config, const std::vector<Config::Assignment>& assignments) {
  return Set(config, assignments).status().message();
}

}  // namespace

TEST_CASE("the shipped lsmkv.conf has every directive, its default and its comment", "[config]") {
  // Printed by `lsmkv-server --print-default-config > config/lsmkv.conf`.
  CHECK(Slurp(LSMKV_CONFIG_DIR "/lsmkv.conf") == DefaultConfigText());
}

TEST_CASE("the shipped lsmkv.conf gives the defaults", "[config]") {
  const auto config = Load({LSMKV_CONFIG_DIR "/lsmkv.conf"});
  REQUIRE(config.has_value());
  Settings defaults = DefaultSettings();
  ResolvePaths(&defaults);
  for (const Directive& directive : Directives()) {
    CAPTURE(directive.name);
    CHECK(FormatValue(directive, *(*config)->Current()) == FormatValue(directive, defaults));
  }
}

TEST_CASE("every preset loads, and says what it trades", "[config]") {
  const std::string name = GENERATE("classic", "write-heavy", "read-heavy", "balanced");
  const std::string path = LSMKV_CONFIG_DIR "/presets/" + name + ".conf";
  CAPTURE(path);
  const auto config = Load({path});
  REQUIRE(config.status().message().empty());
  CHECK(Slurp(path).find("Trades") != std::string::npos);
}

TEST_CASE("the classic preset is the textbook tree", "[config]") {
  const auto config = Load({LSMKV_CONFIG_DIR "/presets/classic.conf"});
  REQUIRE(config.has_value());
  const Options options = EngineOptions(*(*config)->Current());
  CHECK(options.memtable_entries == 1000);
  CHECK(options.base_level_entries == 1000);
  CHECK(options.base_level_bytes == 1u << 20);
  CHECK(options.level_ratio == 10);
  CHECK(options.max_l0_sstables == 4);
  CHECK(options.max_sstable_bytes == 0);
}

TEST_CASE("the file wins over the defaults, the command line over the file, the last line over the first", "[config]") {
  const TempDirectory temp;
  const std::string path = temp.Write("lsmkv.conf",
                                      "# a comment\n\nport 7000\nPORT 7001\nlevel-ratio 4\n"
                                      "bind 127.0.0.1 \"::1\"\nclient-output-buffer-limit pubsub 1mb 1kb 5\nappendfsync always");
  const auto config = Load({path, "--level-ratio", "5", "--bind", "10.0.0.1", "-::1", "--databases", "3", "--save", ""});
  REQUIRE(config.status().message().empty());
  const auto settings = (*config)->Current();
  CHECK(settings->port == 7001);
  CHECK(settings->level_ratio == 5);
  CHECK(settings->bind == std::vector<std::string>{"10.0.0.1", "-::1"});
  CHECK(settings->databases == 3);
  CHECK(settings->wal_fsync == WalFsync::kAlways);
  CHECK(settings->client_output_buffer[2] == OutputBufferLimit{1u << 20, 1u << 10, 5});
  CHECK(settings->timeout_seconds == DefaultSettings().timeout_seconds);
  CHECK(fs::path(settings->dir).is_absolute());
}

TEST_CASE("a bad configuration is refused with file, line, directive and what is allowed", "[config]") {
  const TempDirectory temp;
  struct Case {
    const char* text;
    const char* error;   // after the file's path
  };
  const auto c = GENERATE(values<Case>({
      {"port 1\n\nlevel-ratio 1\n", ":3: directive 'level-ratio': '1' is out of range, allowed 2..100"},
      {"levl-ratio 4\n", ":1: unknown directive 'levl-ratio', did you mean 'level-ratio'?"},
      {"zzzzzzzzzzzz 4\n", ":1: unknown directive 'zzzzzzzzzzzz'"},
      {"requirepass \"a b\n", ":1: unbalanced quotes"},
      {"port\n", ":1: directive 'port': takes one value, got 0 (a comment needs a line of its own)"},
      {"bind\n", ":1: directive 'bind': takes a value"},
      {"port 1 # why\n", ":1: directive 'port': takes one value, got 3 (a comment needs a line of its own)"},
      {"appendfsync sometimes\n", ":1: directive 'wal-fsync': 'sometimes' is not one of: always, everysec, no"},
      {"maxmemory 100mb\n",
       ":1: directive 'maxmemory': is always 0 in lsmkv: the data is on disk and nothing is evicted; memory-budget "
       "bounds the memory"},
      {"memory-budget 64mb\nblock-cache-mb 64\n",
       ":1: directive 'memory-budget': 64mb is too small for block-cache-mb 64, which with the least of everything else come to "
       "101mb: raise it, or lower these"},
      {"port 1\nl0-slowdown-sstables 40\n",
       ":2: directive 'l0-slowdown-sstables': 40 is not below l0-stop-sstables 36: writers are slowed before they wait"},
  }));
  const std::string path = temp.Write("lsmkv.conf", c.text);
  CHECK(LoadError({path}) == path + c.error);
}

TEST_CASE("a bad command line is refused and named as such", "[config]") {
  CHECK(LoadError({"--level-ratio", "1"}) ==
        "command line: directive 'level-ratio': '1' is out of range, allowed 2..100");
  CHECK(LoadError({"--prot", "1"}) == "command line: unknown directive 'prot', did you mean 'port'?");
  CHECK(LoadError({"--port"}) == "command line: directive 'port': takes one value, got 0 (a comment needs a line of its own)");
  CHECK(LoadError({"--help", "x"}) == "command line: unexpected argument 'x'; see --help");
  CHECK(LoadError({"/nowhere/lsmkv.conf"}) ==
        "cannot read the configuration file /nowhere/lsmkv.conf: No such file or directory");
  CHECK(LoadError({"/"}) == "cannot read the configuration file /: Is a directory");
}

TEST_CASE("modes are told apart from directives", "[config]") {
  using enum CommandLine::Mode;
  const auto mode = [](const std::vector<std::string>& arguments) { return ParseCommandLine(arguments)->mode; };
  CHECK(mode({}) == kServe);
  CHECK(mode({"lsmkv.conf", "--check-config"}) == kCheckConfig);
  CHECK(mode({"lsmkv.conf", "--port", "1", "--ping"}) == kPing);
  CHECK(mode({"--ping", "-h", "--version"}) == kHelp);
  CHECK(mode({"-v"}) == kVersion);
  CHECK(mode({"--print-default-config"}) == kPrintDefaultConfig);
}

TEST_CASE("--help names every directive", "[config]") {
  const std::string help = HelpText();
  for (const Directive& directive : Directives()) {
    if (std::holds_alternative<Fact>(directive.type)) continue;
    CAPTURE(directive.name);
    CHECK(help.find("--" + std::string(directive.name) + " ") != std::string::npos);
  }
}

TEST_CASE("CONFIG SET changes all or nothing", "[config]") {
  Config config;
  const auto before = config.Current();
  CHECK(SetError(config, {{"timeout", "10"}, {"maxclients", "0"}}) ==
        "CONFIG SET failed (possibly related to argument 'maxclients') - argument must be between 1 and 1000000 inclusive");
  CHECK(config.Current() == before);

  const auto change = Set(config, {{"TIMEOUT", "10"}, {"appendfsync", "no"}, {"maxclients", "10000"}});
  REQUIRE(change.has_value());
  CHECK(change->names == std::vector<std::string>{"timeout", "wal-fsync"});
  CHECK(config.Current()->timeout_seconds == 10);
  CHECK(config.Get("wal-fsync") == "no");
  CHECK(before->timeout_seconds == 0);   // who holds the old settings keeps them

  config.Revert(*change);
  CHECK(config.Get("timeout") == "0");
  CHECK(config.Get("appendfsync") == "everysec");
}

TEST_CASE("CONFIG SET answers what Redis answers", "[config]") {
  Config config;
  CHECK(SetError(config, {{"port", "1"}}) ==
        "CONFIG SET failed (possibly related to argument 'port') - can't set immutable config");
  CHECK(SetError(config, {{"loglevel", "loud"}, {"nosuch", "1"}}) ==
        "Unknown option or number of arguments for CONFIG SET - 'nosuch'");
  CHECK(SetError(config, {{"timeout", "8"}, {"TIMEOUT", "9"}}) ==
        "CONFIG SET failed (possibly related to argument 'TIMEOUT') - duplicate parameter");
  CHECK(SetError(config, {{"maxmemory", "1gb"}}).starts_with(
      "CONFIG SET failed (possibly related to argument 'maxmemory') - is always 0 in lsmkv: "));
  CHECK(SetError(config, {{"save", ""}, {"appendonly", "yes"}, {"requirepass", ""}}).empty());
}

TEST_CASE("CONFIG GET knows every name and alias", "[config]") {
  const Config config;
  std::size_t aliases = 0;
  for (const Directive& directive : Directives()) aliases += directive.alias.empty() ? 0 : 1;
  CHECK(config.Entries().size() == Directives().size() + aliases);
  CHECK(config.Get("appendonly") == "yes");
  CHECK(config.Get("save") == "");
  CHECK(config.Get("MaxMemory") == "0");
  CHECK(config.Get("proto-max-bulk-len") == "536870912");
  CHECK_FALSE(config.Get("nosuch").has_value());
}

TEST_CASE("CONFIG REWRITE keeps comments and order, changes in place, adds at the end", "[config]") {
  const TempDirectory temp;
  const std::string path = temp.Write("lsmkv.conf",
                                      "# mine\ntimeout 5\n\n  # the port\nport 7000\n# twice\nTimeout 6\n"
                                      "client-output-buffer-limit normal 0 0 0\nproto-max-bulk-len 1024mb");
  ::chmod(path.c_str(), 0640);
  auto config = Load({path, "--databases", "3"});
  REQUIRE(config.has_value());
  REQUIRE(Set(**config, {{"timeout", "9"}, {"requirepass", "a \"b\""}}).has_value());
  REQUIRE((*config)->Rewrite().ok());
  CHECK(Slurp(path) ==
        "# mine\ntimeout 5\n\n  # the port\nport 7000\n# twice\ntimeout 9\n"
        "client-output-buffer-limit normal 0 0 0\nproto-max-bulk-len 1024mb\n"
        "\n# Generated by CONFIG REWRITE\nrequirepass \"a \\\"b\\\"\"\ndatabases 3\n");
  CHECK(temp.FileCount() == 1);   // no temporary file is left
  CHECK((fs::status(path).permissions() & fs::perms::all) == static_cast<fs::perms>(0640));

  const auto again = Load({path});
  REQUIRE(again.has_value());
  for (const Directive& directive : Directives()) {
    CAPTURE(directive.name);
    CHECK(FormatValue(directive, *(*again)->Current()) == FormatValue(directive, *(*config)->Current()));
  }
  REQUIRE(Set(**again, {{"maxclients", "5"}}).has_value());
  const std::string before = Slurp(path);
  REQUIRE((*again)->Rewrite().ok());
  CHECK(Slurp(path) == before + "maxclients 5\n");
}

TEST_CASE("CONFIG REWRITE leaves a file alone that says it all", "[config]") {
  const std::string text = DefaultConfigText();
  Settings settings = DefaultSettings();
  ResolvePaths(&settings);
  CHECK(*RewriteConfigText(text, "lsmkv.conf", settings) == text);
}

TEST_CASE("CONFIG REWRITE writes through a symbolic link", "[config]") {
  const TempDirectory temp;
  const std::string path = temp.Write("real.conf", "timeout 5\n");
  fs::create_symlink(path, temp.Path("link.conf"));
  auto config = Load({temp.Path("link.conf")});
  REQUIRE(config.has_value());
  REQUIRE(Set(**config, {{"timeout", "7"}}).has_value());
  REQUIRE((*config)->Rewrite().ok());
  CHECK(Slurp(path) == "timeout 7\n");
  CHECK(fs::is_symlink(temp.Path("link.conf")));
}

TEST_CASE("CONFIG REWRITE without a file says so", "[config]") {
  CHECK(Config().Rewrite().message() == "The server is running without a config file");
}

TEST_CASE("a configuration file larger than its bound is refused", "[config]") {
  const TempDirectory temp;
  const std::string path = temp.Write("large.conf", std::string(kMaxConfigFileBytes + 1, '\n'));
  CHECK(LoadError({path}) == "cannot read the configuration file " + path + ": larger than 1048576 bytes");
}

TEST_CASE("a reader sees whole settings while others change them", "[config]") {
  Config config;
  const auto set_both = [&](int value) {
    const std::string text = std::to_string(value);
    return Set(config, {{"timeout", text}, {"tcp-keepalive", text}}).has_value();
  };
  REQUIRE(set_both(1));
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    SettingsCache cache(config);
    while (!stop.load()) {
      const Settings& settings = cache.Now();
      if (settings.timeout_seconds != settings.tcp_keepalive_seconds) ++torn;
    }
  });
  int refused = 0;
  for (int value = 0; value < 1000; ++value) refused += set_both(value) ? 0 : 1;
  stop = true;
  reader.join();
  CHECK(refused == 0);
  CHECK(torn == 0);
  CHECK(SettingsCache(config).Now().timeout_seconds == 999);
}
