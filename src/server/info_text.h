// INFO's text, section by section, with Redis's field names so that monitoring tools find what they look for.
// Threads  one at a time each; blocks (gathers from loops, counts keys), so on an admin thread.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "server/stats.h"

namespace lsmkv {

class Server;
struct EngineStats;
struct MemoryUse;

class InfoText {
 public:
  explicit InfoText(Server& server) : server_(server) {}
  std::string Sections(std::span<const std::string_view> wanted);

 private:
  struct Section {
    std::string_view name;
    bool by_default;
    void (InfoText::*write)();
  };
  static const Section kSections[];

  template <typename Value>
  void Field(std::string_view name, const Value& value) {
    fmt::format_to(std::back_inserter(text_), "{}:{}\r\n", name, value);
  }
  /// And a second line, `name`_human, as Redis words it: 1.50M.
  void Bytes(std::string_view name, std::uint64_t bytes);

  void WriteServer();
  void WriteClients();
  void WriteMemory();
  void WriteMemoryParts(const MemoryUse& use, const EngineStats& engine);
  void WritePersistence();
  void WriteStats();
  void WriteReplication();
  void WriteModules();
  void WriteCluster();
  void WriteCpu();
  void WriteCommandStats();
  void WriteErrorStats();
  void WriteLatencyStats();
  void WriteKeyspace();
  void WriteLsm();
  StatsTotals SinceReset() const;

  Server& server_;
  std::string text_;
};

}  // namespace lsmkv
