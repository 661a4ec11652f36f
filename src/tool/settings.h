#pragma once

#include "config/settings.h"
#include "tool/command_line.h"

namespace lsmkv::tool {

/// What --config names, as a server would read it; without it the defaults. Errors: as a server's start would put them.
Result<Settings> ReadSettings(const Arguments& arguments);

inline constexpr Option kConfigOption{"config", "FILE", "the server's configuration, for limits and sizes (default: the defaults)"};

}  // namespace lsmkv::tool
