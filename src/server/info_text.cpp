#include "server/info_text.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "commands/lsm_fields.h"
#include "commands/version.h"
#include "server/server.h"

namespace lsmkv {

namespace {

std::string Executable() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

}  // namespace

const InfoText::Section InfoText::kSections[] = {
    {"server", true, &InfoText::WriteServer},
    {"clients", true, &InfoText::WriteClients},
    {"memory", true, &InfoText::WriteMemory},
    {"persistence", true, &InfoText::WritePersistence},
    {"stats", true, &InfoText::WriteStats},
    {"replication", true, &InfoText::WriteReplication},
    {"cpu", true, &InfoText::WriteCpu},
    {"modules", true, &InfoText::WriteModules},
    {"commandstats", false, &InfoText::WriteCommandStats},
    {"errorstats", true, &InfoText::WriteErrorStats},
    {"latencystats", false, &InfoText::WriteLatencyStats},
    {"cluster", true, &InfoText::WriteCluster},
    {"keyspace", true, &InfoText::WriteKeyspace},
    {"lsm", true, &InfoText::WriteLsm},
};

std::string InfoText::Sections(std::span<const std::string_view> wanted) {
  const auto asks_for = [wanted](std::string_view name) { return std::ranges::find(wanted, name) != wanted.end(); };
  const bool everything = asks_for("all") || asks_for("everything");
  const bool defaults = wanted.empty() || asks_for("default");
  for (const Section& section : kSections) {
    if (!everything && !(defaults && section.by_default) && !asks_for(section.name)) continue;
    if (!text_.empty()) text_ += "\r\n";
    std::string title(section.name);
    title[0] = static_cast<char>(title[0] - 'a' + 'A');
    text_ += "# " + (section.name == "cpu" ? std::string("CPU") : section.name == "lsm" ? "LSM" : title) + "\r\n";
    (this->*section.write)();
  }
  return std::move(text_);
}

void InfoText::WriteServer() {
  const std::uint64_t now_ms = Clock::System().WallMillis();
  const std::uint64_t uptime_seconds = (now_ms - std::min(now_ms, server_.started_ms_)) / 1000;
  const auto settings = server_.config_->Current();
  utsname system{};
  ::uname(&system);
  Field("redis_version", kRedisVersion);
  Field("redis_mode", "standalone");
  Field("server_name", "lsmkv");
  Field("lsmkv_version", kServerVersion);
  Field("os", fmt::format("{} {} {}", system.sysname, system.release, system.machine));
  Field("arch_bits", 64);
  Field("multiplexing_api", "epoll");
  Field("gcc_version", fmt::format("{}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__));
  Field("process_id", ::getpid());
  Field("process_supervised", "no");
  Field("run_id", server_.run_id_);
  Field("tcp_port", settings->port);
  Field("server_time_usec", now_ms * 1000);
  Field("uptime_in_seconds", uptime_seconds);
  Field("uptime_in_days", uptime_seconds / 86400);
  Field("hz", 10);                             // as CONFIG GET says, for tools that want a number
  Field("configured_hz", 10);
  Field("executable", Executable());
  Field("io_threads_active", server_.loops_.size() > 1 ? 1 : 0);
  Field("io_threads", server_.loops_.size());
  Field("config_file", server_.config_->file());
}

void InfoText::WriteClients() {
  std::uint64_t largest_input = 0, largest_output = 0, waiting = 0, held = 0;
  for (const std::unique_ptr<Loop>& loop : server_.loops_) {
    waiting += loop->waiting();
    held += loop->stats().held_now.Get();
  }
  for (const ClientInfo& client : server_.Clients({})) {
    largest_input = std::max(largest_input, client.input_buffer_bytes + client.input_buffer_free_bytes);
    largest_output = std::max(largest_output, client.output_buffer_bytes);
  }
  Field("connected_clients", server_.clients_.load());
  Field("cluster_connections", 0);
  Field("maxclients", server_.config_->Current()->maxclients);
  Field("client_recent_max_input_buffer", largest_input);
  Field("client_recent_max_output_buffer", largest_output);
  Field("blocked_clients", waiting);
  Field("clients_held_for_memory", held);
  Field("clients_waiting_to_read_large", server_.client_memory_.large_reads().waiting());
  Field("tracking_clients", 0);
  Field("peak_clients", std::max(server_.peak_clients_.load(), server_.clients_.load()));
}

void InfoText::WritePersistence() {
  const Checkpoints& checkpoints = *server_.checkpoints_;
  const Status health = server_.engine_->WriteHealth();
  const EngineStats engine = server_.engine_->Stats();
  Field("loading", 0);
  Field("async_loading", 0);
  Field("rdb_changes_since_last_save", checkpoints.changes());
  Field("rdb_bgsave_in_progress", checkpoints.running() ? 1 : 0);
  Field("rdb_last_save_time", checkpoints.last_save_seconds());
  Field("rdb_last_bgsave_status", checkpoints.last_failed() ? "err" : "ok");
  const auto seconds = [](std::optional<std::chrono::seconds> time) { return time ? time->count() : -1; };
  Field("rdb_last_bgsave_time_sec", seconds(checkpoints.last_duration()));
  Field("rdb_current_bgsave_time_sec", seconds(checkpoints.running_for()));
  Field("rdb_saves", checkpoints.saves());
  Field("aof_enabled", 1);   // the write-ahead log is always there
  Field("aof_rewrite_in_progress", 0);
  Field("aof_rewrite_scheduled", 0);
  Field("aof_last_rewrite_time_sec", -1);      // a log that is never rewritten
  Field("aof_current_rewrite_time_sec", -1);
  Field("aof_last_bgrewrite_status", "ok");
  Field("aof_last_write_status", health.ok() ? "ok" : "err");
  if (!health.ok()) Field("write_error", health.message());
  Field("wal_fsync", *server_.config_->Get("wal-fsync"));
  Field("wal_segments", engine.wal_segments);
  Field("wal_spare_bytes", engine.wal_spare_bytes);
  Field("wal_syncs", engine.wal_syncs);
  Field("last_sequence", engine.last_sequence);
  Field("durable_sequence", engine.durable_sequence);
}

StatsTotals InfoText::SinceReset() const { return server_.TotalsSinceReset(); }

void InfoText::WriteStats() {
  const StatsTotals totals = SinceReset();
  LookupCounters::Totals lookups = server_.keyspace_->lookups().totals();
  std::uint64_t expired = server_.engine_->Stats().expired_entries;
  std::uint64_t accepted = server_.listener_->accepted(), refused = server_.listener_->refused();
  {
    MutexLock lock(server_.baseline_mutex_);
    accepted -= server_.accepted_baseline_;
    refused -= server_.refused_baseline_;
    lookups.hits -= server_.lookups_baseline_.hits;
    lookups.misses -= server_.lookups_baseline_.misses;
    expired -= server_.expired_baseline_;
  }
  const Server::Rates rates = server_.CurrentRates();
  Field("total_connections_received", accepted + refused);
  Field("total_commands_processed", totals.commands);
  Field("instantaneous_ops_per_sec", rates.commands);
  Field("total_net_input_bytes", totals.net_input_bytes);
  Field("total_net_output_bytes", totals.net_output_bytes);
  Field("total_net_repl_input_bytes", 0);
  Field("total_net_repl_output_bytes", 0);
  Field("instantaneous_input_kbps", fmt::format("{:.2f}", static_cast<double>(rates.input_bytes) / 1024));
  Field("instantaneous_output_kbps", fmt::format("{:.2f}", static_cast<double>(rates.output_bytes) / 1024));
  Field("instantaneous_input_repl_kbps", "0.00");
  Field("instantaneous_output_repl_kbps", "0.00");
  Field("rejected_connections", refused);
  Field("expired_keys", expired);
  Field("evicted_keys", 0);
  Field("evicted_clients", 0);
  Field("keyspace_hits", lookups.hits);
  Field("keyspace_misses", lookups.misses);
  Field("pubsub_channels", 0);
  Field("pubsub_patterns", 0);
  Field("latest_fork_usec", 0);                // it never forks
  Field("total_forks", 0);
  Field("tracking_total_keys", 0);
  Field("total_error_replies", totals.error_replies);
  Field("protocol_errors", totals.protocol_errors);
  Field("client_query_buffer_limit_disconnections", totals.query_buffer_disconnects);
  Field("client_output_buffer_limit_disconnections", totals.output_buffer_disconnects);
  Field("client_memory_holds", totals.memory_holds);
  Field("large_reads_put_off", totals.large_reads_put_off);
  Field("loop_ticks", totals.ticks);
  Field("loop_slow_ticks", totals.slow_ticks);
  Field("loop_gatherings", totals.gatherings);
  Field("commands_moved_to_pools", totals.suspensions);
  Field("commands_parked", totals.parked);
}

void InfoText::WriteReplication() {
  Field("role", "master");
  Field("connected_slaves", 0);
  Field("master_failover_state", "no-failover");
  Field("master_replid", server_.ReplicationId());
  Field("master_replid2", std::string(kHexIdBytes, '0'));
  Field("master_repl_offset", 0);
  Field("second_repl_offset", -1);
  Field("repl_backlog_active", 0);
  Field("repl_backlog_size", 0);
  Field("repl_backlog_first_byte_offset", 0);
  Field("repl_backlog_histlen", 0);
}

void InfoText::WriteModules() {}   // the heading alone: there are none

void InfoText::WriteCluster() { Field("cluster_enabled", 0); }

void InfoText::WriteCpu() {
  const auto write = [this](std::string_view suffix, int who) {
    rusage usage{};
    ::getrusage(who, &usage);
    const auto seconds = [](const timeval& time) { return fmt::format("{}.{:06}", time.tv_sec, time.tv_usec); };
    Field(fmt::format("used_cpu_sys{}", suffix), seconds(usage.ru_stime));
    Field(fmt::format("used_cpu_user{}", suffix), seconds(usage.ru_utime));
  };
  write("", RUSAGE_SELF);
  write("_children", RUSAGE_CHILDREN);
}

void InfoText::WriteCommandStats() {
  const StatsTotals totals = SinceReset();
  const double micros_per_cycle = server_.cycle_clock_.MicrosPerCycle();
  const auto write = [&](const CommandSpec& spec) {
    const StatsTotals::Command& command = totals.by_command[spec.index];
    if (command.calls == 0 && command.rejected == 0) return;
    const double micros = static_cast<double>(command.cycles) * micros_per_cycle;
    const double per_call = command.calls == 0 ? 0.0 : micros / static_cast<double>(command.calls);
    fmt::format_to(std::back_inserter(text_),
                   "cmdstat_{}:calls={},usec={:.0f},usec_per_call={:.2f},rejected_calls={},failed_calls={}\r\n", spec.name,
                   command.calls, micros, per_call, command.rejected, command.failed);
  };
  for (const CommandSpec& spec : AllCommands()) {
    write(spec);
    for (const CommandSpec& subcommand : spec.subcommands) write(subcommand);
  }
}

void InfoText::WriteErrorStats() {
  for (const auto& [code, count] : SinceReset().errors) {
    fmt::format_to(std::back_inserter(text_), "errorstat_{}:count={}\r\n", code, count);
  }
}

void InfoText::WriteLatencyStats() {
  const auto settings = server_.config_->Current();
  if (!settings->latency_tracking) return;
  const std::vector<LatencyBuckets> latencies = server_.CommandLatencies();
  const auto write = [&](const CommandSpec& spec) {
    const LatencyBuckets& buckets = latencies[spec.index];
    if (std::ranges::all_of(buckets, [](std::uint64_t runs) { return runs == 0; })) return;
    std::string percentiles;
    for (const double percentile : settings->latency_tracking_info_percentiles)
      percentiles += fmt::format("{}p{}={:.3f}", percentiles.empty() ? "" : ",", percentile, MicrosAtPercentile(buckets, percentile));
    Field(fmt::format("latency_percentiles_usec_{}", spec.name), percentiles);
  };
  for (const CommandSpec& spec : AllCommands()) {
    write(spec);
    for (const CommandSpec& subcommand : spec.subcommands) write(subcommand);
  }
}

void InfoText::WriteKeyspace() {
  const std::uint64_t now_ms = Clock::System().WallMillis();
  for (std::uint32_t database = 0; database < server_.keyspace_->databases(); ++database) {
    const Result<KeyspaceInfo> info = server_.keyspace_->CountDatabase(database, now_ms, CountMode::kRecent);
    if (!info || info->keys == 0) continue;
    fmt::format_to(std::back_inserter(text_), "db{}:keys={},expires={},avg_ttl={},subexpiry=0\r\n", database, info->keys, info->expires,
                   info->avg_ttl);
  }
}

void InfoText::WriteLsm() {
  for (const auto& [name, value] : StatsFields(server_.engine_->Stats())) Field(name, LsmText(value));
}

}  // namespace lsmkv
