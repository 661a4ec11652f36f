// One connection to commands, without a server around them: Run() looks a command up, checks its arity and returns the reply's
// bytes. FakeServer remembers what it was asked for and answers from plain fields.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "commands/command.h"
#include "commands/latency_monitor.h"
#include "commands/replies.h"
#include "commands/slow_log.h"
#include "config/config.h"
#include "keyspace/fake_engine.h"
#include "keyspace/keyspace.h"

namespace lsmkv {

class FakeServer final : public ServerApi {
 public:
  explicit FakeServer(Engine& engine) : engine_(engine) {}

  Config& config() override { return config_; }
  Engine& engine() override { return engine_; }
  Status ApplyConfig(std::span<const std::string> names) override {
    applied.assign(names.begin(), names.end());
    return apply_result;
  }
  std::shared_ptr<DeferredReply> Defer(ClientState&) override { return std::make_shared<FakeDeferred>(*this); }
  void RunOnAdminPool(std::function<void()> task) override { task(); }
  void RunAfter(std::chrono::microseconds delay, std::function<void()> task) override {
    delayed = delay;
    task();
  }
  std::vector<ClientInfo> Clients(const ClientFilter& filter) override {
    last_filter = filter;
    return clients;
  }
  std::size_t KillClients(const ClientFilter& filter, std::uint64_t) override {
    last_filter = filter;
    return kill_count;
  }
  ClientInfo Describe(const ClientState& client) override {
    ClientInfo info;
    info.state = client;
    return info;
  }
  bool ClientsMayHold(std::uint64_t more_bytes) override { return more_bytes <= clients_may_hold; }
  void PauseClients(std::uint64_t duration_ms, PauseMode mode) override {
    paused_for_ms = duration_ms;
    pause_mode = mode;
  }
  void UnpauseClients() override { paused_for_ms = 0; }
  void RequestShutdown() override { shutdown_requested = true; }
  void ChangeReplicationId() override { ++replication_ids; }
  std::string Info(std::span<const std::string_view> sections) override {
    std::string text = "#";
    for (const std::string_view section : sections) text.append(" ").append(section);
    return text;
  }
  void ResetStats() override { ++resets; }
  SlowLog& slow_log() override { return slow_log_; }
  LatencyMonitor& latency_monitor() override { return latency_monitor_; }
  std::vector<LatencyBuckets> CommandLatencies() override { return latencies; }
  Status SaveCheckpoint() override {
    ++saves;
    return save_result;
  }
  bool checkpoint_running() const override { return saving; }
  std::uint64_t last_save_seconds() const override { return 1234; }

  std::vector<std::string> applied;
  Status apply_result;
  std::chrono::microseconds delayed{-1};
  std::function<void(resp::Writer&)> completed;
  std::vector<ClientInfo> clients;
  ClientFilter last_filter;
  std::size_t kill_count = 0;
  std::uint64_t clients_may_hold = UINT64_MAX;
  std::uint64_t paused_for_ms = 0;
  PauseMode pause_mode = PauseMode::kAll;
  bool shutdown_requested = false;
  int replication_ids = 0;
  int resets = 0;
  int saves = 0;
  Status save_result;
  bool saving = false;
  std::vector<LatencyBuckets> latencies = std::vector<LatencyBuckets>(CommandIndexCount());

 private:
  class FakeDeferred final : public DeferredReply {
   public:
    explicit FakeDeferred(FakeServer& server) : server_(server) {}
    void Complete(std::function<void(resp::Writer&)> write) override { server_.completed = std::move(write); }

   private:
    FakeServer& server_;
  };

  Engine& engine_;
  Config config_;
  SlowLog slow_log_;
  LatencyMonitor latency_monitor_;
};

struct CommandBench {
  DatabaseMap map;
  FakeEngine engine{&map};
  std::unique_ptr<Keyspace> keyspace;
  FakeServer server{engine};
  ClientState client;
  Outcome outcome = Outcome::kDone;     ///< of the last command
  std::uint64_t now_ms = 1'000'000;

  CommandBench() {
    Result<std::unique_ptr<Keyspace>> opened = Keyspace::Open(engine, 16, map);
    REQUIRE(opened);
    keyspace = std::move(*opened);
    client.id = 7;
    client.address = "127.0.0.1:5000";
    client.local_address = "127.0.0.1:6379";
    client.fd = 8;
  }

  std::string Run(const std::vector<std::string>& words) {
    const std::vector<std::string_view> args(words.begin(), words.end());
    resp::OutputBuffer out;
    resp::Writer reply(out, client.protocol);
    bool unknown_subcommand = false;
    const CommandSpec* const spec = FindCommand(args, &unknown_subcommand);
    outcome = Outcome::kDone;
    if (spec == nullptr) {
      unknown_subcommand ? ReplyUnknownSubcommand(reply, args) : ReplyUnknownCommand(reply, args);
    } else if (!ArityFits(*spec, args.size())) {
      ReplyWrongArity(reply, *spec);
    } else {
      CommandContext context{args, *spec, reply, client, *keyspace, server, now_ms, true};
      outcome = spec->handler(context);
      if (outcome == Outcome::kDeferred && server.completed) std::exchange(server.completed, nullptr)(reply);
    }
    return std::string(out.view());
  }
};

}  // namespace lsmkv
