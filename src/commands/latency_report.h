#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "commands/latency_monitor.h"

namespace lsmkv {

/// LATENCY GRAPH: the samples as columns of '#', the newest at the right, each as high as it was long. `series` has one at least.
std::string LatencyGraph(LatencyEvent event, const LatencySeries& series, std::uint64_t now_s);

/// LATENCY DOCTOR: what was kept, and where to look. By LatencyEvent.
std::string LatencyAdvice(const std::array<LatencySeries, kLatencyEvents>& all, std::uint64_t threshold_ms, std::uint64_t now_s);

}  // namespace lsmkv
