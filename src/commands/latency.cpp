// LATENCY: what latency_monitor.h keeps, and how long each command takes.
#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "commands/latency_buckets.h"
#include "commands/latency_monitor.h"
#include "commands/latency_report.h"
#include "commands/replies.h"

namespace lsmkv {
namespace {

constexpr std::string_view kHelp[] = {
    "DOCTOR",
    "    Return a human readable latency analysis report.",
    "GRAPH <event>",
    "    Return an ASCII latency graph for the <event> class.",
    "HISTORY <event>",
    "    Return time-latency samples for the <event> class.",
    "LATEST",
    "    Return the latest latency samples for all events.",
    "RESET [<event> ...]",
    "    Reset latency data of one or more <event> classes.",
    "    (default: reset all data for all event classes)",
    "HISTOGRAM [COMMAND ...]",
    "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
    "    If no commands are specified then all histograms are replied.",
};

std::uint64_t NowSeconds(const CommandContext& context) { return context.now_ms / 1000; }

std::array<LatencySeries, kLatencyEvents> AllSeries(CommandContext& context) {
  std::array<LatencySeries, kLatencyEvents> all;
  for (std::size_t i = 0; i < kLatencyEvents; ++i) all[i] = context.server.latency_monitor().Series(static_cast<LatencyEvent>(i));
  return all;
}

LatencySeries SeriesOf(CommandContext& context, std::string_view name) {
  const std::optional<LatencyEvent> event = FindLatencyEvent(name);
  return event ? context.server.latency_monitor().Series(*event) : LatencySeries{};
}

std::uint64_t Sum(const LatencyBuckets& buckets) {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : buckets) sum += count;
  return sum;
}

/// Those it asks for that have run; a container stands for its subcommands.
std::vector<const CommandSpec*> WantedCommands(std::span<const std::string_view> names, std::span<const LatencyBuckets> latencies) {
  std::vector<const CommandSpec*> wanted;
  const auto take = [&](const CommandSpec& spec) {
    if (Sum(latencies[spec.index]) != 0) wanted.push_back(&spec);
  };
  const auto take_all = [&](const CommandSpec& spec) {
    take(spec);
    for (const CommandSpec& subcommand : spec.subcommands) take(subcommand);
  };
  if (names.empty()) {
    for (const CommandSpec& spec : AllCommands()) take_all(spec);
  }
  for (const std::string_view name : names) {
    const std::size_t bar = name.find('|');
    for (const CommandSpec& spec : AllCommands()) {
      if (!EqualsIgnoringCase(spec.name, name.substr(0, bar))) continue;
      if (bar == std::string_view::npos) take_all(spec);
      for (const CommandSpec& subcommand : spec.subcommands) {
        if (EqualsIgnoringCase(subcommand.name, name)) take(subcommand);
      }
    }
  }
  return wanted;
}

/// The counts are cumulative, and a bucket that adds nothing is left out.
void ReplyBuckets(resp::Writer& reply, const LatencyBuckets& buckets) {
  const std::size_t filled = buckets.size() - static_cast<std::size_t>(std::ranges::count(buckets, 0u));
  reply.Map(2);
  reply.Bulk("calls");
  reply.Integer(static_cast<std::int64_t>(Sum(buckets)));
  reply.Bulk("histogram_usec");
  reply.Map(filled);
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    if (buckets[i] == 0) continue;
    so_far += buckets[i];
    reply.Integer(static_cast<std::int64_t>(BucketMicros(i)));
    reply.Integer(static_cast<std::int64_t>(so_far));
  }
}

}  // namespace

Outcome HandleLatencyLatest(CommandContext& context) {
  const std::array<LatencySeries, kLatencyEvents> all = AllSeries(context);
  context.reply.Array(static_cast<std::size_t>(std::ranges::count_if(all, [](const LatencySeries& s) { return !s.samples.empty(); })));
  for (std::size_t i = 0; i < kLatencyEvents; ++i) {
    if (all[i].samples.empty()) continue;
    context.reply.Array(4);
    context.reply.Bulk(NameOf(static_cast<LatencyEvent>(i)));
    context.reply.Integer(static_cast<std::int64_t>(all[i].samples.back().time_s));
    context.reply.Integer(static_cast<std::int64_t>(all[i].samples.back().ms));
    context.reply.Integer(static_cast<std::int64_t>(all[i].max_ms));
  }
  return Outcome::kDone;
}

Outcome HandleLatencyHistory(CommandContext& context) {
  const LatencySeries series = SeriesOf(context, context.args[2]);
  context.reply.Array(series.samples.size());
  for (const LatencySample& sample : series.samples) {
    context.reply.Array(2);
    context.reply.Integer(static_cast<std::int64_t>(sample.time_s));
    context.reply.Integer(static_cast<std::int64_t>(sample.ms));
  }
  return Outcome::kDone;
}

Outcome HandleLatencyReset(CommandContext& context) {
  LatencyMonitor& monitor = context.server.latency_monitor();
  std::int64_t count = 0;
  if (context.args.size() == 2) {
    for (std::size_t i = 0; i < kLatencyEvents; ++i) count += monitor.Reset(static_cast<LatencyEvent>(i)) ? 1 : 0;
  }
  for (const std::string_view name : context.args.subspan(2)) {
    const std::optional<LatencyEvent> event = FindLatencyEvent(name);
    if (event && monitor.Reset(*event)) ++count;
  }
  context.reply.Integer(count);
  return Outcome::kDone;
}

Outcome HandleLatencyGraph(CommandContext& context) {
  const LatencySeries series = SeriesOf(context, context.args[2]);
  if (series.samples.empty()) return Fail(context, fmt::format("ERR No samples available for event '{}'", context.args[2]));
  context.reply.Verbatim("txt", LatencyGraph(*FindLatencyEvent(context.args[2]), series, NowSeconds(context)));
  return Outcome::kDone;
}

Outcome HandleLatencyDoctor(CommandContext& context) {
  const std::uint64_t threshold_ms = context.server.latency_monitor().threshold_ms();
  context.reply.Verbatim("txt", LatencyAdvice(AllSeries(context), threshold_ms, NowSeconds(context)));
  return Outcome::kDone;
}

Outcome HandleLatencyHistogram(CommandContext& context) {
  const std::vector<LatencyBuckets> latencies = context.server.CommandLatencies();
  if (context.args.size() - 2 > kMostNamesInOne) return Fail(context, TooManyNames("command names"));
  const std::vector<const CommandSpec*> wanted = WantedCommands(context.args.subspan(2), latencies);
  context.reply.Map(wanted.size());
  for (const CommandSpec* const spec : wanted) {
    context.reply.Bulk(spec->name);
    ReplyBuckets(context.reply, latencies[spec->index]);
  }
  return Outcome::kDone;
}

Outcome HandleLatencyHelp(CommandContext& context) {
  ReplyHelp(context.reply, context.args[0], kHelp);
  return Outcome::kDone;
}

}  // namespace lsmkv
