// lsmkv-tool compact: a full compaction without a server, by the same engine.
#include <fmt/core.h>

#include "keyspace/keyspace.h"
#include "tool/commands.h"
#include "tool/data_directory.h"
#include "tool/settings.h"
#include "tool/text.h"

namespace lsmkv::tool {
namespace {

/// Tables and the values beside them, dead ones included.
std::uint64_t BytesOf(const EngineStats& stats) {
  std::uint64_t bytes = stats.blob_bytes;
  for (const LevelInfo& level : stats.levels) bytes += level.size_bytes;
  return bytes;
}

}  // namespace

Exit RunCompact(const Arguments& arguments) {
  const Result<Settings> settings = ReadSettings(arguments);
  if (!settings) return Cannot(settings.error());
  const Result<std::uint64_t> to = arguments.Number("to", 0, 1, UINT32_MAX);
  if (!to) return Cannot(to.error());
  Options options = EngineOptions(*settings);
  options.dir = CleanPath(arguments.operand(0));
  // Looked at first, so that a mistyped name does not become a new data directory; then the engine locks it itself.
  if (auto lock = LockDataDirectory(FileSystem::Posix(), options.dir); !lock) return Cannot(lock.error());
  DatabaseMap databases;
  options.compaction_filter = &databases;
  Result<std::unique_ptr<Engine>> engine = Engine::Open(options);
  if (!engine) return Cannot(engine.error());
  const Result<std::unique_ptr<Keyspace>> keyspace = Keyspace::Open(**engine, 1, databases);   // the table of databases never shrinks
  if (!keyspace) return Cannot(keyspace.error());
  const std::uint64_t before = BytesOf((*engine)->Stats());
  const std::optional<std::uint32_t> target = arguments.Has("to") ? std::optional(static_cast<std::uint32_t>(*to)) : std::nullopt;
  if (Status status = (*engine)->Compact({}, target); !status.ok()) return Cannot(status);
  Print(fmt::format("{} before, {} after\n", BytesText(before), BytesText(BytesOf((*engine)->Stats()))));
  return Exit::kFine;
}

}  // namespace lsmkv::tool
