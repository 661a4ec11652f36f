// LSM: a look into the tree, and upkeep on demand. All of it runs on admin threads: compactions take long, and even the figures
// are gathered under the engine's locks. Replies are maps in RESP3 and flat arrays in RESP2.
#include <fmt/core.h>

#include <limits>
#include <optional>

#include "base/numbers.h"
#include "commands/lsm_fields.h"
#include "commands/replies.h"
#include "keyspace/keyspace.h"
#include "lsmkv/engine.h"

namespace lsmkv {
namespace {

constexpr std::string_view kLsmHelp[] = {
    "COMPACT [LEVEL <n> | TO <n>]",
    "    Merge level <n> into the next one, or everything into level <n>; by default",
    "    everything into the deepest level. Answers when it is done.",
    "FLUSH",
    "    Write the memtables to SSTables. Answers when it is done.",
    "HISTORY [<count>]",
    "    Return the last <count> flushes, compactions, moves and drops (10 by default),",
    "    one JSON text each, the latest last.",
    "INGEST <directory>",
    "    Take in what `lsmkv-tool build` made there, all of it at one moment.",
    "    Answers when it is done and durable.",
    "LEVELS",
    "    Describe each level: tables, entries, bytes, limits, score.",
    "MANIFEST <level>",
    "    Return the manifest of a level as it stands on disk.",
    "RELOAD",
    "    Read the manifests again after an offline change, check them and every new",
    "    table, and show the new tree at once; with an error the present one stays.",
    "SCRUB",
    "    Read every manifest, table, blob file and the log from the disk and check every",
    "    byte; where the log is damaged, flush what it holds, which is in memory still.",
    "    Answers with what was read and what is damaged, by file and offset.",
    "STATS",
    "    Return the figures of the tree.",
};

void ReplyFieldsOnly(resp::Writer& reply, const LsmFields& fields) {
  for (const auto& [name, value] : fields) {
    reply.Bulk(name);
    if (const auto* number = std::get_if<std::uint64_t>(&value)) {
      reply.Integer(static_cast<std::int64_t>(*number));
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      reply.Bool(*flag);
    } else {
      reply.Double(std::get<double>(value));
    }
  }
}

void ReplyFields(resp::Writer& reply, const LsmFields& fields) {
  reply.Map(fields.size());
  ReplyFieldsOnly(reply, fields);
}

std::optional<std::uint32_t> ParseLevel(std::string_view text) {
  const std::optional<std::uint64_t> level = ParseUint64(text);
  if (!level || *level >= std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*level);
}

}  // namespace

Outcome HandleLsmLevels(CommandContext& context) {
  const EngineStats stats = context.server.engine().Stats();
  context.reply.Array(stats.levels.size());
  for (const LevelInfo& level : stats.levels) ReplyFields(context.reply, LevelFields(level));
  return Outcome::kDone;
}

Outcome HandleLsmStats(CommandContext& context) {
  ReplyFields(context.reply, StatsFields(context.server.engine().Stats()));
  return Outcome::kDone;
}

Outcome HandleLsmCompact(CommandContext& context) {
  const auto args = context.args;
  std::optional<std::uint32_t> from;
  std::optional<std::uint32_t> target;
  if (args.size() != 2) {
    const bool one_level = args.size() == 4 && EqualsIgnoringCase(args[2], "level");
    if (args.size() != 4 || (!one_level && !EqualsIgnoringCase(args[2], "to"))) return Fail(context, kSyntaxError);
    const std::optional<std::uint32_t> level = ParseLevel(args[3]);
    if (!level) return Fail(context, kNotAnInteger);
    if (one_level) from = *level;
    target = one_level ? *level + 1 : *level;
  }
  const Status status = context.server.engine().Compact(from, target);
  if (!status.ok()) return Fail(context, status);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleLsmFlush(CommandContext& context) {
  const Status status = context.server.engine().Flush();
  if (!status.ok()) return Fail(context, status);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome HandleLsmHistory(CommandContext& context) {
  constexpr std::uint64_t kUsualCount = 10;
  std::optional<std::uint64_t> count = kUsualCount;
  if (context.args.size() > 3) return Fail(context, kSyntaxError);
  if (context.args.size() == 3) count = ParseUint64(context.args[2]);
  if (!count) return Fail(context, kNotAnInteger);
  const std::vector<std::string> events = context.server.engine().History(*count);
  context.reply.Array(events.size());
  for (const std::string& event : events) context.reply.Bulk(event);
  return Outcome::kDone;
}

Outcome HandleLsmIngest(CommandContext& context) {
  const std::string bundle(context.args[2]);
  if (!bundle.starts_with('/')) return Fail(context, "ERR the directory's absolute path is needed");
  const Result<IngestReport> report = context.keyspace.Ingest(bundle);
  if (!report) return Fail(context, report.error());
  ReplyFields(context.reply, {{"entries", report->entries},
                              {"bytes", report->bytes},
                              {"level", std::uint64_t{report->level}},
                              {"merged_bytes", report->merged_bytes},
                              {"sequence", report->sequence}});
  return Outcome::kDone;
}

Outcome HandleLsmManifest(CommandContext& context) {
  const std::optional<std::uint32_t> level = ParseLevel(context.args[2]);
  if (!level) return Fail(context, kNotAnInteger);
  const Result<std::string> text = context.server.engine().ManifestText(*level);
  if (!text && text.error().code() == StatusCode::kNotFound) return Fail(context, fmt::format("ERR level {} has no manifest", *level));
  if (!text) return Fail(context, text.error());
  context.reply.Verbatim("txt", *text);
  return Outcome::kDone;
}

Outcome HandleLsmReload(CommandContext& context) {
  const Result<std::string> changes = context.keyspace.Reload();
  if (!changes) return Fail(context, changes.error());
  context.reply.Bulk(*changes);
  return Outcome::kDone;
}

Outcome HandleLsmScrub(CommandContext& context) {
  const Result<ScrubReport> report = context.server.engine().Scrub();
  if (!report) return Fail(context, report.error());
  const LsmFields fields = {{"manifests", report->manifests},
                            {"log_segments", report->log_segments},
                            {"log_batches", report->log_records},
                            {"aside_files", report->aside_files},
                            {"sstables", report->tables},
                            {"blob_files", report->blob_files},
                            {"entries", report->entries},
                            {"bytes", report->bytes},
                            {"gone", report->gone},
                            {"seconds", static_cast<double>(report->duration.count()) / 1e6},
                            {"damage", report->damage}};
  context.reply.Map(fields.size() + 1);
  ReplyFieldsOnly(context.reply, fields);
  context.reply.Bulk("damaged");
  context.reply.Array(report->messages.size());
  for (const std::string& message : report->messages) context.reply.Bulk(message);
  return Outcome::kDone;
}

Outcome HandleLsmHelp(CommandContext& context) {
  ReplyHelp(context.reply, context.args[0], kLsmHelp);
  return Outcome::kDone;
}

}  // namespace lsmkv
