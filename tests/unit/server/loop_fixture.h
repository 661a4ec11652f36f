// A real loop with real sessions over socket pairs; only the engine below is told when to commit, sync and stall.
#pragma once

#include <catch2/catch.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "held_engine.h"
#include "keyspace/database_map.h"
#include "keyspace/keyspace.h"
#include "server/client_memory.h"
#include "server/command_watch.h"
#include "server/loop.h"

namespace lsmkv {

using namespace std::chrono_literals;

/// What the commands of these tests never ask for.
class NoServer final : public ServerApi {
 public:
  NoServer(Config& config, Engine& engine, CommandWatch& watch) : config_(config), engine_(engine), watch_(watch) {}
  Config& config() override { return config_; }
  Engine& engine() override { return engine_; }
  Status ApplyConfig(std::span<const std::string>) override { return Status::Ok(); }
  std::shared_ptr<DeferredReply> Defer(ClientState&) override { return nullptr; }
  void RunOnAdminPool(std::function<void()>) override {}
  void RunAfter(std::chrono::microseconds, std::function<void()>) override {}
  std::vector<ClientInfo> Clients(const ClientFilter&) override { return {}; }
  std::size_t KillClients(const ClientFilter&, std::uint64_t) override { return 0; }
  ClientInfo Describe(const ClientState&) override { return {}; }
  bool ClientsMayHold(std::uint64_t) override { return true; }
  void PauseClients(std::uint64_t, PauseMode) override {}
  void UnpauseClients() override {}
  void RequestShutdown() override {}
  void ChangeReplicationId() override {}
  std::string Info(std::span<const std::string_view>) override { return {}; }
  void ResetStats() override {}
  SlowLog& slow_log() override { return watch_.slow_log(); }
  LatencyMonitor& latency_monitor() override { return watch_.latency(); }
  std::vector<LatencyBuckets> CommandLatencies() override { return {}; }
  Status SaveCheckpoint() override { return Status::Ok(); }
  bool checkpoint_running() const override { return false; }
  std::uint64_t last_save_seconds() const override { return 0; }

 private:
  Config& config_;
  Engine& engine_;
  CommandWatch& watch_;
};

class Client {
 public:
  explicit Client(int fd) : fd_(fd) {}
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Client() {
    if (fd_ >= 0) ::close(fd_);
  }
  void Send(std::string_view bytes) { REQUIRE(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size())); }
  /// However long it takes.
  void SendAll(std::string_view bytes) {
    while (!bytes.empty()) {
      pollfd ready{fd_, POLLOUT, 0};
      REQUIRE(::poll(&ready, 1, 20'000) == 1);
      bytes.remove_prefix(SendSome(bytes));
    }
  }
  std::string Receive(std::size_t bytes) {
    std::string got(bytes, '\0');
    std::size_t have = 0;
    while (have < bytes) {
      pollfd ready{fd_, POLLIN, 0};
      REQUIRE(::poll(&ready, 1, 20'000) == 1);
      const ssize_t received = ::recv(fd_, got.data() + have, bytes - have, 0);
      REQUIRE(received > 0);
      have += static_cast<std::size_t>(received);
    }
    return got;
  }
  /// Says that nothing more will be sent.
  void HalfClose() { REQUIRE(::shutdown(fd_, SHUT_WR) == 0); }
  bool IsClosedByServer() {
    pollfd ready{fd_, POLLIN, 0};
    REQUIRE(::poll(&ready, 1, 20'000) == 1);
    char byte;
    return ::recv(fd_, &byte, 1, 0) == 0;
  }
  /// What the socket takes now, from `bytes` on; how much that was.
  std::size_t SendSome(std::string_view bytes) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }
  bool HasAnswer() {
    pollfd ready{fd_, POLLIN, 0};
    return ::poll(&ready, 1, 0) == 1;
  }
  /// A whole error line: "-MISCONF ...\r\n".
  std::string ReceiveLine() {
    std::string line;
    while (!line.ends_with("\r\n")) line += Receive(1);
    return line;
  }

 private:
  int fd_;
};

/// The system's clock, until a test takes it in hand.
class HeldClock final : public Clock {
 public:
  std::uint64_t WallMillis() const override { return Clock::System().WallMillis() + wall_ms_; }
  std::chrono::microseconds Monotonic() const override {
    return held_ ? std::chrono::microseconds(monotonic_us_) : Clock::System().Monotonic();
  }
  /// From now on time passes as Pass() says. The loop looks again after a moment.
  void Hold() {
    monotonic_us_ = Clock::System().Monotonic().count();
    held_ = true;
  }
  void Pass(std::chrono::microseconds time) { monotonic_us_ += time.count(); }
  /// Somebody sets the time.
  void MoveWall(std::chrono::milliseconds time) { wall_ms_ += static_cast<std::uint64_t>(time.count()); }

 private:
  std::atomic<bool> held_{false};
  std::atomic<std::int64_t> monotonic_us_{0};
  std::atomic<std::uint64_t> wall_ms_{0};
};

class LoopFixture {
 public:
  LoopFixture() { loop.Start(); }
  ~LoopFixture() {
    loop.Stop(0us, [] {});
    loop.Join();
    engine.hold_compactions = false;
    upkeep_pool.Stop(ThreadPool::StopMode::kDrain);
    admin_pool.Stop(ThreadPool::StopMode::kDrain);
    read_pool.Stop(ThreadPool::StopMode::kDrain);
  }
  Client Connect() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    ClientState state;
    state.id = ++last_id;
    ++clients;
    loop.AddLoad();
    loop.Post([this, fd = ends[0], state] { loop.Adopt(fd, state); });
    return Client(ends[1]);
  }

  Config config;
  HeldClock clock;
  HeldEngine engine;
  DatabaseMap map;
  std::unique_ptr<Keyspace> keyspace = std::move(*Keyspace::Open(engine, 16, map));
  CycleClock cycle_clock;
  CommandWatch command_watch{cycle_clock};
  NoServer server{config, engine, command_watch};
  PauseGate pause;
  std::atomic<std::uint64_t> clients{0};
  ClientMemory client_memory;
  ThreadPool read_pool{"read", 2};
  ThreadPool admin_pool{"admin", 1};
  ThreadPool upkeep_pool{"upkeep", 1};
  ServerContext context{server, *keyspace, engine, config, clock, pause, read_pool, admin_pool, upkeep_pool, clients, client_memory, command_watch};
  Loop loop{0, context};
  std::uint64_t last_id = 0;
};

}  // namespace lsmkv
