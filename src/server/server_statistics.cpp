// The part of the server that counts: what its loops have counted, since when, and how much of it a second.
#include <algorithm>
#include <numeric>

#include "server/info_text.h"
#include "server/memory_use.h"
#include "server/server.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr milliseconds kSamplePeriod{100};
constexpr std::uint64_t kSamplesPerMemorySample = 10;        // asking the allocator takes longer than the rest

}  // namespace

StatsTotals Server::Totals() const {
  StatsTotals totals;
  for (const std::unique_ptr<Loop>& loop : loops_) loop->stats().AddTo(&totals);
  return totals;
}

StatsTotals Server::TotalsSinceReset() const {
  StatsTotals totals = Totals();
  MutexLock lock(baseline_mutex_);
  totals.Subtract(baseline_);
  return totals;
}

std::vector<LatencyBuckets> Server::CommandLatencies() {
  std::vector<LatencyBuckets> latencies;
  for (const StatsTotals::Command& command : TotalsSinceReset().by_command) latencies.push_back(command.by_latency);
  return latencies;
}

void Server::OnSynced(microseconds took) {
  command_watch_.latency().Note(LatencyEvent::kWalSync, took, Clock::System().WallMillis() / 1000);
}

void Server::ResetStats() {
  StatsTotals totals = Totals();
  const std::uint64_t expired = engine_->Stats().expired_entries;
  MutexLock lock(baseline_mutex_);
  baseline_ = std::move(totals);
  accepted_baseline_ = listener_->accepted();
  refused_baseline_ = listener_->refused();
  lookups_baseline_ = keyspace_->lookups().totals();
  expired_baseline_ = expired;
}

std::uint64_t Server::Rate::Mean() const {
  return std::accumulate(per_second.begin(), per_second.end(), std::uint64_t{0}) / kSamples;
}

Server::Rates Server::CurrentRates() const {
  MutexLock lock(rates_mutex_);
  return {command_rate_.Mean(), input_rate_.Mean(), output_rate_.Mean()};
}

std::string Server::Info(std::span<const std::string_view> sections) { return InfoText(*this).Sections(sections); }

void Server::SampleRates() {
  std::uint64_t commands = 0, input = 0, output = 0;
  for (const std::unique_ptr<Loop>& loop : loops_) {
    commands += loop->stats().commands.Get();
    input += loop->stats().net_input_bytes.Get();
    output += loop->stats().net_output_bytes.Get();
  }
  command_watch_.Calibrate();
  peak_clients_ = std::max(peak_clients_.load(), clients_.load());
  if (samples_++ % kSamplesPerMemorySample == 0) peak_used_bytes_ = std::max(peak_used_bytes_.load(), ReadUsedBytes());
  {
    constexpr std::uint64_t kPerSecond = 1000 / kSamplePeriod.count();
    MutexLock lock(rates_mutex_);
    const auto sample = [this](Rate& rate, std::uint64_t value) {
      rate.per_second[next_sample_] = (value - rate.last) * kPerSecond;
      rate.last = value;
    };
    sample(command_rate_, commands);
    sample(input_rate_, input);
    sample(output_rate_, output);
  }
  next_sample_ = (next_sample_ + 1) % kSamples;
  sample_timer_.expires_after(kSamplePeriod);
  sample_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !shutting_down_) SampleRates();
  });
}

}  // namespace lsmkv
