// The options of SET and GETEX: which there are, which exclude each other, and the deadline that some of them carry.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "commands/expire_time.h"

namespace lsmkv {

enum StringOption : std::uint32_t {
  kNx = 1u << 0,
  kXx = 1u << 1,
  kGet = 1u << 2,
  kKeepTtl = 1u << 3,
  kPersist = 1u << 4,
  kEx = 1u << 5,
  kPx = 1u << 6,
  kExAt = 1u << 7,
  kPxAt = 1u << 8,
};
inline constexpr std::uint32_t kAnyDeadline = kEx | kPx | kExAt | kPxAt;
inline constexpr std::uint32_t kSetOptions = kNx | kXx | kGet | kKeepTtl | kAnyDeadline;
inline constexpr std::uint32_t kGetExOptions = kPersist | kAnyDeadline;

struct StringOptions {
  std::uint32_t given = 0;          ///< StringOption
  std::string_view time;            ///< when kAnyDeadline: the number, as text

  bool Has(std::uint32_t options) const { return (given & options) != 0; }
};

/// Nothing: a syntax error. `known`: the options that the command has.
std::optional<StringOptions> ParseStringOptions(std::span<const std::string_view> words, std::uint32_t known);

/// The deadline the options ask for, 0 for none; nothing when it is invalid, and the error has been written.
std::optional<std::uint64_t> DeadlineOfOptionsOrReply(CommandContext& context, const StringOptions& options);

}  // namespace lsmkv
