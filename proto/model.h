// A command as its JSON file describes it, checked. proto/README.md says what each field means.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lsmkv::proto {

struct Argument {
  std::string name;
  std::string type;
  std::string token;
  std::string since;
  int key_spec = -1;
  bool optional = false;
  bool multiple = false;
  bool multiple_token = false;
  std::vector<Argument> arguments;
};

struct KeySpecEntry {
  int first = 0;
  int last = 0;
  int step = 0;
  std::vector<std::string> flags;
  std::string notes;
};

struct HistoryEntry {
  std::string since;
  std::string change;
};

struct Command {
  std::string name;                 // full: "client|list"
  std::string group;
  std::string summary;
  std::string complexity;
  std::string since;
  std::string deprecated_since;
  std::string replaced_by;
  int arity = 0;
  std::vector<std::string> flags;
  std::vector<std::string> acl_categories;   // the implied ones too, in Redis's order
  std::vector<std::string> tips;
  std::vector<KeySpecEntry> key_specs;
  std::vector<HistoryEntry> history;
  std::string runs_on;              // "loop", "reads", "admin", "upkeep"
  std::string handler;              // empty for a pure container
  std::vector<Argument> arguments;
  std::vector<Command> subcommands; // sorted by name
};

struct Catalogue {
  std::vector<Command> commands;    // sorted by name
  std::vector<std::string> errors;  // "file: command: what is wrong"
};

/// Reads and checks all files; every error is in `errors`, and the catalogue is usable only when there is none.
Catalogue ReadCatalogue(const std::vector<std::filesystem::path>& files);

/// The registry's rows as C++ (src/commands/registry.cpp includes it).
std::string EmitRegistry(const std::vector<Command>& commands);

/// The README's command table: markdown, a section for each group.
std::string EmitTable(const std::vector<Command>& commands);

}  // namespace lsmkv::proto
