// What the files of the connection group share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "commands/command.h"

namespace lsmkv {

inline constexpr std::string_view kClientNames = "Client names";
/// Every CLIENT LIST copies them, for each client.
inline constexpr std::size_t kMostClientNameBytes = 4096;

/// Names, library names and versions appear in CLIENT LIST's lines: printable ASCII without spaces, at most kMostClientNameBytes.
/// `what`: "Client names", "lib-name". Returns the error's text, empty: it is one.
std::string WhyNoClientAttribute(std::string_view what, std::string_view text);

/// CLIENT KILL's filters, args[2] onwards (the form with options; at least two). Nothing when an error was replied.
std::optional<ClientFilter> ParseKillFilter(CommandContext& context);
/// CLIENT LIST's. Nothing when an error was replied.
std::optional<ClientFilter> ParseListFilter(CommandContext& context);

/// One line of CLIENT LIST and CLIENT INFO, without its newline, with Redis 7.2's fields.
std::string ClientLine(const ClientInfo& info, std::uint64_t now_ms);

}  // namespace lsmkv
