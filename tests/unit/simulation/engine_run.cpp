#include "engine_run.h"

#include <algorithm>
#include <random>
#include <vector>

#include "base/thread.h"
#include "call_sites.h"
#include "engine_client.h"
#include "fault_watch.h"
#include "random_options.h"

namespace lsmkv::simulation {
namespace {

using std::chrono::microseconds;
using Kind = Disturbance::Kind;

constexpr std::uint64_t kRoomBytes = 1ull << 40;

class Script {
 public:
  Script(Run& run, std::uint64_t seed) : run_(run), seed_(seed), random_(seed) {}
  void Play();

 private:
  void ArmFault();
  void LieAboutSyncs(const std::string& about);
  bool Open(bool must);
  void Close();
  void RunClients();
  void CheckAtRest();
  void CheckAfterEnd(SequenceNumber least);
  void UseAgain();
  void WaitForHealth();
  void MustBeWellByItself();
  void FillDisk(std::uint64_t bytes);
  void DeleteAll();
  void CutPower(std::uint64_t seed, CutMode mode);
  void Kill();
  void EndByPowerCut();
  void EndOtherwise();

  Run& run_;
  const std::uint64_t seed_;
  std::mt19937_64 random_;
  bool log_failed_ = false;           // what recovery finds of it is not to be hidden by a flush
  bool empties_itself_ = false;       // a small disk is not made larger, but emptied
  std::unique_ptr<Engine> engine_;
};

void Script::LieAboutSyncs(const std::string& about) {
  run_.fs.LieAboutSyncs([about](const std::string& path) {
    return about.starts_with('=') ? path == about.substr(1) : path.find(about) != std::string::npos;
  });
}

bool Script::Open(bool must) {
  if (run_.clock_jumps && random_() % 2 == 0) run_.JumpClock(random_());
  Result<std::unique_ptr<Engine>> opened = Engine::Open(run_.options);
  if (!opened) {
    if (must) run_.Wrong("opening failed: " + opened.error().message());
    run_.Went(opened.status(), "opening");
    return false;
  }
  engine_ = std::move(*opened);
  engine_->AddCommitListener(&run_);
  return true;
}

void Script::Close() {
  if (engine_ == nullptr) return;
  run_.IsSafe(engine_->durable_sequence());
  run_.recycled += engine_->Stats().wal_recycled_segments;
  engine_->RemoveCommitListener(&run_);
  engine_->ReleaseThreadView();
  engine_.reset();
}

void Script::RunClients() {
  const FaultWatch watch(run_, *engine_, microseconds(1000ull << (seed_ + run_.disturbance.at) % 18));
  std::vector<Thread> threads;
  const std::uint64_t count = 1 + random_() % 3;
  const std::uint64_t seed = random_();
  for (std::uint64_t i = 0; i < count; ++i) {
    threads.emplace_back("client", [this, seed, i] {
      Client client(run_, *engine_, seed, static_cast<int>(i));
      client.Work();
    });
  }
  for (Thread& thread : threads) thread.Join();
  run_.IsSafe(engine_->durable_sequence());
  if (const std::string fault = run_.history.Fault(); !fault.empty()) run_.Wrong(fault);
}

void Script::CheckAtRest() {
  if (!run_.fault.empty()) return;
  const SequenceNumber at = engine_->last_sequence();
  if (run_.history.gaps() ? at < run_.history.last() : at != run_.history.last()) {
    return run_.Wrong("the last sequence number is " + std::to_string(at) + ", not " + std::to_string(run_.history.last()));
  }
  Moment moment{.first = at, .last = at};
  run_.BeginWall(&moment);
  ReadOptions options;
  options.now_ms = moment.from_ms;
  const std::optional<State> all = ReadAll(run_, *engine_, options, random_() % 2 == 0);
  if (!all) return;
  run_.EndWall(&moment);
  const std::string fault = run_.history.FaultAt(moment, at, *all);
  if (!fault.empty()) run_.Wrong("at rest: " + fault);
}

/// The tree has been opened again: it must be what was written up to some batch, `least` or later.
void Script::CheckAfterEnd(SequenceNumber least) {
  if (!run_.fault.empty()) return;
  const SequenceNumber at = engine_->last_sequence();
  least = run_.history.LastUpTo(least);         // numbers given to nothing need not come back
  if (at < least) return run_.Wrong("after the end it is as of " + std::to_string(at) + ", acknowledged was " + std::to_string(least));
  if (!run_.history.IsBoundary(at)) return run_.Wrong("after the end it is as of " + std::to_string(at) + ", where no batch ends");
  run_.history.Forget(at);
  run_.synced = std::min(run_.synced, at);      // the numbers after it are given again
  run_.handed = std::min(run_.handed, at);
  run_.IsSafe(engine_->durable_sequence());
  CheckAtRest();
}

/// Goes on with what was recovered: new writes, everything merged, opened once more, after an orderly end or a power cut: what recovery has read is as
/// safe then as what was synced after it, also where a sync had failed before.
void Script::UseAgain() {
  if (!run_.fault.empty()) return;
  for (int i = 0; i < (log_failed_ ? 1 : 5); ++i) {
    WriteBatch batch;
    const Change change{"k" + std::to_string(random_() % run_.keys), "again" + std::to_string(i), 0};
    batch.Put(change.key, *change.value);
    const Result<SequenceNumber> written = engine_->Write(batch);
    if (!written) return run_.Wrong("Write failed, though nothing is in its way: " + written.error().message());
    run_.history.Wrote(*written, {change}, run_.history.jumps());
  }
  if (Status status = engine_->Sync(); !status.ok()) return run_.Wrong("Sync failed, though nothing is in its way: " + status.message());
  if (!log_failed_ && random_() % 2 == 0) {
    if (Status status = engine_->Compact(); !status.ok()) return run_.Wrong("Compact failed, though nothing is in its way: " + status.message());
  }
  CheckAtRest();
  const SequenceNumber last = engine_->last_sequence();
  if (!log_failed_ && random_() % 2 == 0) {
    Close();
  } else {
    CutPower(seed_ + 2, static_cast<CutMode>(random_() % 6));
  }
  if (Open(true)) CheckAfterEnd(last);
}

/// Trouble that is over must end: in a minute all is well, or the log has failed for good.
void Script::WaitForHealth() {
  for (int i = 0; i < 600; ++i) {
    const Status health = engine_->WriteHealth();
    if (HasFailedForGood(health)) return;
    Status status = health;
    if (status.ok()) status = engine_->Flush();
    if (status.ok()) return;
    SleepFor(microseconds(100'000));
  }
  run_.Wrong("a minute after the trouble: " + engine_->WriteHealth().message() + "; Flush: " + engine_->Flush().message());
}

/// Nobody asks for anything for a minute; then all is well, or the log has failed for good.
void Script::MustBeWellByItself() {
  SleepFor(std::chrono::minutes(1));
  if (HasFailedForGood(engine_->WriteHealth())) return;
  WriteBatch batch;
  const Change change{"k0", "well again", 0};
  batch.Put(change.key, *change.value);
  const auto must = [this](const Status& status, const char* what) {
    if (!status.ok() && !HasFailedForGood(engine_->WriteHealth())) run_.Wrong(std::string("a minute after the trouble ") + what + " failed: " + status.message());
    return status.ok();
  };
  if (!must(engine_->WriteHealth(), "WriteHealth")) return;
  const Result<SequenceNumber> written = engine_->Write(batch);
  if (!must(written.status(), "Write")) return;
  run_.history.Wrote(*written, {change}, run_.history.jumps());
  must(engine_->Flush(), "Flush");
}

/// Whoever still runs changes nothing more: with the power the process is gone.
void Script::CutPower(std::uint64_t seed, CutMode mode) {
  run_.fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);
  run_.fs.PowerCut(seed, mode);
  if (engine_ != nullptr) engine_->RemoveCommitListener(&run_);
  engine_.reset();
  run_.fs.ClearFaults();
}

/// What the process has written stays; it writes nothing more.
void Script::Kill() {
  run_.fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);
  engine_->RemoveCommitListener(&run_);
  engine_.reset();
  run_.fs.ClearFaults();
}

void Script::EndByPowerCut() {
  const CutMode mode = run_.disturbance.cut_mode;
  if (engine_ != nullptr) run_.IsSafe(engine_->durable_sequence());
  CutPower(seed_, mode);
  run_.fs.LieAboutSyncs({});
  SequenceNumber least = run_.synced;
  if (mode == CutMode::kKept) least = std::max(least, run_.handed);
  if (random_() % 3 == 0) {                     // and another one while it is being opened
    run_.fs.FailCall(1 + random_() % 60, Fault::kWriteError, FaultSpan::kFromThenOn);
    Open(false);
    CutPower(seed_ + 1, mode);
  }
  run_.trouble_is_over = true;
  if (!Open(true)) return;
  CheckAfterEnd(least);
  UseAgain();
}

void Script::FillDisk(std::uint64_t bytes) {
  const auto file = run_.fs.NewWritableFile("others");
  if (!file || !(*file)->Append(std::string(bytes, 'o')).ok() || !(*file)->Sync().ok()) run_.Wrong("the disk could not be filled");
}

/// A full disk can be emptied through the engine itself: deletions are taken, and what they free lets writes go on.
void Script::DeleteAll() {
  constexpr int kMostTries = 3000;                          // a minute each
  constexpr microseconds kPause{20'000};
  const auto insist = [&](const Change& change, bool may_use_reserve) {
    WriteBatch batch;
    change.value ? batch.Put(change.key, *change.value) : batch.Delete(change.key);
    for (int i = 0; i < kMostTries; ++i, SleepFor(kPause)) {
      const Result<SequenceNumber> written = engine_->Write(batch, {.may_use_reserve = may_use_reserve});
      if (written) return run_.history.Wrote(*written, {change}, run_.history.jumps());
      if (written.error().code() != StatusCode::kNoSpace) return run_.Wrong("on a full disk: " + written.error().message());
    }
    run_.Wrong(std::string(change.value ? "a write" : "a deletion") + " is still refused after a minute, though all else is deleted: " +
               engine_->WriteHealth().message());
  };
  for (std::uint32_t key = 0; key < run_.keys && run_.fault.empty(); ++key) insist({"k" + std::to_string(key), std::nullopt, 0}, true);
  engine_->ReleaseThreadView();
  if (run_.fault.empty()) insist({"k0", "there is room", 0}, false);
}

void Script::EndOtherwise() {
  SequenceNumber least = std::max(run_.synced, run_.handed);
  if (engine_ != nullptr) {
    if (run_.disturbance.kind == Kind::kSmallDisk) {
      if (empties_itself_) DeleteAll();
      run_.fs.SetCapacity(kRoomBytes);
    }
    EndFault(run_);
    if (run_.disturbance.kind == Kind::kLasting) {
      MustBeWellByItself();
    } else if (run_.disturbed()) {
      WaitForHealth();
    }
    if (!run_.fault.empty()) return;
    if (!run_.disturbed() || run_.fs.fired() == 0) least = engine_->last_sequence();
    if (!run_.fault.empty()) return;
    run_.trouble_is_over = true;                // of reads; the log may have failed for good, until it is opened again
    CheckAtRest();
    log_failed_ = engine_->WriteHealth().code() == StatusCode::kIoError;
    const bool failed = run_.disturbance.kind == Kind::kOneFault || run_.disturbance.kind == Kind::kLasting;
    if (failed && (log_failed_ || random_() % 2 == 0)) {
      run_.IsSafe(engine_->durable_sequence());
      const bool killed = random_() % 4 < (log_failed_ ? 3 : 1);
      least = killed ? std::max(run_.synced, run_.handed) : run_.synced;
      killed ? Kill() : CutPower(seed_, static_cast<CutMode>(random_() % 6));
    }
  }
  Close();
  run_.fs.ClearFaults();
  run_.trouble_is_over = true;
  if (!Open(true)) return;
  CheckAfterEnd(least);
  UseAgain();
}

/// Each kind of run arms something, those without a fault one that never strikes: to do so is a step, and the steps before a fault are to be the same
/// whatever the disturbance, or it strikes elsewhere than where it was aimed at.
void Script::ArmFault() {
  const Disturbance& by = run_.disturbance;
  switch (by.kind) {
    case Kind::kPowerCut: return run_.fs.FailCall(by.at, Fault::kWriteError, FaultSpan::kFromThenOn);
    case Kind::kOneFault: return run_.fs.FailCall(by.at, by.fault);
    case Kind::kLasting: return run_.fs.FailCall(by.at, by.fault, FaultSpan::kForAWhile);
    case Kind::kNone:
    case Kind::kSmallDisk: return run_.fs.FailCall(UINT64_MAX, Fault::kIoError);
  }
}

void Script::Play() {
  run_.options = RandomOptions(random_, &run_.fs, &run_.engine_clock);
  run_.keys = 4 + static_cast<std::uint32_t>(random_() % 40);
  if (random_() % 5 == 0) {           // few keys, read and deleted again and again, behind memtables that are soon flushed: what caches may get wrong
    run_.keys = 1 + static_cast<std::uint32_t>(random_() % 3);
    run_.few_keys = true;
    run_.options.memtable_entries = 2 + random_() % 4;
    run_.options.row_cache_percent = 80;
    run_.options.block_cache_bytes = 1 << 20;
  }
  run_.clock_jumps = seed_ % 3 == 0;
  if (run_.clock_jumps && random_() % 2 == 0) {   // a deep tree of few keys: what expires hides older values below
    run_.options.memtable_entries = 2 + random_() % 4;
    run_.options.base_level_entries = 2 + random_() % 5;
    run_.options.max_l0_sstables = 1;
    run_.options.level_ratio = 2;
  }
  const Disturbance& by = run_.disturbance;
  if (by.kind != Kind::kSmallDisk && seed_ % 10 == 0) run_.large_left = 1;
  if (by.betrayal != Disturbance::Betrayal::kNone) run_.options.compaction_filter = &run_.traitor;
  ArmFault();
  const std::uint64_t phases = 1 + random_() % 2;
  std::uint64_t capacity = 6'000 + random_() % 20'000;
  if (by.kind == Kind::kSmallDisk) {
    if (random_() % 2 == 0) {         // one that others have filled, with a reserve that is large beside a few writes
      run_.value_bytes = 8'000;
      capacity = 4'000'000;
      run_.options.disk_reserve_bytes = 50'000 + random_() % 150'000;
      run_.options.compression = Compression::kNone;
      FillDisk(3'000'000 + random_() % 700'000);
      empties_itself_ = true;
    } else if (random_() % 2 == 0) {
      run_.options.disk_reserve_bytes = capacity;
    }
    run_.fs.SetCapacity(capacity);
  }
  for (std::uint64_t phase = 0; phase < phases && run_.fault.empty() && !run_.power_is_cut; ++phase) {
    if (phase > 0) {
      const SequenceNumber least = engine_ == nullptr ? 0 : std::max(run_.synced, run_.handed);
      Close();
      if (!Open(!run_.disturbed())) continue;
      CheckAfterEnd(least);
    } else if (!Open(!run_.disturbed())) {
      continue;
    }
    if (phase == 0 && !by.lies_about_syncs_of.empty()) LieAboutSyncs(by.lies_about_syncs_of);
    RunClients();
    if (!run_.power_is_cut) CheckAtRest();
  }
  run_.is_ending = true;
  if (run_.fault.empty()) {
    by.kind == Kind::kPowerCut ? EndByPowerCut() : EndOtherwise();
  }
  Close();
}

}  // namespace

Verdict RunEngine(std::uint64_t seed, const Disturbance& disturbance) {
  const auto run = std::make_shared<Run>(disturbance);      // outlives this if the simulation ends badly
  NoteSites(*run);
  Verdict verdict;
  verdict.outcome = Simulate(seed, [run, seed] { Script(*run, seed).Play(); });
  verdict.fault = run->fault;
  constexpr microseconds kLongestWait{1'100'000};           // everysec syncs once a second
  if (!verdict.outcome.ok()) {
    verdict.fault += (verdict.fault.empty() ? "" : "; ") + verdict.outcome.report;
    (void)new std::shared_ptr<Run>(run);
    return verdict;
  }
  if (verdict.fault.empty() && !run->disturbed() && verdict.outcome.longest_wait > kLongestWait) {
    verdict.fault = "somebody waited for " + std::to_string(verdict.outcome.longest_wait.count()) + " us, and nobody did anything";
  }
  verdict.writes = run->writes;
  verdict.stopped = run->stopped;
  verdict.refused = run->refused;
  verdict.recycled = run->recycled;
  for (std::size_t fault = 0; fault < kFaults; ++fault) verdict.calls[fault] = run->fs.calls(static_cast<Fault>(fault));
  verdict.sites = run->sites;
  verdict.struck = run->struck;
  verdict.fired = run->fs.fired();
  return verdict;
}

std::string Describe(std::uint64_t seed, const Disturbance& disturbance, const Verdict& verdict) {
  std::string text = "seed " + std::to_string(seed);
  switch (disturbance.kind) {
    case Kind::kNone: break;
    case Kind::kPowerCut:
      text += ", power cut at call " + std::to_string(disturbance.at) + ", mode " + std::to_string(static_cast<int>(disturbance.cut_mode));
      break;
    case Kind::kOneFault:
      text += ", fault " + std::to_string(static_cast<int>(disturbance.fault)) + " at call " + std::to_string(disturbance.at);
      break;
    case Kind::kLasting:
      text += ", fault " + std::to_string(static_cast<int>(disturbance.fault)) + " for a while from call " + std::to_string(disturbance.at) + " on";
      break;
    case Kind::kSmallDisk: text += ", a small disk"; break;
  }
  const int mode = static_cast<int>(disturbance.kind == Kind::kPowerCut ? static_cast<std::uint8_t>(disturbance.cut_mode)
                                                                        : static_cast<std::uint8_t>(disturbance.fault));
  return text + ": " + verdict.fault + "\n  again: LSMKV_FIRST_SEED=" + std::to_string(seed) + " LSMKV_KIND=" +
         std::to_string(static_cast<int>(disturbance.kind)) + " LSMKV_AT=" + std::to_string(disturbance.at) + " LSMKV_MODE=" +
         std::to_string(mode) + " build/test/tests/unit/simulation/simulation_test 'one run'";
}

}  // namespace lsmkv::simulation
