#include "server/server.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fmt/core.h>

#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "base/assert.h"
#include "base/log.h"
#include "base/machine_cores.h"
#include "server/deferred_reply.h"
#include "server/logging.h"
#include "server/memory_use.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;

constexpr std::size_t kUpkeepThreads = 2;    // who asks for more at once waits: one compaction on demand runs at a time anyway
constexpr std::uint64_t kReservedDescriptors = 96;   // log, WAL, manifests, epoll, the listener's reserve, removed files
constexpr const char* kRaiseLimit = "raise 'ulimit -n'";

/// Raises the soft limit on descriptors to what the settings may come to need, as far as the hard limit allows. An error: it would not even
/// do without clients and tables.
Status RaiseDescriptorLimit(std::uint64_t maxclients, std::uint64_t max_open_sstables) {
  const std::uint64_t max_open_blobs = max_open_sstables / 4;   // as the engine has it
  const rlim_t wanted = maxclients + max_open_sstables + max_open_blobs + kReservedDescriptors;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return Status::Ok();
  const rlim_t had = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted : std::min(wanted, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = had;
  if (limit.rlim_cur < kReservedDescriptors) {
    return Status::IoError(fmt::format("{} file descriptors are too few, clients and tables aside {} are needed: {}", limit.rlim_cur,
                                       kReservedDescriptors, kRaiseLimit));
  }
  if (limit.rlim_cur < wanted) {
    LogWarning("server", "maxclients and max-open-sstables may need {} file descriptors, the limit is {}: {}", wanted, limit.rlim_cur,
               kRaiseLimit);
  }
  return Status::Ok();
}

void LogPlan(const MemoryPlan& plan, const MachineMemory& machine) {
  const auto mb = [](std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  LogInfo("server",
          "memory budget {:.0f} MB ({}): memtables {:.1f} of {:.1f} each, block cache {:.1f}, clients {:.1f}, background {:.1f}, "
          "{} open tables {:.1f}, reserve {:.1f}",
          mb(plan.budget_bytes), plan.budget_source, mb(plan.memtables_bytes), mb(plan.memtable_bytes), mb(plan.block_cache_bytes),
          mb(plan.clients_bytes), mb(plan.background_bytes), plan.max_open_sstables, mb(plan.open_tables_bytes), mb(plan.reserve_bytes));
  if (machine.usable_bytes() != 0 && plan.budget_bytes > machine.usable_bytes()) {
    LogWarning("server", "the memory budget is more than the {:.0f} MB that {} has", mb(machine.usable_bytes()),
               machine.cgroup_bytes != 0 ? machine.cgroup_file : "the machine");
  }
}

/// Ends the process when closing takes longer than it may.
void StartWatchdog(std::chrono::seconds timeout) {
  std::thread([timeout] {
    std::this_thread::sleep_for(timeout);
    static constexpr std::string_view kText = "shutdown-timeout is over, ending now; every acknowledged write is in the log\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kText.data(), kText.size());   // the log may be closed by now
    std::_Exit(0);
  }).detach();
}

}  // namespace

Server::Server(std::unique_ptr<Config> config)
    : config_(std::move(config)),
      started_ms_(Clock::System().WallMillis()),
      io_(1),
      signals_(io_, SIGTERM, SIGINT, SIGHUP),
      sample_timer_(io_) {
  std::signal(SIGPIPE, SIG_IGN);
}

Status Server::Serve(std::unique_ptr<Config> config) {
  try {
    return Server(std::move(config)).Run();
  } catch (const boost::system::system_error& error) {   // of Asio's parts and of loops, which are made of them
    const bool too_few = error.code() == boost::system::errc::too_many_files_open ||
                         error.code() == boost::system::errc::too_many_files_open_in_system;
    return Status::IoError(fmt::format("cannot start: {}{}{}", error.what(), too_few ? "; " : "", too_few ? kRaiseLimit : ""));
  }
}

Server::~Server() { CloseEverything(); }

Status Server::Run() {
  if (Status status = Open(); !status.ok()) return status;
  LogInfo("server", "ready: {} (lsmkv, pid {}, {} loops, data in {})", listener_->Addresses(), ::getpid(), loops_.size(),
          config_->Current()->dir);
  WaitForSignal();
  SampleRates();
  io_.run();
  CloseEverything();
  LogInfo("server", "bye");
  return Status::Ok();
}

Status Server::Open() {
  const std::shared_ptr<const Settings> settings = config_->Current();
  Result<MemoryPlan> plan = PlanMemory(*settings, machine_);
  if (!plan) return plan.error().WithContext("memory-budget");
  if (Status status = RaiseDescriptorLimit(settings->maxclients, plan->max_open_sstables); !status.ok()) return status;
  TuneAllocator(plan->budget_bytes);
  client_memory_.SetLimit(plan->clients_bytes);
  LogPlan(*plan, machine_);
  Options options = EngineOptions(*settings);
  ApplyPlan(*plan, &options);
  {
    MutexLock lock(plan_mutex_);
    plan_ = std::move(*plan);
  }
  options.compaction_filter = &database_map_;

  // The listener needs the context, which needs the engine; taking the ports early needs neither.
  read_pool_ = std::make_unique<ThreadPool>("read", settings->read_threads);
  admin_pool_ = std::make_unique<ThreadPool>("admin", settings->admin_threads);
  upkeep_pool_ = std::make_unique<ThreadPool>("upkeep", kUpkeepThreads);
  listener_ = std::make_unique<Listener>(io_, *config_, Clock::System(), clients_);
  if (Status status = listener_->Bind(*settings); !status.ok()) return status;

  Result<std::unique_ptr<Engine>> engine = Engine::Open(options);
  if (!engine) return engine.error();
  engine_ = std::move(*engine);
  Result<std::unique_ptr<Keyspace>> keyspace =
      Keyspace::Open(*engine_, static_cast<std::uint32_t>(settings->databases), database_map_);
  if (!keyspace && keyspace.error().code() == StatusCode::kCorruption) {
    return Status::Corruption(keyspace.error().message() + ": which databases there are cannot be read. Put the file back from a copy, or "
                              "let `lsmkv-tool repair` make a new directory of what is whole");
  }
  if (!keyspace) return keyspace.error().WithContext(settings->dir);
  keyspace_ = std::move(*keyspace);
  checkpoints_ = std::make_unique<Checkpoints>(*engine_, settings->dir, started_ms_ / 1000);

  context_ = std::make_unique<ServerContext>(ServerContext{*this, *keyspace_, *engine_, *config_, Clock::System(), pause_,
                                                           *read_pool_, *admin_pool_, *upkeep_pool_, clients_, client_memory_, command_watch_});
  command_watch_.Apply(*settings);
  engine_->AddCommitListener(this);
  const std::uint32_t loops = IoThreads(*settings, UsableCores());
  for (std::uint32_t i = 0; i < loops; ++i) loops_.push_back(std::make_unique<Loop>(i, *context_));
  engine_->ReleaseThreadView();   // of this thread, which reads no more and would keep the first memtable
  startup_used_bytes_ = ReadUsedBytes();
  for (const std::unique_ptr<Loop>& loop : loops_) loop->Start();
  loops_running_ = loops_.size();
  return listener_->Start(*settings, loops_);
}

// ---- signals and the end

void Server::WaitForSignal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    OnSignal(signal);
    WaitForSignal();
  });
}

