// The subcommands of lsmkv-tool, each in a file of its own name; the table of them is in main.cpp.
#pragma once

#include "tool/command_line.h"

namespace lsmkv::tool {

Exit RunCheck(const Arguments& arguments);
Exit RunDump(const Arguments& arguments);
Exit RunStats(const Arguments& arguments);
Exit RunRepair(const Arguments& arguments);
Exit RunBuild(const Arguments& arguments);
Exit RunCompact(const Arguments& arguments);

}  // namespace lsmkv::tool
