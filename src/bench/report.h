// What a run found, as a table for people and as JSON for programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/process_figures.h"
#include "bench/run_all.h"

namespace lsmkv::bench {

struct Surroundings {
  Machine machine;
  std::string file_system;
};

/// The median over the rounds of how many times as fast `a` was as `b` in that round; nullopt when a round has no rate.
std::optional<double> MedianRatio(const Series& a, const Series& b);

std::string TableText(const Settings& settings, const Surroundings& surroundings, const Outcome& outcome);
std::string JsonText(const Settings& settings, const Surroundings& surroundings, const Outcome& outcome);

}  // namespace lsmkv::bench
