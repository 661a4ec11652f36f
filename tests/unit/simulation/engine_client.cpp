#include "engine_client.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/mutex.h"
#include "base/thread.h"
#include "engine/bundle/bundle_writer.h"

namespace lsmkv::simulation {

bool HasFailedForGood(const Status& health) {
  return health.code() == StatusCode::kIoError && health.message().find("wal/") != std::string::npos &&
         health.message().find("segment") == std::string::npos;
}

bool Run::Went(const Status& status, const char* what) {
  if (status.ok()) return true;
  const std::string text = std::string(what) + " failed: " + status.message();
  if (status.code() == StatusCode::kCorruption) Wrong(text);
  if (status.code() == StatusCode::kNoSpace) ++refused;
  if (trouble_is_over) Wrong(text + ", though the trouble is over");
  switch (disturbance.kind) {
    case Disturbance::Kind::kNone: Wrong(text); break;
    case Disturbance::Kind::kPowerCut: power_is_cut = true; [[fallthrough]];
    case Disturbance::Kind::kOneFault:
      if (fs.fired() == 0) Wrong(text);
      break;
    case Disturbance::Kind::kLasting:
      if (fs.fired() == 0) Wrong(text);
      if (IsLongOver() && !HasFailedForGood(status)) Wrong(text + ", a minute after the trouble");
      break;
    case Disturbance::Kind::kSmallDisk:
      if (status.code() != StatusCode::kNoSpace && status.code() != StatusCode::kIoError) Wrong(text);
      break;
  }
  return false;
}

void Run::JumpClock(std::uint64_t random) {
  constexpr std::int64_t kNear = 5'000;
  constexpr std::int64_t kFar = 100'000'000;
  const std::int64_t most = random % 4 == 0 ? kFar : kNear;
  const std::uint64_t before_ms = clock.WallMillis();
  const bool goes_back = random / 4 % 2 == 0 && last_jump.count() != 0;
  last_jump = goes_back ? -last_jump : std::chrono::milliseconds(static_cast<std::int64_t>(random >> 8) % (2 * most) - most);
  clock.Jump(last_jump);
  if (goes_back) last_jump = {};
  history.Jumped({before_ms, clock.WallMillis()});
}

std::optional<State> ReadAll(Run& run, Engine& engine, const ReadOptions& options, bool backward) {
  State found;
  const std::unique_ptr<Iterator> it = engine.NewIterator(options);
  backward ? it->SeekToLast() : it->SeekToFirst();
  std::string before;
  for (; it->Valid(); backward ? it->Prev() : it->Next()) {
    const std::string key(it->key());
    if (!found.empty() && (backward ? key >= before : key <= before)) run.Wrong("an iterator goes from " + before + " to " + key);
    before = key;
    Value value{std::string(it->value()), it->expire_at_ms(), 0};
    if (!it->Valid()) break;            // the value could not be read
    found.emplace(key, std::move(value));
  }
  if (!run.Went(it->status(), "reading all")) return std::nullopt;
  return found;
}

Client::Client(Run& run, Engine& engine, std::uint64_t seed, int number)
    : run_(run), engine_(engine), random_(seed * 1'000'003 + static_cast<std::uint64_t>(number)), number_(number) {
  // How often, at most: each client has some of these habits and others not.
  constexpr std::uint32_t kMost[kActions] = {60, 12, 12, 25, 5, 6, 4, 2, 5, 1, 1, 1, 1, 1, 6};
  for (const std::uint32_t most : kMost) weights_.push_back(static_cast<std::uint32_t>(random_() % (most + 1)));
  weights_[kWrite] += 5;
  if (!run_.clock_jumps) weights_[kJump] = 0;
  asks_ = random_() % 2 == 0;
  if (run_.few_keys) weights_[kGet] += 2 * weights_[kWrite];
  if (run_.disturbance.kind == Disturbance::Kind::kSmallDisk) {
    weights_[kCheckpoint] = 0;        // they keep what is deleted
    weights_[kIngest] = 0;            // whether one has happened whose manifest finds no room is not sure before it does
  }
}

void Client::Work() {
  const std::uint32_t all = std::accumulate(weights_.begin(), weights_.end(), 0u);
  const int steps = 10 + static_cast<int>(random_() % 70);
  for (step_ = 0; step_ < steps && !run_.power_is_cut && run_.fault.empty(); ++step_) {
    std::uint32_t pick = static_cast<std::uint32_t>(random_() % all);
    std::size_t action = 0;
    while (pick >= weights_[action]) pick -= weights_[action++];
    Act(static_cast<Action>(action));
    run_.IsSafe(engine_.durable_sequence());
  }
}

void Client::Act(Action action) {
  switch (action) {
    case kWrite: return Write();
    case kGet: return Get();
    case kScan: return Scan();
    case kSnapshot: return Snapshot();
    case kFlush: return Flush();
    case kCheckpoint: return Checkpoint();
    case kIngest: return Ingest();
    case kSettings: return Settings();
    case kJump: return run_.JumpClock(random_());
    case kCommit: return Commit();
    case kSync: {
      const SequenceNumber written = engine_.last_sequence();
      const ExpectsAnswers promptly;
      if (run_.Went(engine_.Sync(), "Sync")) run_.IsSafe(written);
      return;
    }
    case kCompact: {
      const SequenceNumber written = engine_.last_sequence();
      const ExpectsAnswers promptly;
      const Status status = random_() % 2 == 0 ? engine_.Compact() : engine_.Compact(0, 1);
      if (run_.Went(status, "Compact")) run_.IsSafe(written);
      return;
    }
    case kReload: {
      const ExpectsAnswers promptly;
      run_.Went(engine_.Reload().status(), "Reload");
      return;
    }
    case kScrub: {
      const Result<ScrubReport> report = engine_.Scrub();
      if (!report && report.error().code() == StatusCode::kBusy) return;
      if (run_.Went(report.status(), "Scrub") && report->damage != 0 && !run_.disturbed()) run_.Wrong("a scrub found damage");
      return;
    }
    case kSleep: return SleepFor(std::chrono::microseconds(1ull << (random_() % 22)));
    case kActions: return;
  }
}

void Client::Commit() {
  if (random_() % 4 == 0) run_.Went(engine_.CommitSoon().status(), "CommitSoon");
  const SequenceNumber written = engine_.last_sequence();
  const Result<SequenceNumber> wait_for = engine_.Commit();
  if (run_.Went(wait_for.status(), "Commit") && *wait_for == 0) run_.handed = std::max(run_.handed, written);
}

/// Nobody else wakes who waits here: a call of OnWritable's that is lost is a deadlock.
void Client::WaitForAdmission(std::uint64_t bytes) {
  struct Call {
    Mutex mutex;
    CondVar came;
    bool has_come LSMKV_GUARDED_BY(mutex) = false;
  };
  while (true) {
    const Admission admission = engine_.AdmitWrite(bytes);
    if (admission.kind == Admission::Kind::kDelay) SleepFor(admission.delay);
    if (admission.kind != Admission::Kind::kStop) return;
    const auto call = std::make_shared<Call>();
    engine_.OnWritable([call] {
      const MutexLock lock(call->mutex);
      call->has_come = true;
      call->came.NotifyAll();
    });
    const ExpectsAnswers promptly;
    const MutexLock lock(call->mutex);
    while (!call->has_come) call->came.Wait(call->mutex);
    ++run_.stopped;
  }
}

Result<SequenceNumber> Client::WriteBatchOnce(WriteBatch batch, bool may_use_reserve) {
  const WriteOptions options{.wait_for_admission = !asks_, .may_use_reserve = may_use_reserve};
  if (asks_) WaitForAdmission(batch.operations().size());
  const ExpectsAnswers promptly;
  if (batch.operations().size() >= Engine::kLargeBatchBytes) return engine_.WriteLarge(std::move(batch), options);
  return engine_.Write(batch, options);
}

void Client::Write() {
  const std::size_t jumps = run_.history.jumps();
  WriteBatch batch;
  std::vector<Change> changes;
  const bool deletes_only = random_() % 5 == 0;
  for (std::uint64_t i = random_() % 4 == 0 ? random_() % 6 : 0; ; --i) {
    Change change{SomeKey(), std::nullopt, 0};
    if (!deletes_only && random_() % 6 != 0) {
      const bool large = run_.large_left > 0 && random_() % 8 == 0;
      if (large) --run_.large_left;
      const std::uint64_t bytes = large ? Engine::kLargeBatchBytes : random_() % run_.value_bytes;
      change.value = std::to_string(number_) + "." + std::to_string(step_) + "." + std::to_string(i) + std::string(bytes, 'v');
      if (random_() % (run_.clock_jumps ? 2 : 6) == 0) change.expire_at_ms = run_.clock.WallMillis() + 1 + random_() % 3000;
      batch.Put(change.key, *change.value, change.expire_at_ms);
    } else {
      batch.Delete(change.key);
    }
    changes.push_back(std::move(change));
    if (i == 0) break;
  }
  const Result<SequenceNumber> written = WriteBatchOnce(std::move(batch), deletes_only);
  if (!run_.Went(written.status(), "Write")) return;
  run_.history.Wrote(*written, std::move(changes), jumps);
  ++run_.writes;
}

void Client::Get() {
  const std::string key = SomeKey();
  const Moment moment = run_.Begin(engine_);
  ReadOptions options;
  options.memory_only = random_() % 4 == 0;
  const Result<std::optional<PinnedValue>> found = engine_.Get(key, options);
  if (!found && found.error().code() == StatusCode::kWouldBlock) return;
  if (!run_.Went(found.status(), "Get")) return;
  std::optional<Value> value;
  if (*found) value = Value{std::string((*found)->data()), (*found)->expire_at_ms(), 0};
  run_.history.Saw(run_.End(engine_, moment), key, std::move(value));
  if (random_() % 4 == 0) engine_.ReleaseThreadView();
}

void Client::Scan() {
  Moment moment = run_.Begin(engine_);
  ReadOptions options;
  options.snapshot = engine_.GetSnapshot();
  options.now_ms = moment.from_ms;
  moment = run_.End(engine_, moment);
  const SequenceNumber sequence = options.snapshot->sequence();
  if (sequence < moment.first || sequence > moment.last) run_.Wrong("a snapshot of another time");
  moment.first = moment.last = sequence;
  std::optional<State> all = ReadAll(run_, engine_, options, random_() % 2 == 0);
  if (!all) return;
  if (random_() % 3 == 0) ScanPart(options, *all);
  run_.history.SawAll(moment, std::move(*all));
}

/// Bounds or a prefix show that part of all which they name, and nothing else: the snapshot and the time are the same.
void Client::ScanPart(ReadOptions options, const State& all) {
  const std::string one = SomeKey();
  const std::string other = SomeKey();
  const bool by_prefix = random_() % 3 == 0;
  if (by_prefix) {
    options.prefix = std::string_view(one).substr(0, 2);
  } else {
    options.lower_bound = std::min(one, other);
    if (random_() % 4 != 0) options.upper_bound = std::max(one, other);
  }
  const auto is_meant = [&](const std::string& key) {
    if (by_prefix) return key.starts_with(options.prefix);
    return key >= options.lower_bound && (options.upper_bound.empty() || key < options.upper_bound);
  };
  const std::optional<State> part = ReadAll(run_, engine_, options, random_() % 2 == 0);
  if (!part) return;
  for (const auto& [key, value] : *part) {
    const auto is = all.find(key);
    if (!is_meant(key) || is == all.end() || is->second != value) run_.Wrong("an iterator with bounds shows " + key + " beyond them, or another value");
  }
  for (const auto& [key, value] : all) {
    if (is_meant(key) && !part->contains(key)) {
      run_.Wrong("an iterator with bounds misses " + key);
    }
  }
}

/// Looks at the one taken before, through all that has happened since, and takes another.
void Client::Snapshot() {
  if (snapshot_ != nullptr) {
    ReadOptions options;
    options.snapshot = snapshot_;
    options.now_ms = snapshot_moment_.from_ms;
    if (std::optional<State> all = ReadAll(run_, engine_, options)) run_.history.SawAll(snapshot_moment_, std::move(*all));
  }
  Moment moment = run_.Begin(engine_);
  snapshot_ = engine_.GetSnapshot();
  moment = run_.End(engine_, moment);
  moment.first = moment.last = snapshot_->sequence();
  snapshot_moment_ = moment;
}

void Client::Flush() {
  const SequenceNumber written = engine_.last_sequence();
  const ExpectsAnswers promptly;
  if (run_.Went(engine_.Flush(), "Flush")) run_.IsSafe(written);
}

/// Opens like any directory, and is what was there while it was made.
void Client::Checkpoint() {
  const std::string dir = "checkpoint" + std::to_string(run_.directories++);
  const Moment begin = run_.Begin(engine_);
  if (!run_.Went(engine_.Checkpoint(dir), "Checkpoint")) return;
  Moment moment = run_.End(engine_, begin);
  Options options = run_.options;
  options.dir = dir;
  options.disk_reserve_bytes = 0;
  Result<std::unique_ptr<Engine>> opened = Engine::Open(options);
  if (!run_.Went(opened.status(), "opening a checkpoint")) return;
  ReadOptions all_options;
  run_.BeginWall(&moment);
  all_options.now_ms = moment.from_ms;
  std::optional<State> all = ReadAll(run_, **opened, all_options);
  run_.EndWall(&moment);
  if (all) run_.history.SawAll(moment, std::move(*all));
  engine_.ReleaseThreadView();
}

void Client::Ingest() {
  const std::string dir = "bundle" + std::to_string(run_.directories++);
  std::map<std::string, Change> entries;
  for (std::uint64_t i = random_() % (random_() % 4 == 0 ? 40 : 6); ; --i) {
    const std::string key = SomeKey();
    entries[key] = {key, "in" + std::to_string(run_.directories) + std::string(random_() % run_.value_bytes, 'i'), 0};
    if (i == 0) break;
  }
  const auto write = [&]() -> Status {
    if (Status made = run_.fs.CreateDirectories(dir); !made.ok()) return made;
    BundleOptions options;
    options.table.block_bytes = 256;
    options.max_table_bytes = 200 + random_() % 1000;
    BundleWriter writer(run_.fs, run_.clock, dir, "", options);
    for (const auto& [key, change] : entries) {
      if (Status added = writer.Add(key, *change.value, 0); !added.ok()) return added;
    }
    return writer.Finish().status();
  };
  if (!run_.Went(write(), "writing a bundle")) return;
  std::vector<Change> changes;
  for (auto& [key, change] : entries) changes.push_back(std::move(change));
  run_.history.AllowGaps();
  const SequenceNumber before = engine_.last_sequence();
  const std::uint64_t from_event = ++run_.events;
  const Result<IngestReport> report = [&] {
    const ExpectsAnswers promptly;
    return engine_.Ingest({dir, nullptr});
  }();
  // Too far to be withdrawn from a disk that takes no manifest: it comes when that can be written, or not, if the power goes before.
  const bool comes = !report && report.error().message().find("not withdrawn any more") != std::string::npos;
  if (comes || (!report && report.error().code() == StatusCode::kShuttingDown)) run_.history.MayHaveIngested(before, changes, from_event);
  if (!report && report.error().code() == StatusCode::kBusy) return;
  if (!run_.Went(report.status(), "Ingest")) return;
  run_.history.Ingested(report->sequence, std::move(changes), from_event, ++run_.events);
  run_.IsSafe(report->sequence);
}

void Client::Settings() {
  switch (random_() % 5) {
    case 0: return engine_.SetScrubInterval(random_() % 2 == 0 ? 0 : 1000 + random_() % 100'000);
    case 1: {
      MemoryLimits limits;
      limits.memtable_bytes = run_.options.memtable_bytes;
      limits.max_memory_bytes = 0;
      limits.background_bytes = random_() % 2 == 0 ? 1 : run_.options.background_bytes;
      limits.block_cache_bytes = (1 + random_() % 64) << 10;
      limits.max_open_sstables = 1 + static_cast<std::uint32_t>(random_() % 8);
      return engine_.SetMemoryLimits(limits);
    }
    case 2: return engine_.SetWalFsync(static_cast<WalFsync>(random_() % 3));
    case 3: return run_.fs.CacheEverything(random_() % 2 == 0);
    default: return engine_.ReclaimDeadRanges();
  }
}

}  // namespace lsmkv::simulation
