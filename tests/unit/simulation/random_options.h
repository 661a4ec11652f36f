// Options of a run, at random, with limits so small that every path is taken in few steps.
#pragma once

#include <random>

#include "fs/fault_file_system.h"
#include "lsmkv/options.h"

namespace lsmkv::simulation {

/// @param fs, clock  outlive the engine that is opened with them.
Options RandomOptions(std::mt19937_64& random, FaultFileSystem* fs, Clock* clock);

}  // namespace lsmkv::simulation
