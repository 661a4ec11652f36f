// The registry: rows generated from proto/commands/*.json, and the way from a command's name to its row.
//
// Top-level names are found by a perfect hash that the generator laid out: one multiplication chain, two small array reads and
// one comparison of three words. Subcommands are few, so their names are compared one after another.
// Threads: everything here is constant.
#include "commands/command.h"
#include "commands/command_doc.h"
#include "commands/name_hash.h"
#include "commands/registry_table.inc"

namespace lsmkv {
namespace {

// Folded names of all rows lie in one array, by CommandSpec::index.
const CommandSpec* FindSubcommand(const CommandSpec& container, std::string_view name) {
  if (name.empty() || name.size() > kLongestCommandName) return nullptr;
  const FoldedName folded = FoldName(name);
  for (const CommandSpec& spec : container.subcommands) {
    if (spec.name.size() == container.name.size() + 1 + name.size() && generated::kFoldedNames[spec.index] == folded) return &spec;
  }
  return nullptr;
}

}  // namespace

const CommandSpec* FindCommand(std::span<const std::string_view> args, bool* unknown_subcommand) {
  *unknown_subcommand = false;
  if (args.empty() || args[0].empty() || args[0].size() > kLongestCommandName) return nullptr;
  const FoldedName folded = FoldName(args[0]);
  const std::uint64_t hash = HashName(folded);
  const std::uint64_t displacement = generated::kDisplacements[hash % std::size(generated::kDisplacements)];
  const std::uint16_t row = generated::kSlots[SlotOf(hash, displacement, generated::kSlotBits)];
  if (row == generated::kEmptySlot) return nullptr;
  const CommandSpec& spec = generated::kCommands[row];
  if (spec.name.size() != args[0].size() || generated::kFoldedNames[spec.index] != folded) return nullptr;
  if (spec.subcommands.empty() || args.size() < 2) return &spec;
  const CommandSpec* const subcommand = FindSubcommand(spec, args[1]);
  *unknown_subcommand = subcommand == nullptr;
  return subcommand;
}

std::span<const CommandSpec> AllCommands() { return generated::kCommands; }

std::uint32_t CommandIndexCount() { return generated::kIndexCount; }

}  // namespace lsmkv
