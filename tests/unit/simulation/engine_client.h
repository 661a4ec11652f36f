// What the threads of a run share, and one thread that uses the engine at random.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine_run.h"
#include "history.h"
#include "lsmkv/engine.h"
#include "simulation.h"

namespace lsmkv::simulation {

/// Drops what it must not.
class Traitor final : public CompactionFilter {
 public:
  Traitor(Disturbance::Betrayal betrayal, const History& history) : betrayal_(betrayal), history_(history) {}
  bool IsDead(std::string_view key) const override {
    const bool is_there = history_.Newest(std::string(key)).has_value();
    return betrayal_ == Disturbance::Betrayal::kForgetsKey ? key == "k0" && is_there : !is_there;
  }
  bool IsRangeDead(std::string_view, std::string_view) const override { return false; }

 private:
  const Disturbance::Betrayal betrayal_;
  const History& history_;
};

/// By design the log has failed for good, until the engine is opened again.
bool HasFailedForGood(const Status& health);

/// The engine's: wrong by a constant.
class AheadClock final : public Clock {
 public:
  AheadClock(const Clock& world, std::chrono::milliseconds ahead) : world_(world), ahead_ms_(static_cast<std::uint64_t>(ahead.count())) {}
  std::uint64_t WallMillis() const override { return world_.WallMillis() + ahead_ms_; }
  std::chrono::microseconds Monotonic() const override { return world_.Monotonic(); }

 private:
  const Clock& world_;
  const std::uint64_t ahead_ms_;
};

/// Only one thread runs at a time, so nothing here is guarded.
struct Run : CommitListener {
  explicit Run(const Disturbance& by) : disturbance(by) {}

  /// Ok, or an error that the disturbance explains; any other is the run's fault.
  bool Went(const Status& status, const char* what);
  void Wrong(const std::string& what) {
    if (fault.empty()) fault = what;
  }
  void IsSafe(SequenceNumber sequence) { synced = std::max(synced, sequence); }
  void OnDurable(SequenceNumber durable, const Status&) override { IsSafe(durable); }
  bool IsLongOver() const { return fault_ended && clock.Monotonic() > *fault_ended + std::chrono::minutes(1); }
  bool disturbed() const { return disturbance.kind != Disturbance::Kind::kNone; }

  Moment Begin(Engine& engine) {
    const SequenceNumber first = engine.last_sequence();
    return {first, 0, clock.WallMillis(), 0, ++events, 0, history.jumps(), 0};
  }
  Moment End(Engine& engine, Moment moment) {
    moment.last = engine.last_sequence();
    EndWall(&moment);
    moment.until_event = ++events;
    return moment;
  }
  void BeginWall(Moment* moment) {
    moment->from_ms = clock.WallMillis();
    moment->from_jumps = history.jumps();
  }
  void EndWall(Moment* moment) {
    moment->until_ms = clock.WallMillis();
    moment->until_jumps = history.jumps();
  }
  /// Somebody sets the wall clock: by about as much as deadlines are off, or by far more, or back again.
  void JumpClock(std::uint64_t random);

  const Disturbance disturbance;
  FaultFileSystem fs;
  SimulatedClock clock;
  AheadClock engine_clock{clock, disturbance.clock_ahead};
  Options options;
  std::uint32_t keys = 20;
  bool clock_jumps = false;
  std::chrono::milliseconds last_jump{0};
  bool few_keys = false;              // and they are read more than written
  std::uint64_t value_bytes = 120;   ///< at most
  int large_left = 0;                ///< batches for WriteLarge() that somebody may still write: they cost the judge time
  History history;
  Traitor traitor{disturbance.betrayal, history};
  SequenceNumber synced = 0;         ///< safe from a power cut
  SequenceNumber handed = 0;         ///< safe from the death of the process
  bool power_is_cut = false;         ///< everybody stops
  std::uint64_t writes = 0;
  std::uint64_t stopped = 0;         ///< waits for OnWritable()
  std::uint64_t refused = 0;         ///< for want of room
  std::array<std::uint64_t, kFaults> calls{};    ///< this and the next two as in Verdict
  std::array<SiteCalls, kFaults> sites;
  CallSite struck;
  bool is_ending = false;            ///< the clients are gone
  std::uint64_t recycled = 0;        ///< segments of the log, as in Verdict
  std::uint64_t directories = 0;     ///< of checkpoints and bundles, so far
  std::uint64_t events = 0;
  bool trouble_is_over = false;      ///< from now on no error is explained
  std::optional<std::chrono::microseconds> fault_ended;   ///< when what lasted for a while did
  std::string fault;                 ///< the first one
};

/// Walks over all there is; nullopt when an error that may be stopped it.
std::optional<State> ReadAll(Run& run, Engine& engine, const ReadOptions& options, bool backward = false);

class Client {
 public:
  Client(Run& run, Engine& engine, std::uint64_t seed, int number);
  void Work();

 private:
  enum Action : std::uint8_t {
    kWrite, kCommit, kSync, kGet, kScan, kSnapshot, kFlush, kCompact, kSleep, kReload, kScrub, kCheckpoint, kIngest, kSettings, kJump, kActions
  };
  void Act(Action action);
  void Write();
  void WaitForAdmission(std::uint64_t bytes);
  Result<SequenceNumber> WriteBatchOnce(WriteBatch batch, bool may_use_reserve);
  void Commit();
  void Get();
  void Scan();
  void ScanPart(ReadOptions options, const State& all);
  void Snapshot();
  void Flush();
  void Checkpoint();
  void Ingest();
  void Settings();
  std::string SomeKey() { return "k" + std::to_string(random_() % run_.keys); }

  Run& run_;
  Engine& engine_;
  std::mt19937_64 random_;
  const int number_;
  bool asks_ = false;                 // AdmitWrite(), as the server's loops do, and is not kept waiting
  int step_ = 0;
  std::vector<std::uint32_t> weights_;
  std::shared_ptr<const lsmkv::Snapshot> snapshot_;
  Moment snapshot_moment_;
};

}  // namespace lsmkv::simulation
