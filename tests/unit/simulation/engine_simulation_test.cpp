// The engine under the simulation: interleavings, power cuts and failing calls by seed. A failure tells the command that runs it again; all runs
// of seed 17:  LSMKV_FIRST_SEED=17 LSMKV_SEEDS=1 build/test/tests/unit/simulation/simulation_test '[engine]'
// With LSMKV_LOG=1 the engine's log is shown.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include <spdlog/spdlog.h>

#include "engine_run.h"

using namespace lsmkv;
using namespace lsmkv::simulation;

namespace {

std::uint64_t NumberFrom(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}
std::uint64_t Seeds(std::uint64_t usual, std::uint64_t many) {
  return NumberFrom("LSMKV_SEEDS", std::getenv("LSMKV_LONG_TESTS") != nullptr ? many : usual);
}
std::uint64_t FirstSeed() { return NumberFrom("LSMKV_FIRST_SEED", 0); }

/// The runs of one test. Goes on after a failure, so that one search finds several; fails the test at its end.
class Runs {
 public:
  Runs() { spdlog::set_level(std::getenv("LSMKV_LOG") != nullptr ? spdlog::level::debug : spdlog::level::off); }
  ~Runs() { spdlog::set_level(spdlog::level::info); }

  Verdict One(std::uint64_t seed, const Disturbance& disturbance) {
    Verdict verdict = RunEngine(seed, disturbance);
    ++count_;
    recycled_ += verdict.recycled;
    stopped_ += verdict.stopped;
    if (!verdict.fault.empty()) {
      ++failures_;
      if (failures_ <= kMostTold) std::fprintf(stderr, "%s\n", Describe(seed, disturbance, verdict).c_str());   // its lines stay whole
    }
    return verdict;
  }
  bool TooMany() const { return failures_ >= kMostTold; }
  void MustHaveGoneWell() const {
    INFO(count_ << " runs, " << failures_ << " failures");
    REQUIRE(failures_ == 0);
  }
  /// Segments of the log that were written over an older one's file.
  std::uint64_t recycled() const { return recycled_; }
  /// Writers that were stopped, and told when they might go on.
  std::uint64_t stopped() const { return stopped_; }

 private:
  static constexpr std::uint64_t kMostTold = 10;
  std::uint64_t count_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t recycled_ = 0;
  std::uint64_t stopped_ = 0;
};

constexpr CutMode kCutModes[] = {CutMode::kLost, CutMode::kKept, CutMode::kNamesKept, CutMode::kTorn512, CutMode::kTorn4096, CutMode::kOutOfOrder};

/// Which of `calls` calls a seed tries: some, others with each seed. In the long form one seed in ten tries all of them.
std::vector<std::uint64_t> Places(std::uint64_t seed, std::uint64_t calls, std::uint64_t some) {
  const bool all = std::getenv("LSMKV_LONG_TESTS") != nullptr && seed % 10 == 0;
  const std::uint64_t stride = all ? 1 : std::max<std::uint64_t>(1, calls / some);
  std::vector<std::uint64_t> places;
  for (std::uint64_t at = 1 + seed % stride; at <= calls; at += stride) places.push_back(at);
  return places;
}

/// Every place from which the engine calls the file system is struck once at least: where the seeds would leave it to chance, it is aimed at.
class Sites {
 public:
  explicit Sites(Fault fault) : fault_(fault) {}
  /// Adds to `places` a call of each site of an undisturbed run that nothing has struck yet.
  void AddUnstruck(const Verdict& undisturbed, std::uint64_t seed, std::vector<std::uint64_t>* places) {
    for (const auto& [site, calls] : undisturbed.sites[static_cast<std::size_t>(fault_)]) {
      if (!struck_.contains(site)) places->push_back(calls[seed % calls.size()]);
      seen_.insert(site);
    }
  }
  void Strike(const Verdict& verdict) { struck_.insert(verdict.struck); }
  std::string Unstruck() const {
    std::string unstruck;
    for (const CallSite& site : seen_) {
      if (!struck_.contains(site)) unstruck += site + "\n";
    }
    return unstruck;
  }
  std::size_t count() const { return seen_.size(); }

