#include "engine_run.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <vector>

#include "base/mutex.h"
#include "base/thread.h"
#include "engine_client.h"

namespace lsmkv::simulation {
namespace {

using std::chrono::microseconds;
using Kind = Disturbance::Kind;

constexpr std::uint64_t kRoomBytes = 1ull << 40;

/// Limits so small that every path is taken in few steps.
Options OptionsOf(std::mt19937_64& random, FaultFileSystem* fs, Clock* clock) {
  const auto pick = [&random](std::uint64_t least, std::uint64_t most) { return least + random() % (most - least + 1); };
  const auto small = [&](std::uint64_t least, std::uint64_t most) { return static_cast<std::uint32_t>(pick(least, most)); };
  Options options;
  options.dir = "db";
  options.file_system = fs;
  options.clock = clock;
  options.memtable_entries = pick(3, 30);
  options.max_immutable_memtables = small(1, 3);
  options.max_memory_bytes = pick(0, 3) == 0 ? pick(5'000, 60'000) : 0;
  options.base_level_entries = pick(10, 60);
  options.base_level_bytes = 0;
  options.level_ratio = small(2, 4);
  options.max_l0_sstables = small(1, 4);
  options.l0_slowdown_sstables = options.max_l0_sstables + small(0, 3);
  options.l0_stop_sstables = options.l0_slowdown_sstables + small(1, 4);
  options.soft_limit_ratio = pick(0, 1) == 0 ? 0.85 : 1.0;
  options.max_sstable_bytes = pick(0, 2) == 0 ? 0 : pick(300, 2000);
  options.dead_max_age_ms = pick(0, 1) == 0 ? 600'000 : pick(100, 5000);
  options.block_bytes = pick(100, 500);
  options.row_cache_percent = pick(0, 1) == 0 ? 0 : 80;
  options.block_cache_bytes = (options.row_cache_percent == 0 ? pick(1, 64) : pick(100, 1000)) << 10;
  options.max_open_sstables = small(1, 6);
  options.bloom_bits_per_key = pick(0, 1) == 0 ? 0 : 10;
  options.compression = static_cast<Compression>(pick(0, 2));
  options.min_blob_bytes = pick(0, 1) == 0 ? 0 : pick(1, 80);
  options.wal_fsync = static_cast<WalFsync>(pick(0, 2));
  options.flush_workers = small(1, 2);
  options.compaction_workers = small(1, 3);
  options.background_bytes = pick(0, 3) == 0 ? 1 : 64 << 20;
  options.compaction_bytes_per_second = pick(0, 5) == 0 ? 2 << 20 : 0;
  options.scrub_interval_ms = pick(0, 7) == 0 ? pick(1000, 60'000) : 0;
  return options;
}

class Script {
 public:
  Script(Run& run, std::uint64_t seed) : run_(run), seed_(seed), random_(seed) {}
  void Play();

 private:
  void LieAboutSyncs(const std::string& about);
  class Watch;
  bool Open(bool must);
  void Close();
  void RunClients();
  void CheckAtRest();
  void CheckAfterEnd(SequenceNumber least);
  void UseAgain();
  void WaitForHealth();
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

/// A disk that fails for good keeps who waits for an ingest waiting until the engine closes: nobody knows whether it has happened.
/// So the engine is told to close, a minute after the first failure.
class Script::Watch {
 public:
  Watch(Run& run, Engine& engine) : run_(run), engine_(engine), thread_("watch", [this] { Work(); }) {
    run_.fs.OnFault([this] {
      const MutexLock lock(mutex_);
      failed_ = true;
      changed_.NotifyAll();
    });
  }
  ~Watch() {
    run_.fs.OnFault({});
    {
      const MutexLock lock(mutex_);
      over_ = true;
      changed_.NotifyAll();
    }
    thread_.Join();
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  void Work() {
    const microseconds minute = std::chrono::minutes(1);
    const MutexLock lock(mutex_);
    while (!failed_ && !over_) changed_.Wait(mutex_);
    const microseconds until = run_.clock.Monotonic() + minute;
    while (!over_ && run_.clock.Monotonic() < until) changed_.WaitFor(mutex_, minute);
    if (!over_ && run_.disturbance.kind == Kind::kPowerCut) engine_.PrepareToClose();
  }

  Run& run_;
  Engine& engine_;
  Mutex mutex_;
  CondVar changed_;
  bool failed_ LSMKV_GUARDED_BY(mutex_) = false;
  bool over_ LSMKV_GUARDED_BY(mutex_) = false;
  Thread thread_;
};

void Script::RunClients() {
  const Watch watch(run_, *engine_);
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
  ReadOptions options;
  options.now_ms = run_.clock.WallMillis();
  const std::optional<State> all = ReadAll(run_, *engine_, options, random_() % 2 == 0);
  if (!all) return;
  const std::string fault = run_.history.FaultAt({at, at, options.now_ms, run_.clock.WallMillis()}, at, *all);
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
    run_.history.Wrote(*written, {change});
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
    if (health.code() == StatusCode::kIoError && health.message().find("wal/") != std::string::npos &&
        health.message().find("segment") == std::string::npos) return;    // by design
    Status status = health;
    if (status.ok()) status = engine_->Flush();
    if (status.ok()) return;
    SleepFor(microseconds(100'000));
  }
  run_.Wrong("a minute after the trouble: " + engine_->WriteHealth().message() + "; Flush: " + engine_->Flush().message());
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
      if (written) return run_.history.Wrote(*written, {change});
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
    run_.fs.ClearFaults();
    if (run_.disturbed()) WaitForHealth();
    if (!run_.disturbed() || run_.fs.fired() == 0) least = engine_->last_sequence();
    if (!run_.fault.empty()) return;
    run_.trouble_is_over = true;                // of reads; the log may have failed for good, until it is opened again
    CheckAtRest();
    log_failed_ = engine_->WriteHealth().code() == StatusCode::kIoError;
    if (run_.disturbance.kind == Kind::kOneFault && (log_failed_ || random_() % 2 == 0)) {
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

void Script::Play() {
  run_.options = OptionsOf(random_, &run_.fs, &run_.clock);
  run_.keys = 4 + static_cast<std::uint32_t>(random_() % 40);
  if (random_() % 5 == 0) {           // few keys, read and deleted again and again, behind memtables that are soon flushed: what caches may get wrong
    run_.keys = 1 + static_cast<std::uint32_t>(random_() % 3);
    run_.few_keys = true;
    run_.options.memtable_entries = 2 + random_() % 4;
    run_.options.row_cache_percent = 80;
    run_.options.block_cache_bytes = 1 << 20;
  }
  const Disturbance& by = run_.disturbance;
  if (by.kind != Kind::kSmallDisk && seed_ % 10 == 0) run_.large_left = 1;
  if (by.betrayal != Disturbance::Betrayal::kNone) run_.options.compaction_filter = &run_.traitor;
  // One that never comes takes as many steps of the schedule to arm: so a run is the same as the undisturbed one up to the call.
  if (by.kind == Kind::kNone) run_.fs.FailCall(UINT64_MAX, Fault::kWriteError);
  if (by.kind == Kind::kPowerCut) run_.fs.FailCall(by.at, Fault::kWriteError, FaultSpan::kFromThenOn);
  if (by.kind == Kind::kOneFault) run_.fs.FailCall(by.at, by.fault);
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

CallSite SiteOf(FaultFileSystem::Call call, const std::string& path) {
  constexpr const char* kNames[] = {"look at", "open", "read", "create", "append to", "resize", "sync", "close", "rename", "link", "remove"};
  CallSite site = std::string(kNames[static_cast<std::size_t>(call)]) + " ";
  std::ranges::copy_if(path, std::back_inserter(site), [](char c) { return c < '0' || c > '9'; });
  return site;
}

/// Called by the file system, under its lock.
void NoteSites(Run& run) {
  run.fs.OnCall([&run](FaultFileSystem::Call call, const std::string& path, std::optional<Fault> struck) {
    constexpr std::size_t kFirst = 6;
    const CallSite site = SiteOf(call, path);
    if (struck && run.struck.empty()) run.struck = site;
    if (run.is_ending) return;               // there a disturbed run goes another way
    for (std::size_t fault = 0; fault < kFaults; ++fault) {
      if (!FaultFileSystem::Concerns(static_cast<Fault>(fault), call)) continue;
      const std::uint64_t number = ++run.calls[fault];
      std::vector<std::uint64_t>& calls = run.sites[fault][site];
      if (calls.size() < kFirst) calls.push_back(number);
    }
  });
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
    case Kind::kSmallDisk: text += ", a small disk"; break;
  }
  const int mode = static_cast<int>(disturbance.kind == Kind::kPowerCut ? static_cast<std::uint8_t>(disturbance.cut_mode)
                                                                        : static_cast<std::uint8_t>(disturbance.fault));
  return text + ": " + verdict.fault + "\n  again: LSMKV_FIRST_SEED=" + std::to_string(seed) + " LSMKV_KIND=" +
         std::to_string(static_cast<int>(disturbance.kind)) + " LSMKV_AT=" + std::to_string(disturbance.at) + " LSMKV_MODE=" +
         std::to_string(mode) + " build/test/tests/unit/simulation/simulation_test 'one run'";
}

}  // namespace lsmkv::simulation
