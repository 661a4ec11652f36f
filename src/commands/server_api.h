// What commands ask of the server around them. Implemented in src/server/, so that commands never see a socket.
// Every method may be called from any thread unless it says otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "commands/client_state.h"
#include "commands/latency_buckets.h"
#include "lsmkv/status.h"

namespace lsmkv {

class Config;           // config/config.h
class Engine;           // lsmkv/engine.h
class LatencyMonitor;   // latency_monitor.h
class SlowLog;          // slow_log.h

namespace resp {
class Writer;
}

/// A reply that comes later. The session reads no further command until Complete() was called, from any thread,
/// exactly once; when every copy is dropped without it, the client gets an error.
class DeferredReply {
 public:
  virtual ~DeferredReply() = default;
  /// `write` runs on the session's loop, and not at all when the client has gone.
  virtual void Complete(std::function<void(resp::Writer&)> write) = 0;
};

/// One line of CLIENT LIST.
struct ClientInfo {
  ClientState state;
  std::uint64_t input_buffer_bytes = 0;
  std::uint64_t input_buffer_free_bytes = 0;
  std::uint64_t output_buffer_bytes = 0;
  std::uint64_t total_memory_bytes = 0;
  std::uint64_t queue_bytes = 0;           ///< of what MULTI has queued
  bool watched_key_changed = false;
  bool closing = false;
  std::size_t loop = 0;
};

/// Empty fields match everything. As CLIENT KILL's filters.
struct ClientFilter {
  std::optional<std::uint64_t> id;
  std::vector<std::uint64_t> ids;         ///< CLIENT LIST ID a b c; empty: all
  std::string address;
  std::string local_address;
  std::string user;
  std::string type;                       ///< normal, master, replica, pubsub
  std::optional<std::uint64_t> max_age_seconds;   ///< only clients older than this
  std::optional<std::uint64_t> skip_id;   ///< the caller, with SKIPME yes
};

enum class PauseMode : std::uint8_t { kWrite, kAll };

class ServerApi {
 public:
  virtual ~ServerApi() = default;

  virtual Config& config() = 0;
  virtual Engine& engine() = 0;
  /// Called after CONFIG SET changed `names` in config(); applies what takes effect at run time. On an error the
  /// caller puts the old values back.
  virtual Status ApplyConfig(std::span<const std::string> names) = 0;

  /// Must be called on the thread that runs the command, at most once a command; the handler then returns kDeferred.
  virtual std::shared_ptr<DeferredReply> Defer(ClientState& client) = 0;
  /// Runs `task` on an admin thread / after a delay on a loop.
  virtual void RunOnAdminPool(std::function<void()> task) = 0;
  virtual void RunAfter(std::chrono::microseconds delay, std::function<void()> task) = 0;

  /// These two gather from every loop and wait for them: only from an admin thread (RunsOn::kAdminPool).
  virtual std::vector<ClientInfo> Clients(const ClientFilter& filter) = 0;
  /// Closes matching clients (after what they still have to be sent, for the caller itself) and returns how many.
  virtual std::size_t KillClients(const ClientFilter& filter, std::uint64_t self_id) = 0;
  virtual ClientInfo Describe(const ClientState& client) = 0;          ///< the caller's own, on its own thread
  /// Whether so much more may be kept for clients (what they queue and watch) within what all of them together may hold.
  virtual bool ClientsMayHold(std::uint64_t more_bytes) = 0;
  virtual void PauseClients(std::uint64_t duration_ms, PauseMode mode) = 0;
  virtual void UnpauseClients() = 0;

  /// Starts an orderly end: stop accepting, answer what was read, commit, close, exit 0. Returns at once.
  virtual void RequestShutdown() = 0;
  /// DEBUG CHANGE-REPL-ID.
  virtual void ChangeReplicationId() = 0;
  /// INFO's text for these sections (lower case; empty: the default set; "all", "everything"). Admin thread only.
  virtual std::string Info(std::span<const std::string_view> sections) = 0;
  virtual void ResetStats() = 0;
  virtual SlowLog& slow_log() = 0;
  virtual LatencyMonitor& latency_monitor() = 0;
  /// How long commands took since ResetStats(), by CommandSpec::index.
  virtual std::vector<LatencyBuckets> CommandLatencies() = 0;
  /// A checkpoint by hard links in DIR/checkpoints; blocks. kBusy when one is running.
  virtual Status SaveCheckpoint() = 0;
  virtual bool checkpoint_running() const = 0;
  virtual std::uint64_t last_save_seconds() const = 0;
};

}  // namespace lsmkv
