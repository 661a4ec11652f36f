// Which clients CLIENT LIST and CLIENT KILL mean, and the error that a write gets when the log cannot take it.
#pragma once

#include <cstdint>
#include <string>

#include "commands/server_api.h"

namespace lsmkv {

/// Empty fields of `filter` match everything.
bool Matches(const ClientFilter& filter, const ClientState& client, std::uint64_t now_ms);

/// A whole RESP error, for replies to writes that did not reach the log.
std::string WriteRefused(const Status& why);

}  // namespace lsmkv