 private:
  const Fault fault_;
  std::set<CallSite> seen_;
  std::set<CallSite> struck_;
};

}  // namespace

TEST_CASE("whatever the interleaving, every read is explained by the order of the writes", "[engine][simulation]") {
  const std::uint64_t first = FirstSeed();
  Runs runs;
  for (std::uint64_t seed = first; seed < first + Seeds(1600, 20'000) && !runs.TooMany(); ++seed) runs.One(seed, {});
  runs.MustHaveGoneWell();
  if (Seeds(1600, 20'000) >= 1600) CHECK(runs.stopped() > 100);
}

TEST_CASE("a seed of the engine is a run: the same one leaves the same trace", "[engine][simulation]") {
  const std::uint64_t first = FirstSeed();
  Runs runs;
  for (std::uint64_t seed = first; seed < first + Seeds(60, 1000); ++seed) {
    for (const Disturbance::Kind kind : {Disturbance::Kind::kNone, Disturbance::Kind::kPowerCut, Disturbance::Kind::kSmallDisk}) {
      const Disturbance disturbance{.kind = kind, .at = 100 + seed};
      const Verdict once = runs.One(seed, disturbance);
      const Verdict again = runs.One(seed, disturbance);
      CAPTURE(seed, static_cast<int>(kind));
      REQUIRE(once.outcome.trace == again.outcome.trace);
      REQUIRE(once.outcome.steps == again.outcome.steps);
      REQUIRE(once.outcome.switches == again.outcome.switches);
      REQUIRE(once.outcome.time == again.outcome.time);
      REQUIRE(once.calls == again.calls);
    }
  }
}

TEST_CASE("a run is the undisturbed one up to the call that is struck", "[engine][simulation]") {
  const std::uint64_t first = FirstSeed();
  Runs runs;
  for (std::uint64_t seed = first; seed < first + Seeds(20, 200); ++seed) {
    CAPTURE(seed);
    const Verdict undisturbed = runs.One(seed, {});
    for (const Disturbance::Kind kind : {Disturbance::Kind::kPowerCut, Disturbance::Kind::kOneFault}) {
      REQUIRE(runs.One(seed, {.kind = kind, .at = UINT64_MAX}).sites == undisturbed.sites);    // one that never comes
    }
  }
}

// Each call of one schedule in turn: the runs of a seed are the same up to the call that the power is cut at.
TEST_CASE("a power cut at each call in turn: what comes back is what was written up to some batch, the acknowledged ones among it",
          "[engine][simulation][crash]") {
  const std::uint64_t first = FirstSeed();
  Runs runs;
  Sites sites(Fault::kWriteError);
  for (std::uint64_t seed = first; seed < first + Seeds(100, 400) && !runs.TooMany(); ++seed) {
    std::uint64_t number = seed;
    const Verdict undisturbed = runs.One(seed, {});
    std::vector<std::uint64_t> places = Places(seed, undisturbed.calls_of(Fault::kWriteError), 8);
    sites.AddUnstruck(undisturbed, seed, &places);
    for (const std::uint64_t at : places) {
      sites.Strike(runs.One(seed, {.kind = Disturbance::Kind::kPowerCut, .at = at, .cut_mode = kCutModes[number++ % std::size(kCutModes)]}));
    }
  }
  runs.MustHaveGoneWell();
  CHECK(sites.Unstruck() == "");
  if (Seeds(100, 400) >= 100) CHECK(sites.count() > 40);
  CHECK(runs.recycled() > 0);
}

TEST_CASE("one failing call at each place in turn: nothing acknowledged is lost, and all goes on when it was for once",
          "[engine][simulation][fault]") {
  const std::uint64_t first = FirstSeed();
  Runs runs;
  std::vector<Sites> sites;
  for (std::size_t fault = 0; fault < kFaults; ++fault) sites.emplace_back(static_cast<Fault>(fault));
  for (std::uint64_t seed = first; seed < first + Seeds(100, 150) && !runs.TooMany(); ++seed) {
    const Verdict undisturbed = runs.One(seed, {});
    for (std::size_t fault = 0; fault < kFaults; ++fault) {
      const auto kind = static_cast<Fault>(fault);
      std::vector<std::uint64_t> places = Places(seed, undisturbed.calls_of(kind), 2);
      sites[fault].AddUnstruck(undisturbed, seed, &places);
      for (const std::uint64_t at : places) {
        sites[fault].Strike(runs.One(seed, {.kind = Disturbance::Kind::kOneFault, .at = at, .fault = kind}));
      }
    }
  }
  runs.MustHaveGoneWell();
  for (const Sites& of_one_fault : sites) CHECK(of_one_fault.Unstruck() == "");
}

TEST_CASE("a disk that fills up: nothing acknowledged is lost, nobody waits for ever, and all goes on when there is room",
          "[engine][simulation][space]") {
  const std::uint64_t first = FirstSeed();
  Runs runs;
  std::uint64_t filled = 0;
  for (std::uint64_t seed = first; seed < first + Seeds(200, 5000) && !runs.TooMany(); ++seed) {
    if (runs.One(seed, {.kind = Disturbance::Kind::kSmallDisk}).refused > 0) ++filled;
  }
  runs.MustHaveGoneWell();
  if (Seeds(200, 5000) >= 100) CHECK(filled > Seeds(200, 5000) / 4);    // else it does not show much
}

// Not run unless it is asked for by name: LSMKV_KIND (of Disturbance::Kind), LSMKV_AT and LSMKV_MODE (a cut's or a fault's) say which run of LSMKV_FIRST_SEED it is.
TEST_CASE("one run", "[.][one]") {
  Disturbance disturbance{.kind = static_cast<Disturbance::Kind>(NumberFrom("LSMKV_KIND", 0)), .at = NumberFrom("LSMKV_AT", 1)};
  disturbance.cut_mode = static_cast<CutMode>(NumberFrom("LSMKV_MODE", 0));
  disturbance.fault = static_cast<Fault>(NumberFrom("LSMKV_MODE", 0));
  Runs runs;
  runs.One(FirstSeed(), disturbance);
  runs.MustHaveGoneWell();
}

TEST_CASE("of the test: where a sync is a lie, a power cut is found to lose what was acknowledged", "[engine][simulation][crash]") {
  const auto* const about = GENERATE("wal/wal_", "=db/wal", "sst/sstable_", "=db/sst", "blob/blob_", "=db/blob", "manifest_l", "=db");
  CAPTURE(about);
  const Runs quiet;
  bool found = false;
  for (std::uint64_t seed = 0; seed < 60 && !found; ++seed) {
    for (const std::uint64_t at : {100u, 200u, 400u, 800u}) {
      const Disturbance disturbance{.kind = Disturbance::Kind::kPowerCut, .at = at, .lies_about_syncs_of = about};
      found = found || !RunEngine(seed, disturbance).fault.empty();
    }
  }
  CHECK(found);
}

TEST_CASE("of the test: a compaction that forgets one key, or brings back what was deleted, is found", "[engine][simulation]") {
  using Betrayal = Disturbance::Betrayal;
  const auto [betrayal, words] = GENERATE(table<Betrayal, const char*>({{Betrayal::kForgetsKey, "is missing"}, {Betrayal::kForgetsDeletion, "should not be there"}}));
  CAPTURE(words);
  const Runs quiet;
  const auto kind = GENERATE(Disturbance::Kind::kNone, Disturbance::Kind::kPowerCut, Disturbance::Kind::kOneFault);
  CAPTURE(static_cast<int>(kind));
  std::uint64_t found = 0;
  std::uint64_t in_these_words = 0;       // of the whole tree; a Get may find it first
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Verdict verdict = RunEngine(seed, {.kind = kind, .at = 300, .betrayal = betrayal});
    if (!verdict.fault.empty()) ++found;
    if (verdict.fault.find(words) != std::string::npos) ++in_these_words;
  }
  CAPTURE(found, in_these_words);
  CHECK(found >= 10);
  CHECK(in_these_words > 0);
}
