// Which engines there are in this build.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bench/engine_adapter.h"
#include "bench/settings.h"

namespace lsmkv::bench {

/// Which build of an engine is being measured, because that may decide more than the engine.
struct EngineBuild {
  std::string version;
  std::string library;              ///< the file it was loaded from; empty: linked into this program
  std::optional<bool> assertions;   ///< whether assert() was compiled in; nullopt: cannot be told
};

struct EngineKind {
  const char* name;
  bool (*supports)(Compression);
  Result<std::unique_ptr<EngineAdapter>> (*open)(const EngineOptions&);
  EngineBuild (*build)();
  const char* differs;              ///< what it cannot be told to do as the others do; empty: nothing
};

/// All that were built in; lsmkv first.
std::span<const EngineKind> Engines();
const EngineKind* FindEngine(std::string_view name);
/// Those that `settings` names, in that order, or all that support its compression. kInvalidArgument: one that is not there,
/// or cannot.
Result<std::vector<const EngineKind*>> ChooseEngines(const Settings& settings);

/// The same for every engine, from the settings; see engine_adapter.h.
EngineOptions OptionsFor(const Settings& settings, std::string dir);

/// The file of a shared library in this process whose name begins with `prefix`; empty: none.
std::string LoadedLibrary(std::string_view prefix);
/// Whether `file`, a library, calls what a failed assert() calls. nullopt: cannot be read.
std::optional<bool> HasAssertions(const std::string& file);

// The adapters; those of peers that were not found are not defined.
extern const EngineKind kLsmkv;
extern const EngineKind kRocksDb;
extern const EngineKind kLevelDb;

}  // namespace lsmkv::bench
