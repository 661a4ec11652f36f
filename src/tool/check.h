#pragma once

#include <string>

#include "fs/file_system.h"
#include "tool/report.h"

namespace lsmkv::tool {

/// Looks at everything in the data directory `dir`, which the caller has locked; damage and figures go to `report`.
/// Errors: what kept it from looking.
Status CheckDirectory(FileSystem& fs, const std::string& dir, Report& report);

}  // namespace lsmkv::tool
