// What every loop and session needs of the server around it. All of it outlives them.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "commands/server_api.h"
#include "config/config.h"
#include "lsmkv/engine.h"
#include "server/pause_gate.h"

namespace lsmkv {

class ClientMemory;
class CommandWatch;
class Keyspace;

struct ServerContext {
  ServerApi& api;
  Keyspace& keyspace;
  Engine& engine;
  const Config& config;
  Clock& clock;
  PauseGate& pause;
  ThreadPool& read_pool;
  ThreadPool& admin_pool;
  ThreadPool& upkeep_pool;
  std::atomic<std::uint64_t>& clients;   ///< connections that are open; added to by the listener, taken from by loops
  ClientMemory& client_memory;
  CommandWatch& command_watch;
};

}  // namespace lsmkv
