// The registry as C++: constant arrays, children before parents, and the perfect hash over the top-level names.
#include <algorithm>
#include <bit>
#include <numeric>
#include <set>
#include <utility>

#include "commands/command_flags.h"
#include "commands/name_hash.h"
#include "proto/model.h"

namespace lsmkv::proto {
namespace {

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string Bool(bool value) { return value ? "true" : "false"; }

class RegistryEmitter {
 public:
  std::string Emit(const std::vector<Command>& commands) {
    out_ = "// Generated from proto/commands/*.json; changes belong there.\n#include <cstdint>\n\nnamespace lsmkv {\n\n";
    for (const std::string& handler : Handlers(commands)) out_ += "Outcome " + handler + "(CommandContext& context);\n";
    out_ += "\nnamespace generated {\n\n";
    next_index_ = static_cast<std::uint32_t>(commands.size());   // rows first, so that a row's index is its place
    std::vector<std::string> rows;
    for (std::uint32_t i = 0; i < commands.size(); ++i) {
      folded_.resize(std::max<std::size_t>(folded_.size(), i + 1));
      rows.push_back(Row(commands[i], i));
    }
    out_ += "inline constexpr CommandSpec kCommands[] = {\n";
    for (const std::string& row : rows) out_ += "    " + row + ",\n";
    out_ += "};\n\ninline constexpr std::uint32_t kIndexCount = " + std::to_string(next_index_) + ";\n";
    EmitFoldedNames();
    EmitHash(commands);
    return out_ + "\n}  // namespace generated\n}  // namespace lsmkv\n";
  }

 private:
  static std::set<std::string> Handlers(const std::vector<Command>& commands) {
    std::set<std::string> handlers;
    for (const Command& command : commands) {
      if (!command.handler.empty()) handlers.insert(command.handler);
      handlers.merge(Handlers(command.subcommands));
    }
    return handlers;
  }

  // Writes a constant array and returns what a span is made from.
  std::string ArrayOf(const char* type, const std::vector<std::string>& items) {
    if (items.empty()) return "{}";
    const std::string name = "kList" + std::to_string(next_list_++);
    out_ += "inline constexpr " + std::string(type) + " " + name + "[] = {";
    for (const std::string& item : items) out_ += item + ", ";
    out_ += "};\n";
    return name;
  }

  std::string Texts(const std::vector<std::string>& texts) {
    std::vector<std::string> items;
    for (const std::string& text : texts) items.push_back(Quoted(text));
    return ArrayOf("std::string_view", items);
  }

  std::string Arguments(const std::vector<Argument>& arguments) {
    std::vector<std::string> items;
    for (const Argument& argument : arguments) {
      const std::string nested = Arguments(argument.arguments);
      items.push_back("{" + Quoted(argument.name) + ", " + Quoted(argument.type) + ", " + Quoted(argument.token) + ", " +
                      Quoted(argument.since) + ", " + std::to_string(argument.key_spec) + ", " + Bool(argument.optional) + ", " +
                      Bool(argument.multiple) + ", " + Bool(argument.multiple_token) + ", " + nested + "}");
    }
    return ArrayOf("ArgumentDoc", items);
  }

  std::string Doc(const Command& command) {
    std::vector<std::string> specs;
    for (const KeySpecEntry& spec : command.key_specs) {
      specs.push_back("{" + std::to_string(spec.first) + ", " + std::to_string(spec.last) + ", " + std::to_string(spec.step) + ", " +
                      Texts(spec.flags) + ", " + Quoted(spec.notes) + "}");
    }
    std::vector<std::string> changes;
    for (const HistoryEntry& entry : command.history) changes.push_back("{" + Quoted(entry.since) + ", " + Quoted(entry.change) + "}");
    const std::string history = ArrayOf("HistoryDoc", changes);
    const std::string categories = Texts(command.acl_categories);
    const std::string tips = Texts(command.tips);
    const std::string keys = ArrayOf("KeySpec", specs);
    const std::string arguments = Arguments(command.arguments);
    const std::string name = "kDoc" + std::to_string(next_list_++);
    out_ += "inline constexpr CommandDoc " + name + " = {";
    for (const std::string& text :
         {command.summary, command.complexity, command.since, command.group, command.deprecated_since, command.replaced_by}) {
      out_ += Quoted(text) + ", ";
    }
    out_ += categories + ", " + tips + ", " + keys + ", " + history + ", " + arguments + "};\n";
    return "&" + name;
  }

  // First, last and step over all key specs, which is all that old clients understand.
  static std::string Keys(const Command& command) {
    if (command.key_specs.empty()) return "{0, 0, 0}";
    const KeySpecEntry& first = command.key_specs.front();
    int last = first.last;
    for (const KeySpecEntry& spec : command.key_specs) last = last < 0 || spec.last < 0 ? std::min(last, spec.last) : std::max(last, spec.last);
    return "{" + std::to_string(first.first) + ", " + std::to_string(last) + ", " + std::to_string(first.step) + "}";
  }