void Server::OnSignal(int signal) {
  if (signal == SIGHUP) {
    ReopenLog();
    LogInfo("server", "SIGHUP: the log goes on here");   // after it, so that the new file exists at once
    return;
  }
  if (shutting_down_) {
    IgnoreError(engine_->Commit().status(), "every reply that was sent has been committed by its own tick");
    LogWarning("server", "a second signal: ending now; every acknowledged write is in the log");
    std::_Exit(0);
  }
  BeginShutdown(signal == SIGINT ? "SIGINT" : "SIGTERM");
}

void Server::BeginShutdown(const std::string& why) {
  if (shutting_down_) return;
  shutting_down_ = true;
  const std::chrono::seconds timeout(config_->Current()->shutdown_timeout_seconds);
  LogInfo("server", "{}: no new clients, finishing what was read, at most {} s", why, timeout.count());
  StartWatchdog(timeout);
  listener_->Close();
  sample_timer_.cancel();
  pause_.Unpause();
  engine_->PrepareToClose();   // who waits for a compaction gets an answer instead of holding its loop up
  // A third of the time is left for closing the tree.
  const microseconds deadline = Clock::System().Monotonic() + microseconds(timeout) * 2 / 3;
  for (const std::unique_ptr<Loop>& loop : loops_) {
    loop->Post([&each = *loop] { each.ResumePaused(); });
    loop->Stop(deadline, [this] {
      boost::asio::post(io_, [this] {
        if (--loops_running_ == 0) io_.stop();
      });
    });
  }
}

void Server::CloseEverything() {
  if (listener_ != nullptr) listener_->Close();
  if (loops_running_ > 0) {   // the start failed half way
    for (const std::unique_ptr<Loop>& loop : loops_) loop->Stop(microseconds{0}, [] {});
    loops_running_ = 0;
  }
  for (const std::unique_ptr<Loop>& loop : loops_) loop->Join();
  if (engine_ != nullptr) engine_->PrepareToClose();   // an admin thread may wait for a compaction
  if (upkeep_pool_ != nullptr) upkeep_pool_->Stop(ThreadPool::StopMode::kDrop);
  if (admin_pool_ != nullptr) admin_pool_->Stop(ThreadPool::StopMode::kDrop);
  if (read_pool_ != nullptr) read_pool_->Stop(ThreadPool::StopMode::kDrop);
  if (engine_ != nullptr) engine_->RemoveCommitListener(this);
  engine_.reset();            // before the loops: it may still call OnWritable's callbacks
  loops_.clear();
  keyspace_.reset();          // after the sessions, which may watch keys
}

