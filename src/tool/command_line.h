// lsmkv-tool's command line: a table of commands, each with its operands and options, from which --help is made and against which
// the arguments are checked. A command's own code sees only what the table allows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lsmkv/status.h"

namespace lsmkv::tool {

/// What the process ends with.
enum class Exit : std::uint8_t {
  kFine = 0,
  kDamage = 1,      ///< check: damage was found; repair: the new directory is there, and something was lost
  kCannot = 2,      ///< the command line makes no sense, or the work could not be done
};

struct Option {
  std::string_view name;       ///< without the dashes
  std::string_view value;      ///< what it takes, for --help: "N", "FILE"; empty: nothing
  std::string_view text;
};

class Arguments {
 public:
  const std::string& operand(std::size_t index) const { return operands_[index]; }
  std::size_t operand_count() const { return operands_.size(); }
  bool Has(std::string_view option) const { return options_.contains(option); }
  /// Empty when it was not given.
  std::string Text(std::string_view option) const;
  /// `usual` when it was not given. Errors: kInvalidArgument names the option and what is allowed.
  Result<std::uint64_t> Number(std::string_view option, std::uint64_t usual, std::uint64_t least, std::uint64_t most) const;

 private:
  friend struct Command;
  std::vector<std::string> operands_;
  std::map<std::string, std::string, std::less<>> options_;
};

struct Command {
  std::string_view name;
  std::string_view operands;               ///< as --help shows them
  std::size_t least_operands = 0;
  std::size_t most_operands = 0;
  std::string_view summary;                ///< one line
  std::string_view text;                   ///< the rest of --help
  std::span<const Option> options;
  Exit (*run)(const Arguments& arguments);

  /// What stands behind the command's name. Errors: kInvalidArgument.
  Result<Arguments> Parse(std::span<const std::string> words) const;
  std::string Help() const;
};

/// Writes to standard error: "lsmkv-tool: what".
Exit Cannot(const Status& status);
/// Writes to standard output.
void Print(std::string_view text);

}  // namespace lsmkv::tool
