// What only COMMAND INFO, COMMAND DOCS and COMMAND GETKEYS need of a command. Generated beside its CommandSpec.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lsmkv {

struct ArgumentDoc {
  std::string_view name;
  std::string_view type;           ///< as COMMAND DOCS: key, string, integer, pure-token, oneof, block, ...
  std::string_view token;          ///< empty: none
  std::string_view since;          ///< empty: as the command
  std::int16_t key_spec = -1;      ///< type key: which of the command's key specs
  bool optional = false;
  bool multiple = false;
  bool multiple_token = false;
  std::span<const ArgumentDoc> arguments;
};

/// Where keys are: args[first], args[first + step], ... up to args[last] (negative: counted from the end).
struct KeySpec {
  std::int16_t first;
  std::int16_t last;
  std::int16_t step;
  std::span<const std::string_view> flags;   ///< RO, RW, OW, RM and access, update, insert, delete, ...
  std::string_view notes;                    ///< empty: none
};

/// What a version of Redis changed about a command.
struct HistoryDoc {
  std::string_view since;
  std::string_view change;
};

struct CommandDoc {
  std::string_view summary;
  std::string_view complexity;
  std::string_view since;
  std::string_view group;
  std::string_view deprecated_since;         ///< empty: not deprecated
  std::string_view replaced_by;
  std::span<const std::string_view> acl_categories;   ///< without the @, in Redis's order
  std::span<const std::string_view> tips;
  std::span<const KeySpec> key_specs;
  std::span<const HistoryDoc> history;
  std::span<const ArgumentDoc> arguments;
};

}  // namespace lsmkv
