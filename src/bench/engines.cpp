#include "bench/engines.h"

#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace lsmkv::bench {

std::span<const EngineKind> Engines() {
  static const EngineKind engines[] = {
      kLsmkv,
#ifdef LSMKV_BENCH_ROCKSDB
      kRocksDb,
#endif
#ifdef LSMKV_BENCH_LEVELDB
      kLevelDb,
#endif
  };
  return engines;
}

const EngineKind* FindEngine(std::string_view name) {
  for (const EngineKind& engine : Engines())
    if (name == engine.name) return &engine;
  return nullptr;
}

Result<std::vector<const EngineKind*>> ChooseEngines(const Settings& settings) {
  std::vector<const EngineKind*> chosen;
  if (settings.engines.empty()) {
    for (const EngineKind& engine : Engines())
      if (engine.supports(settings.compression)) chosen.push_back(&engine);
    return chosen;
  }
  std::string known;
  for (const EngineKind& engine : Engines()) known += fmt::format("{}{}", known.empty() ? "" : ", ", engine.name);
  for (const std::string& name : settings.engines) {
    const EngineKind* engine = FindEngine(name);
    if (engine == nullptr)
      return Status::InvalidArgument(fmt::format("there is no engine '{}' in this build; there are: {}. RocksDB and LevelDB are built in "
                                                 "where librocksdb-dev and libleveldb-dev are installed", name, known));
    if (!engine->supports(settings.compression))
      return Status::InvalidArgument(fmt::format("{} has no {} compression; all have none", name, NameOf(settings.compression)));
    if (std::ranges::find(chosen, engine) != chosen.end())
      return Status::InvalidArgument(fmt::format("--engines names {} twice", name));
    chosen.push_back(engine);
  }
  return chosen;
}

EngineOptions OptionsFor(const Settings& settings, std::string dir) {
  EngineOptions options;
  options.dir = std::move(dir);
  // An eighth is left for the buffers of merges, what tables hold open, and malloc: it is the memory in all that is kept.
  options.cache_bytes = (settings.memory_mb << 20) / 8 * 3;
  options.memtables_bytes = (settings.memory_mb << 20) / 2;
  options.memtables = settings.memtables;
  options.memtable_bytes = options.memtables_bytes / settings.memtables;
  options.level_ratio = settings.level_ratio;
  options.l0_tables = settings.l0_tables;
  options.l0_slowdown_tables = 5 * settings.l0_tables;
  options.l0_stop_tables = 9 * settings.l0_tables;
  constexpr std::uint64_t kMemtablesInBase = 4;
  options.base_bytes = settings.base_mb != 0 ? settings.base_mb << 20 : kMemtablesInBase * options.memtable_bytes;
  options.table_bytes = settings.table_mb << 20;
  options.workers = settings.workers;
  options.bloom_bits = settings.bloom_bits;
  options.compression = settings.compression;
  options.wal_sync = settings.wal_sync;
  return options;
}

std::string LoadedLibrary(std::string_view prefix) {
  struct Search { std::string_view prefix; std::string found; } search{prefix, {}};
  dl_iterate_phdr([](dl_phdr_info* object, std::size_t, void* data) {
    Search& wanted = *static_cast<Search*>(data);
    const std::string_view path = object->dlpi_name;
    const std::string_view name = path.substr(path.rfind('/') + 1);
    if (!name.starts_with(wanted.prefix)) return 0;
    wanted.found = path;
    return 1;
  }, &search);
  return search.found;
}

std::optional<bool> HasAssertions(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return std::nullopt;
  const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  return bytes.find("__assert_fail") != std::string::npos;
}

}  // namespace lsmkv::bench
