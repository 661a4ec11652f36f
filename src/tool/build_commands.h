// The input of `build` that is Redis commands; see build_input.h.
#pragma once

#include "tool/build_input.h"

namespace lsmkv::tool {

Status ReadCommands(const std::string& name, const ReadBytes& read, const InputOptions& options, const TakeEntry& take);

}  // namespace lsmkv::tool
