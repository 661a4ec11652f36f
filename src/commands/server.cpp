// The server as a whole: CONFIG INFO TIME LOLWUT SHUTDOWN SAVE BGSAVE LASTSAVE. What takes long runs on an admin thread
// (proto/commands/server.json says which), so these handlers call and answer.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "base/glob.h"
#include "base/log.h"
#include "base/numbers.h"
#include "commands/replies.h"
#include "commands/version.h"
#include "config/config.h"

namespace lsmkv {
namespace {

constexpr std::string_view kConfigHelp[] = {
    "GET <pattern>",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "SET <directive> <value>",
    "    Set the configuration <directive> to <value>.",
    "RESETSTAT",
    "    Reset statistics reported by the INFO command.",
    "REWRITE",
    "    Rewrite the configuration file.",
};
constexpr std::string_view kSaveInProgress = "ERR Background save already in progress";

/// What the words of a CONFIG GET ask for, each directive once. A name without a pattern comes back as it was written.
std::vector<Config::Entry> WantedEntries(const std::vector<Config::Entry>& all, std::span<const std::string_view> words) {
  std::vector<Config::Entry> wanted;
  const auto take = [&](const Config::Entry& entry, std::string_view shown) {
    const bool there = std::ranges::any_of(wanted, [&](const Config::Entry& e) { return EqualsIgnoringCase(e.name, shown); });
    if (!there) wanted.push_back({shown, entry.value});
  };
  for (const std::string_view word : words) {
    const bool pattern = word.find_first_of("*?[") != std::string_view::npos;
    for (const Config::Entry& entry : all) {
      if (pattern && GlobMatch(word, entry.name, true)) take(entry, entry.name);
      if (!pattern && EqualsIgnoringCase(word, entry.name)) take(entry, word);
    }
  }
  return wanted;
}

}  // namespace

Outcome HandleConfigGet(CommandContext& context) {
  if (context.args.size() - 2 > kMostNamesInOne) return Fail(context, TooManyNames("patterns"));
  const std::vector<Config::Entry> entries = WantedEntries(context.server.config().Entries(), context.args.subspan(2));
  context.reply.Map(entries.size());
  for (const Config::Entry& entry : entries) {
    context.reply.Bulk(entry.name);
    context.reply.Bulk(entry.value);
  }
  return Outcome::kDone;
}

Outcome HandleConfigSet(CommandContext& context) {
  if (context.args.size() % 2 != 0) return Fail(context, kSyntaxError);
  std::vector<Config::Assignment> assignments;
  for (std::size_t i = 2; i + 1 < context.args.size(); i += 2) assignments.emplace_back(context.args[i], context.args[i + 1]);
  Config& config = context.server.config();
  MutexLock one_at_a_time(config.change_mutex());          // or the value in force is not the one that CONFIG GET shows
  const Result<Config::Change> change = config.Set(assignments);
  if (!change) return Fail(context, change.error());
  if (const Status applied = context.server.ApplyConfig(change->names); !applied.ok()) {
    config.Revert(*change);
    IgnoreError(context.server.ApplyConfig(change->names), "the values that were in force a moment ago");
    return Fail(context, fmt::format("ERR CONFIG SET failed - {}", applied.message()));
  }
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleConfigRewrite(CommandContext& context) {
  Config& config = context.server.config();
  MutexLock one_at_a_time(config.change_mutex());          // or a file with older values replaces one with newer
  const Status status = config.Rewrite();
  if (!status.ok()) return Fail(context, fmt::format("ERR {}", status.message()));
  LogInfo("config", "CONFIG REWRITE executed with success");
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleConfigResetstat(CommandContext& context) {
  context.server.ResetStats();
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleConfigHelp(CommandContext& context) {
  ReplyHelp(context.reply, context.args[0], kConfigHelp);
  return Outcome::kDone;
}

Outcome HandleInfo(CommandContext& context) {
  std::vector<std::string> names;
  for (const std::string_view section : context.args.subspan(1)) names.push_back(LowerCase(section));
  const std::vector<std::string_view> sections(names.begin(), names.end());
  context.reply.Verbatim("txt", context.server.Info(sections));
  return Outcome::kDone;
}

Outcome HandleTime(CommandContext& context) {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  context.reply.Array(2);
  context.reply.Bulk(std::to_string(now / 1'000'000));
  context.reply.Bulk(std::to_string(now % 1'000'000));
  return Outcome::kDone;
}

// A picture of the tree: each level twice as wide as the one above.
Outcome HandleLolwut(CommandContext& context) {
  const auto args = context.args;
  if (args.size() > 2 && EqualsIgnoringCase(args[1], "version") && !ParseInt64(args[2])) return Fail(context, kNotAnInteger);
  constexpr int kLevels = 5;
  constexpr int kWidest = 32;
  std::string picture;
  for (int level = 0; level < kLevels; ++level) {
    const int width = 2 << level;
    picture += fmt::format("L{} {}", level, std::string(static_cast<std::size_t>(kWidest - width), ' '));
    for (int i = 0; i < width; ++i) picture += "▆ ";
    picture += '\n';
  }
  context.reply.Verbatim("txt", fmt::format("{}\nlsmkv ver. {}, as Redis ver. {}\n", picture, kServerVersion, kRedisVersion));
  return Outcome::kDone;
}

// What was acknowledged is on its way to the disk already, so SAVE and NOSAVE end alike: with a commit.
Outcome HandleShutdown(CommandContext& context) {
  bool abort = false;
  bool save = false;
  bool nosave = false;
  for (const std::string_view option : context.args.subspan(1)) {
    save |= EqualsIgnoringCase(option, "save");
    nosave |= EqualsIgnoringCase(option, "nosave");
    abort |= EqualsIgnoringCase(option, "abort");
    const bool known = EqualsIgnoringCase(option, "save") || EqualsIgnoringCase(option, "nosave") ||
                       EqualsIgnoringCase(option, "now") || EqualsIgnoringCase(option, "force") || EqualsIgnoringCase(option, "abort");
    if (!known) return Fail(context, kSyntaxError);
  }
  if ((abort && context.args.size() > 2) || (save && nosave)) return Fail(context, kSyntaxError);
  if (abort) return Fail(context, "ERR No shutdown in progress.");
  context.server.RequestShutdown();
  return Outcome::kNoReply;
}

Outcome HandleSave(CommandContext& context) {
  if (context.server.checkpoint_running()) return Fail(context, kSaveInProgress);
  const Status status = context.server.SaveCheckpoint();
  if (status.code() == StatusCode::kBusy) return Fail(context, kSaveInProgress);
  if (!status.ok()) return Fail(context, status);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleBgsave(CommandContext& context) {
  if (context.args.size() > 2 || (context.args.size() == 2 && !EqualsIgnoringCase(context.args[1], "schedule"))) {
    return Fail(context, kSyntaxError);
  }
  if (context.server.checkpoint_running()) return Fail(context, kSaveInProgress);
  ServerApi& server = context.server;
  server.RunOnAdminPool([&server] {
    const Status status = server.SaveCheckpoint();
    if (!status.ok()) LogError("checkpoint", "background save failed: {}", status.message());
  });
  context.reply.SimpleString("Background saving started");
  return Outcome::kDone;
}

Outcome HandleLastsave(CommandContext& context) {
  context.reply.Integer(static_cast<std::int64_t>(context.server.last_save_seconds()));
  return Outcome::kDone;
}

}  // namespace lsmkv