  static std::string Flags(const Command& command) {
    std::string flags;
    for (const FlagName& flag : kFlagNames) {
      if (std::ranges::find(command.flags, flag.name) == command.flags.end()) continue;
      flags += (flags.empty() ? "" : " | ") + std::string(flag.enumerator);
    }
    return flags.empty() ? "0" : flags;
  }

  std::string Row(const Command& command, std::uint32_t index) {
    const std::string own_name = command.name.substr(command.name.find('|') + 1);   // npos + 1 is 0: the whole name
    folded_.resize(std::max<std::size_t>(folded_.size(), index + 1));
    folded_[index] = FoldName(own_name);
    std::vector<std::string> subcommands;
    for (const Command& sub : command.subcommands) {
      const std::uint32_t sub_index = next_index_++;
      subcommands.push_back(Row(sub, sub_index));
    }
    const std::string doc = Doc(command);
    const std::string runs_on = command.runs_on == "reads"    ? "kReadPool"
                                : command.runs_on == "admin"  ? "kAdminPool"
                                : command.runs_on == "upkeep" ? "kUpkeepPool"
                                                              : "kLoop";
    return "{" + Quoted(command.name) + ", " + std::to_string(command.arity) + ", " + Flags(command) + ", " + Keys(command) +
           ", RunsOn::" + runs_on + ", " + (command.handler.empty() ? "nullptr" : "&" + command.handler) + ", " +
           ArrayOf("CommandSpec", subcommands) + ", " + std::to_string(index) + ", " + doc + "}";
  }

  void EmitFoldedNames() {
    out_ += "\ninline constexpr FoldedName kFoldedNames[] = {\n";
    for (const FoldedName& name : folded_) {
      out_ += "    {{";
      for (const std::uint64_t word : name.words) out_ += std::to_string(word) + "u, ";
      out_ += "}},\n";
    }
    out_ += "};\n";
  }

  void EmitNumbers(const char* type, const char* name, const std::vector<std::uint32_t>& numbers) {
    out_ += "inline constexpr " + std::string(type) + " " + name + "[] = {";
    for (const std::uint32_t number : numbers) out_ += std::to_string(number) + ", ";
    out_ += "};\n";
  }

  // Fullest buckets first, each given the first displacement that sends its names to free slots.
  void EmitHash(const std::vector<Command>& commands) {
    constexpr std::uint32_t kEmpty = 0xffff;
    const unsigned slot_bits = static_cast<unsigned>(std::bit_width(commands.size() * 2));
    const std::size_t bucket_count = std::bit_ceil(commands.size() / 2 + 1);
    std::vector<std::vector<std::uint32_t>> buckets(bucket_count);
    for (std::uint32_t i = 0; i < commands.size(); ++i) buckets[HashName(folded_[i]) % bucket_count].push_back(i);
    std::vector<std::size_t> order(bucket_count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, std::greater{}, [&](std::size_t bucket) { return std::pair(buckets[bucket].size(), bucket); });
    std::vector<std::uint32_t> displacements(bucket_count, 0);
    std::vector<std::uint32_t> slots(std::size_t{1} << slot_bits, kEmpty);
    for (const std::size_t bucket : order) {
      for (std::uint32_t& displacement = displacements[bucket]; !Place(buckets[bucket], displacement, slot_bits, slots);) ++displacement;
    }
    out_ += "\ninline constexpr unsigned kSlotBits = " + std::to_string(slot_bits) + ";\n";
    out_ += "inline constexpr std::uint16_t kEmptySlot = " + std::to_string(kEmpty) + ";\n";
    EmitNumbers("std::uint32_t", "kDisplacements", displacements);
    EmitNumbers("std::uint16_t", "kSlots", slots);
  }

  bool Place(const std::vector<std::uint32_t>& bucket, std::uint32_t displacement, unsigned slot_bits, std::vector<std::uint32_t>& slots) {
    constexpr std::uint32_t kEmpty = 0xffff;
    for (std::size_t i = 0; i < bucket.size(); ++i) {
      std::uint32_t& slot = slots[SlotOf(HashName(folded_[bucket[i]]), displacement, slot_bits)];
      if (slot == kEmpty) {
        slot = bucket[i];
        continue;
      }
      while (i-- > 0) slots[SlotOf(HashName(folded_[bucket[i]]), displacement, slot_bits)] = kEmpty;
      return false;
    }
    return true;
  }

  std::string out_;
  int next_list_ = 0;
  std::uint32_t next_index_ = 0;
  std::vector<FoldedName> folded_;   // by index
};

}  // namespace

std::string EmitRegistry(const std::vector<Command>& commands) { return RegistryEmitter().Emit(commands); }

}  // namespace lsmkv::proto
