// Which calls a run makes to its file system, and where: what disturbances of later runs are aimed at.
#pragma once

#include "engine_client.h"

namespace lsmkv::simulation {

/// From now on `run.calls`, `run.sites` and `run.struck` are kept.
void NoteSites(Run& run);

}  // namespace lsmkv::simulation
