// The configuration of a running server: defaults, then the file, then the command line, then CONFIG SET.
//
// Threads  Reading is for everybody. Current() hands out the settings of this moment as an immutable value; a thread
//          that reads often keeps a SettingsCache, which costs one atomic load a look. Set, Revert and Rewrite may be
//          called from any thread that holds change_mutex(); each publishes whole new settings or nothing.
// Errors   Of the file and the command line: "lsmkv.conf:17: directive 'level-ratio': '1' is out of range, allowed
//          2..100". Of CONFIG: what Redis answers, without the "ERR " in front.
// Not here what a change does to the running server: ServerApi::ApplyConfig.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "config/settings.h"
#include "lsmkv/status.h"

namespace lsmkv {

/// `lsmkv-server [CONFIG] [--directive value …]`, taken apart and not yet looked at.
struct CommandLine {
  enum class Mode : std::uint8_t { kServe, kHelp, kVersion, kCheckConfig, kPrintDefaultConfig, kPing };
  struct Override {
    std::string name;
    std::vector<std::string> words;
  };
  Mode mode = Mode::kServe;
  std::string config_file;            ///< empty: none was named
  std::vector<Override> overrides;
};
/// `arguments` without the program's name.
Result<CommandLine> ParseCommandLine(std::span<const std::string> arguments);

/// What --help prints.
std::string HelpText();
/// The text of config/lsmkv.conf: every directive with its default and its comment.
std::string DefaultConfigText();

class Config {
 public:
  /// The defaults, and no file.
  Config();
  /// Reads the file, lets the command line win, checks the whole. The first error ends it.
  static Result<std::unique_ptr<Config>> Load(const CommandLine& command_line);

  std::shared_ptr<const Settings> Current() const LSMKV_EXCLUDES(mutex_);
  /// Grows with every change. Acquire; its pair is the release in Publish().
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  /// Absolute; empty when the server was started without one.
  const std::string& file() const { return file_; }

  struct Entry {
    std::string_view name;
    std::string value;
  };
  /// Every directive, its aliases too, as CONFIG GET shows them. The caller picks by pattern.
  std::vector<Entry> Entries() const;
  /// By name or alias; nullopt: no such directive.
  std::optional<std::string> Get(std::string_view name) const;

  /// Whoever changes something holds it from Set() until the change is applied or reverted, and through Rewrite().
  Mutex& change_mutex() { return change_mutex_; }
  /// What a Set changed and how to undo it.
  struct Change {
    std::vector<std::string> names;                            ///< table names, not aliases; only values that differ
    std::vector<std::pair<std::string, std::string>> before;
  };
  using Assignment = std::pair<std::string_view, std::string_view>;
  /// All of them or none.
  Result<Change> Set(std::span<const Assignment> assignments) LSMKV_EXCLUDES(mutex_);
  /// Puts back what `change` replaced (ApplyConfig failed).
  void Revert(const Change& change) LSMKV_EXCLUDES(mutex_);

  /// Writes the settings into the file they came from, atomically: comments and order stay, changed values are changed
  /// in place, new ones go to the end. Blocks on the disk.
  Status Rewrite() const;

 private:
  void PublishLocked(Settings settings) LSMKV_REQUIRES(mutex_);

  std::string file_;                                           // constant once loaded
  std::atomic<std::uint64_t> generation_{1};
  Mutex change_mutex_;                                         // before mutex_; held over disk work, by admin threads only
  mutable Mutex mutex_;                                        // a leaf
  std::shared_ptr<const Settings> current_ LSMKV_GUARDED_BY(mutex_);
};

/// One thread's view of the settings. `config` outlives it.
class SettingsCache {
 public:
  explicit SettingsCache(const Config& config) : config_(config) {}
  /// Good until the next call.
  const Settings& Now() {
    const std::uint64_t generation = config_.generation();
    if (generation != seen_) {
      settings_ = config_.Current();
      seen_ = generation;
    }
    return *settings_;
  }

 private:
  const Config& config_;
  std::uint64_t seen_ = 0;
  std::shared_ptr<const Settings> settings_;
};

}  // namespace lsmkv
