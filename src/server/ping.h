#pragma once

#include "config/settings.h"
#include "lsmkv/status.h"

namespace lsmkv {

/// Connects to the server these settings describe (its unix socket, else its port), authenticates when there is a
/// password, sends PING and waits a few seconds for PONG. The health check of a container. Blocks.
Status PingServer(const Settings& settings);

}  // namespace lsmkv
