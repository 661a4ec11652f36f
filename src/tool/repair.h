#pragma once

#include <string>

#include "fs/file_system.h"
#include "lsmkv/options.h"
#include "tool/report.h"

namespace lsmkv::tool {

/// Makes `options.dir`, which must not exist, of what is whole in the data directory `dir`, which the caller has locked.
/// `options.file_system` is `fs`, or null for the operating system's. What is lost goes to `report`. Errors: what kept it from
/// making the new directory.
Status RepairDirectory(FileSystem& fs, const std::string& dir, const Options& options, bool copy, Report& report);

}  // namespace lsmkv::tool
