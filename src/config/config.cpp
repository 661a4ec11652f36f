#include "config/config.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/ascii.h"
#include "base/assert.h"
#include "config/config_file.h"
#include "config/directive.h"

namespace lsmkv {
namespace {

/// Where each directive was last given: "lsmkv.conf:17" or "command line".
using Places = std::map<std::string_view, std::string>;

Status ApplyFile(const std::string& path, Settings* settings, Places* places) {
  const auto text = ReadConfigFile(path);
  if (!text) return text.error().WithContext("cannot read the configuration file " + path);
  const auto lines = ParseConfigLines(*text, path);
  if (!lines) return lines.error();
  for (const ConfigLine& line : *lines) (*places)[line.directive->name] = fmt::format("{}:{}", path, line.number);
  return ApplyConfigLines(*lines, path, settings);
}

Status ApplyOverrides(const std::vector<CommandLine::Override>& overrides, Settings* settings, Places* places) {
  for (const CommandLine::Override& override : overrides) {
    const Directive* const directive = FindDirective(override.name);
    if (directive == nullptr) return Status::InvalidArgument("command line: " + UnknownDirective(override.name));
    if (const auto bad = ParseValue(*directive, override.words, settings)) {
      return Status::InvalidArgument(fmt::format("command line: directive '{}': {}", directive->name, bad->for_file));
    }
    (*places)[directive->name] = "command line";
  }
  return Status::Ok();
}

Status SetError(std::string_view name, std::string_view why) {
  return Status::InvalidArgument(fmt::format("CONFIG SET failed (possibly related to argument '{}') - {}", name, why));
}

/// Names first, values later, as Redis does: an unknown name is told even when an earlier value is bad.
Result<std::vector<const Directive*>> FindAssigned(std::span<const Config::Assignment> assignments) {
  std::vector<const Directive*> directives;
  for (const auto& [name, value] : assignments) {
    const Directive* const directive = FindDirective(name);
    if (directive == nullptr) {
      return Status::InvalidArgument(
          fmt::format("Unknown option or number of arguments for CONFIG SET - '{}'", name));
    }
    if (directive->mutability == Mutability::kAtStart && !std::holds_alternative<Fact>(directive->type)) {
      return SetError(name, "can't set immutable config");
    }
    if (std::ranges::find(directives, directive) != directives.end()) return SetError(name, "duplicate parameter");
    directives.push_back(directive);
  }
  return directives;
}

}  // namespace

Config::Config() {
  Settings settings = DefaultSettings();
  ResolvePaths(&settings);
  const MutexLock lock(mutex_);
  current_ = std::make_shared<const Settings>(std::move(settings));
}

Result<std::unique_ptr<Config>> Config::Load(const CommandLine& command_line) {
  Settings settings = DefaultSettings();
  Places places;
  auto config = std::make_unique<Config>();
  if (!command_line.config_file.empty()) {
    const Status status = ApplyFile(command_line.config_file, &settings, &places);
    if (!status.ok()) return status;
    std::error_code error;   // through a symbolic link, so that REWRITE replaces the file and not the link
    config->file_ = std::filesystem::canonical(command_line.config_file, error).string();
    if (error) return Status::IoError(command_line.config_file + ": " + error.message());
  }
  const Status status = ApplyOverrides(command_line.overrides, &settings, &places);
  if (!status.ok()) return status;
  if (const auto contradiction = FindContradiction(settings)) {
    const auto place = places.find(contradiction->directive);
    return Status::InvalidArgument(fmt::format("{}: directive '{}': {}",
                                               place == places.end() ? "default" : place->second,
                                               contradiction->directive, contradiction->text));
  }
  ResolvePaths(&settings);
  const MutexLock lock(config->mutex_);
  config->PublishLocked(std::move(settings));
  return config;
}

void Config::PublishLocked(Settings settings) {
  current_ = std::make_shared<const Settings>(std::move(settings));
  generation_.fetch_add(1, std::memory_order_release);   // pairs with the acquire in generation()
}

std::shared_ptr<const Settings> Config::Current() const {
  const MutexLock lock(mutex_);
  return current_;
}

std::vector<Config::Entry> Config::Entries() const {
  const auto settings = Current();
  std::vector<Entry> entries;
  for (const Directive& directive : Directives()) {
    entries.push_back({directive.name, FormatValue(directive, *settings)});
    if (!directive.alias.empty()) entries.push_back({directive.alias, entries.back().value});
  }
  return entries;
}

std::optional<std::string> Config::Get(std::string_view name) const {
  const Directive* const directive = FindDirective(name);
  if (directive == nullptr) return std::nullopt;
  return FormatValue(*directive, *Current());
}

Result<Config::Change> Config::Set(std::span<const Assignment> assignments) {
  const auto directives = FindAssigned(assignments);
  if (!directives) return directives.error();
  Change change;
  const MutexLock lock(mutex_);
  Settings settings = *current_;
  for (std::size_t i = 0; i < assignments.size(); ++i) {
    const Directive& directive = *(*directives)[i];
    const std::string word(assignments[i].second);
    if (const auto bad = ParseValue(directive, {&word, 1}, &settings)) {
      return SetError(assignments[i].first, bad->for_client);
    }
    std::string before = FormatValue(directive, *current_);
    if (before == FormatValue(directive, settings)) continue;
    change.names.emplace_back(directive.name);
    change.before.emplace_back(directive.name, std::move(before));
  }
  if (const auto contradiction = FindContradiction(settings)) {
    return SetError(contradiction->directive, contradiction->text);
  }
  if (!change.names.empty()) PublishLocked(std::move(settings));
  return change;
}

void Config::Revert(const Change& change) {
  const MutexLock lock(mutex_);
  Settings settings = *current_;
  for (const auto& [name, value] : change.before) {
    const bool refused = ParseValue(*FindDirective(name), {&value, 1}, &settings).has_value();
    LSMKV_ASSERT(!refused);   // it came from FormatValue
  }
  PublishLocked(std::move(settings));
}

Status Config::Rewrite() const {
  if (file_.empty()) return Status::InvalidArgument("The server is running without a config file");
  const auto text = ReadConfigFile(file_);
  if (!text) return text.error().WithContext("Rewriting config file");
  const auto rewritten = RewriteConfigText(*text, file_, *Current());
  if (!rewritten) return rewritten.error().WithContext("Rewriting config file");
  return ReplaceConfigFile(file_, *rewritten).WithContext("Rewriting config file");
}

}  // namespace lsmkv
