#include "server/stats.h"

#include <algorithm>

namespace lsmkv {
namespace {

// As Redis: beyond this many different first words somebody makes them up.
constexpr std::size_t kMaxErrorKinds = 128;

}  // namespace

void LoopStats::CountError(std::string_view reply) {
  error_replies.Add();
  reply.remove_prefix(std::min<std::size_t>(1, reply.size()));
  const std::string_view code = reply.substr(0, reply.find_first_of(" \r\n"));
  MutexLock lock(errors_mutex_);
  if (const auto found = errors_.find(code); found != errors_.end()) {
    ++found->second;
  } else if (errors_.size() < kMaxErrorKinds) {
    errors_.emplace(code, 1);
  }
}

void LoopStats::AddTo(StatsTotals* totals) const {
  totals->commands += commands.Get();
  totals->ticks += ticks.Get();
  totals->slow_ticks += slow_ticks.Get();
  totals->gatherings += gatherings.Get();
  totals->net_input_bytes += net_input_bytes.Get();
  totals->net_output_bytes += net_output_bytes.Get();
  totals->suspensions += suspensions.Get();
  totals->parked += parked.Get();
  totals->protocol_errors += protocol_errors.Get();
  totals->query_buffer_disconnects += query_buffer_disconnects.Get();
  totals->output_buffer_disconnects += output_buffer_disconnects.Get();
  totals->memory_holds += memory_holds.Get();
  totals->large_reads_put_off += large_reads_put_off.Get();
  totals->error_replies += error_replies.Get();
  totals->by_command.resize(std::max(totals->by_command.size(), by_command.size()));
  for (std::size_t i = 0; i < by_command.size(); ++i) {
    totals->by_command[i].calls += by_command[i].calls.Get();
    totals->by_command[i].cycles += by_command[i].cycles.Get();
    totals->by_command[i].rejected += by_command[i].rejected.Get();
    totals->by_command[i].failed += by_command[i].failed.Get();
    for (std::size_t j = 0; j < kCountedBuckets; ++j) {
      totals->by_command[i].by_latency[std::min(j, kLatencyBuckets - 1)] += by_command[i].by_latency[j].Get();
    }
  }
  MutexLock lock(errors_mutex_);
  for (const auto& [code, count] : errors_) totals->errors[code] += count;
}

void StatsTotals::Subtract(const StatsTotals& baseline) {
  commands -= baseline.commands;
  ticks -= baseline.ticks;
  slow_ticks -= baseline.slow_ticks;
  gatherings -= baseline.gatherings;
  net_input_bytes -= baseline.net_input_bytes;
  net_output_bytes -= baseline.net_output_bytes;
  suspensions -= baseline.suspensions;
  parked -= baseline.parked;
  protocol_errors -= baseline.protocol_errors;
  query_buffer_disconnects -= baseline.query_buffer_disconnects;
  output_buffer_disconnects -= baseline.output_buffer_disconnects;
  memory_holds -= baseline.memory_holds;
  large_reads_put_off -= baseline.large_reads_put_off;
  error_replies -= baseline.error_replies;
  for (std::size_t i = 0; i < std::min(by_command.size(), baseline.by_command.size()); ++i) {
    by_command[i].calls -= baseline.by_command[i].calls;
    by_command[i].cycles -= baseline.by_command[i].cycles;
    by_command[i].rejected -= baseline.by_command[i].rejected;
    by_command[i].failed -= baseline.by_command[i].failed;
    for (std::size_t j = 0; j < kLatencyBuckets; ++j) by_command[i].by_latency[j] -= baseline.by_command[i].by_latency[j];
  }
  for (const auto& [code, count] : baseline.errors) {
    const auto found = errors.find(code);
    if (found != errors.end() && (found->second -= count) == 0) errors.erase(found);
  }
}

}  // namespace lsmkv
