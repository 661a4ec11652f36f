// One run of the engine under a simulation: options, clients and what they do, disturbances, and the judgement at the end, all from one
// seed. What is judged:
//   while it runs  each read and each iterator shows a state that was, at a time it may show
//   at rest        the tree is exactly what was written
//   after an end   the tree is exactly what had been written up to some batch, in the order of the writes: none of a batch, nothing
//                  older, nothing of what came later; and every acknowledged write is among it
//   always         everything that is started comes to an end, and nobody waits for a clock when there is work
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fs/fault_file_system.h"
#include "simulation.h"

namespace lsmkv::simulation {

/// What disturbs a run.
struct Disturbance {
  enum class Kind : std::uint8_t {
    kNone,
    kPowerCut,     ///< at call `at` of those that change the disk
    kOneFault,     ///< call `at` of those that `fault` concerns fails, once
    kSmallDisk,    ///< a disk that fills up, and is made larger at the end
    kLasting,      ///< from call `at` of those that `fault` concerns on, all of them fail, for a while of the seed's: milliseconds to minutes
  } kind = Kind::kNone;
  std::uint64_t at = 0;
  CutMode cut_mode = CutMode::kLost;
  Fault fault = Fault::kIoError;
  /// For tests of the test: syncs of paths with this in them are lies, from the first opening's end on; with a '=' in front, of that path.
  std::string lies_about_syncs_of = {};
  /// For tests of the test: what a broken compaction does.
  enum class Betrayal : std::uint8_t {
    kNone,
    kForgetsKey,        ///< drops one key that is there
    kForgetsDeletion,   ///< drops the tombstones of keys that are not, so that what lies deeper comes back
  } betrayal = Betrayal::kNone;
  /// For tests of the test: what lasts for a while, kLasting, does not end.
  bool never_ends = false;
  /// For tests of the test: the engine's clock is ahead of the world's, by so much.
  std::chrono::milliseconds clock_ahead{0};
};

/// Where the engine calls the file system: the call, and the path without its numbers.
using CallSite = std::string;
/// The calls that one fault concerns: at which of them a site has its first few.
using SiteCalls = std::map<CallSite, std::vector<std::uint64_t>>;

struct Verdict {
  std::string fault;                   ///< what is wrong; empty: nothing
  Outcome outcome;
  std::uint64_t writes = 0;            ///< batches that were taken
  std::uint64_t stopped = 0;           ///< waits for Engine::OnWritable()
  std::uint64_t refused = 0;           ///< calls that were refused for want of room
  std::uint64_t recycled = 0;          ///< segments of the log that were written over an older one's file
  std::array<std::uint64_t, kFaults> calls{};   ///< to the file system, that each fault concerns
  std::uint64_t calls_of(Fault fault_kind) const { return calls[static_cast<std::size_t>(fault_kind)]; }
  std::array<SiteCalls, kFaults> sites;         ///< by fault; until the clients have gone
  CallSite struck;                     ///< where the first fault has struck; empty: nowhere
  std::uint64_t fired = 0;             ///< calls that failed on demand
};

/// The same seed and the same disturbance are the same run. Two disturbances of one seed are the same run up to where they begin.
Verdict RunEngine(std::uint64_t seed, const Disturbance& disturbance = {});

/// How a failure is told: what, when, and how to see it again.
std::string Describe(std::uint64_t seed, const Disturbance& disturbance, const Verdict& verdict);

}  // namespace lsmkv::simulation