// ---- ServerApi

Status Server::ApplyConfig(std::span<const std::string> names) {
  const std::shared_ptr<const Settings> settings = config_->Current();
  for (const std::string& name : names) {
    if (name.starts_with("slowlog-") || name.starts_with("latency-")) command_watch_.Apply(*settings);
    if (name == "maxclients") {
      if (Status status = RaiseDescriptorLimit(settings->maxclients, CurrentPlan().max_open_sstables); !status.ok()) return status;
    }
    if (name == "loglevel") SetLogVerbosity(settings->loglevel);
    if (name == "wal-fsync") engine_->SetWalFsync(settings->wal_fsync);
    if (name == "scrub-interval") engine_->SetScrubInterval(settings->scrub_interval_s * 1000);
    if (name == "disk-reserve") engine_->SetDiskReserve(settings->disk_reserve_bytes);
    if (name == "memory-budget" || name == "block-cache-mb" || name == "row-cache-percent" || name == "maxmemory-clients") {
      if (Status status = ApplyMemoryPlan(); !status.ok()) return status;
    }
  }
  return Status::Ok();   // the rest is read from the settings where it is used
}

Status Server::ApplyMemoryPlan() {
  const std::shared_ptr<const Settings> settings = config_->Current();
  Result<MemoryPlan> plan = PlanMemory(*settings, machine_);
  if (!plan) return plan.error();
  if (Status status = RaiseDescriptorLimit(settings->maxclients, plan->max_open_sstables); !status.ok()) return status;
  MutexLock lock(plan_mutex_);
  plan_ = std::move(*plan);
  client_memory_.SetLimit(plan_.clients_bytes);
  engine_->SetMemoryLimits(LimitsOf(plan_));
  LogPlan(plan_, machine_);
  return Status::Ok();
}

MemoryPlan Server::CurrentPlan() const {
  MutexLock lock(plan_mutex_);
  return plan_;
}

std::shared_ptr<DeferredReply> Server::Defer(ClientState& client) {
  Session& session = static_cast<SessionClient&>(client).session;
  session.ExpectDeferred();
  return std::make_shared<LoopDeferredReply>(session.loop(), session.id());
}

void Server::RunOnAdminPool(std::function<void()> task) {
  admin_pool_->Submit([this, task = std::move(task)] {
    task();
    engine_->ReleaseThreadView();
  });
}

void Server::RunAfter(microseconds delay, std::function<void()> task) {
  Loop& loop = *loops_.front();
  loop.Post([&loop, delay, task = std::move(task)] { loop.RunAfter(delay, task); });
}

void Server::ForEachLoop(const std::function<void(Loop&)>& visit) {
  Mutex mutex;
  CondVar all_done;
  std::size_t waiting = loops_.size();
  for (const std::unique_ptr<Loop>& loop : loops_) {
    const bool posted = loop->Post([&, &each = *loop] {
      visit(each);
      MutexLock lock(mutex);   // NotifyAll under it: the waiter's frame is gone once it sees 0
      --waiting;
      all_done.NotifyAll();
    });
    if (posted) continue;
    MutexLock lock(mutex);
    --waiting;
  }
  MutexLock lock(mutex);
  while (waiting > 0) all_done.Wait(mutex);
}

std::vector<ClientInfo> Server::Clients(const ClientFilter& filter) {
  Mutex mutex;
  std::vector<ClientInfo> all;
  ForEachLoop([&](Loop& loop) {
    std::vector<ClientInfo> found;
    loop.Gather(filter, &found);
    MutexLock lock(mutex);
    std::ranges::move(found, std::back_inserter(all));
  });
  std::ranges::sort(all, {}, [](const ClientInfo& info) { return info.state.id; });
  return all;
}

std::size_t Server::KillClients(const ClientFilter& filter, std::uint64_t self_id) {
  std::atomic<std::size_t> killed{0};
  ForEachLoop([&](Loop& loop) { killed += loop.Kill(filter, self_id); });
  return killed;
}

ClientInfo Server::Describe(const ClientState& client) {
  return static_cast<const SessionClient&>(client).session.Describe();
}

void Server::PauseClients(std::uint64_t duration_ms, PauseMode mode) { pause_.Pause(Clock::System().Monotonic(), duration_ms, mode); }

void Server::UnpauseClients() {
  pause_.Unpause();
  for (const std::unique_ptr<Loop>& loop : loops_) loop->Post([&each = *loop] { each.ResumePaused(); });
}

void Server::RequestShutdown() {
  boost::asio::post(io_, [this] { BeginShutdown("SHUTDOWN"); });
}

std::string Server::ReplicationId() const {
  MutexLock lock(replication_mutex_);
  return replication_id_;
}

void Server::ChangeReplicationId() {
  MutexLock lock(replication_mutex_);
  replication_id_ = RandomHexId();
}

Status Server::SaveCheckpoint() {
  return checkpoints_->Save(config_->Current()->checkpoints_kept, Clock::System().WallMillis());
}

}  // namespace lsmkv
