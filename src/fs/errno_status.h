#pragma once

#include <string>
#include <string_view>

#include "lsmkv/status.h"

namespace lsmkv {

/// "<path>: <operation>: <what the system calls `error`>", with the code file_system.h promises for it.
Status ErrnoStatus(const std::string& path, std::string_view operation, int error);

}  // namespace lsmkv
