// The server put together: engine, keyspace, pools, loops, listener, signals; and what commands may ask of it.
//
// Life     Run() opens everything in an order in which each failure leaves nothing behind (ports before data, data before
//          clients), then lends its thread to the listener, the signals and the sampling of rates until the end.
// The end  SIGTERM, SIGINT, SHUTDOWN: the listener closes; every loop answers what it has read, commits, sends and closes
//          (Loop::Stop); pools and engine close; exit 0. A watchdog ends the process when `shutdown-timeout` is over before
//          that: every reply that was sent has been committed by then, so nothing acknowledged is lost. A second signal
//          does the same at once.
// Threads  Run(): the main thread. The ServerApi methods: see server_api.h.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/random_id.h"
#include "base/thread_pool.h"
#include "commands/server_api.h"
#include "config/config.h"
#include "config/memory_plan.h"
#include "keyspace/database_map.h"
#include "keyspace/keyspace.h"
#include "lsmkv/engine.h"
#include "server/checkpoints.h"
#include "server/client_memory.h"
#include "server/command_watch.h"
#include "server/context.h"
#include "server/listener.h"
#include "server/loop.h"
#include "server/pause_gate.h"
#include "server/stats.h"

namespace lsmkv {

class Server final : public ServerApi, private CommitListener {
 public:
  /// Makes a server and runs it, to its end. An error: it could not start, and why.
  static Status Serve(std::unique_ptr<Config> config);
  explicit Server(std::unique_ptr<Config> config);
  ~Server() override;

  /// Serves until it is told to end. Errors: why it could not start, in one line for the operator.
  Status Run();

  // ServerApi
  Config& config() override { return *config_; }
  Engine& engine() override { return *engine_; }
  Status ApplyConfig(std::span<const std::string> names) override;
  std::shared_ptr<DeferredReply> Defer(ClientState& client) override;
  void RunOnAdminPool(std::function<void()> task) override;
  void RunAfter(std::chrono::microseconds delay, std::function<void()> task) override;
  std::vector<ClientInfo> Clients(const ClientFilter& filter) override;
  std::size_t KillClients(const ClientFilter& filter, std::uint64_t self_id) override;
  ClientInfo Describe(const ClientState& client) override;
  bool ClientsMayHold(std::uint64_t more_bytes) override { return client_memory_.bytes() + more_bytes <= client_memory_.limit_bytes(); }
  void PauseClients(std::uint64_t duration_ms, PauseMode mode) override;
  void UnpauseClients() override;
  void RequestShutdown() override;
  void ChangeReplicationId() override LSMKV_EXCLUDES(replication_mutex_);
  std::string Info(std::span<const std::string_view> sections) override;
  void ResetStats() override;
  SlowLog& slow_log() override { return command_watch_.slow_log(); }
  LatencyMonitor& latency_monitor() override { return command_watch_.latency(); }
  std::vector<LatencyBuckets> CommandLatencies() override;
  Status SaveCheckpoint() override;
  bool checkpoint_running() const override { return checkpoints_->running(); }
  std::uint64_t last_save_seconds() const override { return checkpoints_->last_save_seconds(); }

 private:
  friend class InfoText;   // info_text.cpp: reads everything, changes nothing

  Status Open();
  // CommitListener, for the latency monitor
  void OnDurable(SequenceNumber /*durable*/, const Status& /*status*/) override {}
  void OnSynced(std::chrono::microseconds took) override;
  /// Divides the memory anew and hands the parts out. On an error nothing has changed.
  Status ApplyMemoryPlan();
  MemoryPlan CurrentPlan() const LSMKV_EXCLUDES(plan_mutex_);
  void WaitForSignal();
  void OnSignal(int signal);
  void BeginShutdown(const std::string& why);
  void CloseEverything();
  void SampleRates();
  StatsTotals Totals() const;
  StatsTotals TotalsSinceReset() const LSMKV_EXCLUDES(baseline_mutex_);
  struct Rates {
    std::uint64_t commands, input_bytes, output_bytes;   // a second
  };
  Rates CurrentRates() const LSMKV_EXCLUDES(rates_mutex_);
  std::string ReplicationId() const LSMKV_EXCLUDES(replication_mutex_);
  void ForEachLoop(const std::function<void(Loop&)>& visit);

  const std::unique_ptr<Config> config_;
  const std::uint64_t started_ms_;
  const std::string run_id_ = RandomHexId();
  CycleClock cycle_clock_;
  CommandWatch command_watch_{cycle_clock_};
  PauseGate pause_;
  std::atomic<std::uint64_t> clients_{0};
  std::atomic<std::uint64_t> peak_clients_{0};
  ClientMemory client_memory_;
  std::uint64_t startup_used_bytes_ = 0;            // constant once open
  std::atomic<std::uint64_t> peak_used_bytes_{0};   // as sampled
  DatabaseMap database_map_;                // before the engine: it is the engine's compaction filter
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Keyspace> keyspace_;
  std::unique_ptr<Checkpoints> checkpoints_;
  std::unique_ptr<ThreadPool> read_pool_;
  std::unique_ptr<ThreadPool> admin_pool_;
  std::unique_ptr<ThreadPool> upkeep_pool_;
  std::unique_ptr<ServerContext> context_;
  std::vector<std::unique_ptr<Loop>> loops_;

  // The main thread's.
  boost::asio::io_context io_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer sample_timer_;
  std::unique_ptr<Listener> listener_;
  std::uint64_t samples_ = 0;
  bool shutting_down_ = false;
  std::size_t loops_running_ = 0;

  // Rates: written by the main thread, read by INFO.
  static constexpr std::size_t kSamples = 16;
  struct Rate {
    std::uint64_t last = 0;
    std::array<std::uint64_t, kSamples> per_second{};
    std::uint64_t Mean() const;
  };
  std::size_t next_sample_ = 0;
  mutable Mutex rates_mutex_;                       // a leaf
  Rate command_rate_ LSMKV_GUARDED_BY(rates_mutex_);
  Rate input_rate_ LSMKV_GUARDED_BY(rates_mutex_);
  Rate output_rate_ LSMKV_GUARDED_BY(rates_mutex_);

  const MachineMemory machine_ = ReadMachineMemory();
  mutable Mutex plan_mutex_;                // a leaf
  MemoryPlan plan_ LSMKV_GUARDED_BY(plan_mutex_);

  mutable Mutex baseline_mutex_;            // a leaf
  StatsTotals baseline_ LSMKV_GUARDED_BY(baseline_mutex_);
  std::uint64_t accepted_baseline_ LSMKV_GUARDED_BY(baseline_mutex_) = 0;
  std::uint64_t refused_baseline_ LSMKV_GUARDED_BY(baseline_mutex_) = 0;
  LookupCounters::Totals lookups_baseline_ LSMKV_GUARDED_BY(baseline_mutex_);
  std::uint64_t expired_baseline_ LSMKV_GUARDED_BY(baseline_mutex_) = 0;

  mutable Mutex replication_mutex_;         // a leaf
  std::string replication_id_ LSMKV_GUARDED_BY(replication_mutex_) = RandomHexId();
};

}  // namespace lsmkv
