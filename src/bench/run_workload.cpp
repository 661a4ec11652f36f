#include "bench/run_workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <thread>

#include "base/histogram.h"
#include "base/mutex.h"
#include "bench/entries.h"
#include "bench/process_figures.h"

namespace lsmkv::bench {
namespace {

using Clock = std::chrono::steady_clock;

/// What one thread did.
struct Tally {
  Histogram nanoseconds;
  std::uint64_t found = 0;
  std::uint64_t user_bytes = 0;
  Status status;
};

/// The entries of one thread, and its share of the operations.
struct ThreadInput {
  ThreadInput(const Settings& settings, std::string_view workload, std::uint64_t thread)
      : num(settings.num), keys(settings.key_bytes), values(settings.value_bytes, settings.seed + thread), random(settings.seed) {
    // Another sequence for each workload and thread, the same one for each engine and round.
    for (const char c : workload) random = Random(random.Next() ^ static_cast<unsigned char>(c));
    random = Random(random.Next() ^ (thread << 32));
  }
  std::uint64_t num;
  KeyMaker keys;
  ValueSource values;
  Random random;
};

/// `operation(i)` for i in [first, last), each timed from the end of the one before; stops at the first error.
template <typename OneOperation>
void TimeEach(std::uint64_t first, std::uint64_t last, Tally* tally, OneOperation&& operation) {
  Clock::time_point before = Clock::now();
  for (std::uint64_t i = first; i < last; ++i) {
    Status status = operation(i);
    if (!status.ok()) {
      tally->status = std::move(status);
      return;
    }
    const Clock::time_point now = Clock::now();
    tally->nanoseconds.Add(static_cast<std::uint64_t>((now - before).count()));
    before = now;
  }
}

Status Put(EngineAdapter& engine, ThreadInput& input, std::uint64_t number, Tally* tally) {
  const std::string_view key = input.keys.Key(number);
  const std::string_view value = input.values.Next();
  tally->user_bytes += key.size() + value.size();
  return engine.Put(key, value);
}

Status Get(EngineAdapter& engine, std::string_view key, Tally* tally) {
  const Result<std::optional<std::size_t>> value = engine.Get(key);
  if (!value) return value.error();
  tally->found += value->has_value() ? 1 : 0;
  return {};
}

Status SeekAndRead(EngineAdapter& engine, std::string_view key, std::uint64_t nexts, Tally* tally) {
  const std::unique_ptr<Cursor> cursor = engine.NewCursor(false);
  cursor->Seek(key);
  for (std::uint64_t i = 0; cursor->Valid(); ++i, cursor->Next()) {
    ++tally->found;
    if (i == nexts) return {};
  }
  return cursor->status();
}

void RunThread(EngineAdapter& engine, const Workload& workload, const Settings& settings, ThreadInput& input, std::uint64_t first,
               std::uint64_t last, Tally* tally) {
  const auto some_key = [&input] { return input.random.Below(input.num); };
  switch (workload.operation) {
    case Operation::kPutInOrder:
      return TimeEach(first, last, tally, [&](std::uint64_t i) { return Put(engine, input, i, tally); });
    case Operation::kPutAtRandom:
      return TimeEach(first, last, tally, [&](std::uint64_t) { return Put(engine, input, some_key(), tally); });
    case Operation::kDeleteAtRandom:
      return TimeEach(first, last, tally, [&](std::uint64_t) {
        tally->user_bytes += settings.key_bytes;
        return engine.Delete(input.keys.Key(some_key()));
      });
    case Operation::kGet:
      return TimeEach(first, last, tally, [&](std::uint64_t) { return Get(engine, input.keys.Key(some_key()), tally); });
    case Operation::kGetMissing:
      return TimeEach(first, last, tally, [&](std::uint64_t) { return Get(engine, input.keys.MissingKey(some_key()), tally); });
    case Operation::kSeek:
      return TimeEach(first, last, tally, [&](std::uint64_t) {
        return SeekAndRead(engine, input.keys.Key(some_key()), settings.seek_nexts, tally);
      });
    case Operation::kReadInOrder: {
      const std::unique_ptr<Cursor> cursor = engine.NewCursor(true);
      cursor->SeekToFirst();
      const std::uint64_t most = last - first;
      std::uint64_t seen = 0;
      return TimeEach(0, most, tally, [&](std::uint64_t) {
        if (!cursor->Valid()) {
          if (Status status = cursor->status(); !status.ok() || seen == 0) return status;
          cursor->SeekToFirst();             // a tree of fewer entries than reads is walked again
        }
        seen += cursor->key().size() + cursor->value().size();
        ++tally->found;
        cursor->Next();
        return Status();
      });
    }
    case Operation::kCompact: tally->status = engine.CompactAll(); return;
  }
}

/// Overwrites at random until told to stop: what readers are disturbed by.
class BesideWriter {
 public:
  BesideWriter(EngineAdapter& engine, const Settings& settings) : engine_(engine), settings_(settings), thread_([this] { Run(); }) {}
  ~BesideWriter() { Stop(); }
  const Tally& Stop() {
    stop_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) thread_.join();
    return tally_;
  }

 private:
  void Run() {
    ThreadInput input(settings_, "writer", 0);
    const Clock::time_point begin = Clock::now();
    std::uint64_t done = 0;
    while (!stop_.load(std::memory_order_relaxed)) {
      if (settings_.writer_rate > 0) {
        const std::chrono::duration<double> due(static_cast<double>(done) / static_cast<double>(settings_.writer_rate));
        const Clock::time_point at = begin + std::chrono::duration_cast<Clock::duration>(due);
        constexpr std::chrono::milliseconds kLongestNap{20};     // so that Stop() need not wait
        if (const Clock::time_point now = Clock::now(); at > now) {
          std::this_thread::sleep_until(std::min(at, now + kLongestNap));
          continue;
        }
      }
      TimeEach(0, 1, &tally_, [&](std::uint64_t) { return Put(engine_, input, input.random.Below(input.num), &tally_); });
      if (!tally_.status.ok()) return;
      ++done;
    }
  }

  EngineAdapter& engine_;
  const Settings& settings_;
  Tally tally_;                     // the thread's until it was joined
  std::atomic<bool> stop_{false};
  std::thread thread_;              // last: it uses all of these
};

/// Syncs the log each second while it lives, for engines that do not do so themselves.
class EachSecond {
 public:
  explicit EachSecond(EngineAdapter& engine) : engine_(engine), thread_([this] { Run(); }) {}
  ~EachSecond() { IgnoreError(Stop(), "told by whoever stopped it before"); }
  Status Stop() LSMKV_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      stop_ = true;
    }
    wake_.NotifyOne();
    if (thread_.joinable()) thread_.join();
    return status_;
  }

 private:
  /// False: it is time to stop.
  bool SleepASecond() LSMKV_EXCLUDES(mutex_) {
    const Clock::time_point until = Clock::now() + std::chrono::seconds(1);
    const MutexLock lock(mutex_);
    for (Clock::time_point now = Clock::now(); !stop_ && now < until; now = Clock::now())
      wake_.WaitFor(mutex_, std::chrono::duration_cast<std::chrono::microseconds>(until - now) + std::chrono::microseconds(1));
    return !stop_;
  }
  void Run() {
    while (status_.ok() && SleepASecond()) status_ = engine_.Sync();
  }

  EngineAdapter& engine_;
  Mutex mutex_;
  CondVar wake_;
  bool stop_ LSMKV_GUARDED_BY(mutex_) = false;
  Status status_;                   // the thread's until it was joined
  std::thread thread_;              // last: it uses all of these
};

double ToMicros(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

/// The operations themselves, divided among the threads.
Status RunOperations(EngineAdapter& engine, const Workload& workload, const Settings& settings, Measurement* m) {
  const std::uint64_t all = std::max<std::uint64_t>(1, (workload.writes() ? settings.num : settings.read_operations()) / workload.divisor);
  const std::uint64_t thread_count = workload.operation == Operation::kCompact ? 1 : settings.threads;
  std::vector<Tally> tallies(thread_count);
  std::barrier ready(static_cast<std::ptrdiff_t>(thread_count + 1));
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < thread_count; ++t) {
    const std::uint64_t first = all * t / thread_count;
    const std::uint64_t last = all * (t + 1) / thread_count;
    threads.emplace_back([&, t, first, last] {
      ThreadInput input(settings, workload.name, t);
      ready.arrive_and_wait();
      RunThread(engine, workload, settings, input, first, last, &tallies[t]);
    });
  }
  std::optional<BesideWriter> writer;
  if (workload.beside_writer) writer.emplace(engine, settings);
  std::optional<EachSecond> syncs;
  if (settings.wal_sync == WalFsync::kEverySec && !engine.SyncsEachSecond()) syncs.emplace(engine);

  ready.arrive_and_wait();
  const Clock::time_point begin = Clock::now();
  for (std::thread& thread : threads) thread.join();
  m->seconds = std::chrono::duration<double>(Clock::now() - begin).count();

  if (writer) {
    const Tally& written = writer->Stop();
    if (!written.status.ok()) return written.status;
    m->writer_operations = static_cast<double>(written.nanoseconds.count());
    m->writer_p99_us = ToMicros(written.nanoseconds.Percentile(99));
    m->writer_max_us = ToMicros(written.nanoseconds.max());
    m->user_bytes += static_cast<double>(written.user_bytes);
  }
  if (syncs) {
    if (Status status = syncs->Stop(); !status.ok()) return status;
  }
  Histogram nanoseconds;
  for (const Tally& tally : tallies) {
    if (!tally.status.ok()) return tally.status;
    nanoseconds.Merge(tally.nanoseconds);
    m->found += static_cast<double>(tally.found);
    m->user_bytes += static_cast<double>(tally.user_bytes);
  }
  m->operations = static_cast<double>(nanoseconds.count());
  m->mean_us = nanoseconds.mean() / 1000;
  m->p50_us = ToMicros(nanoseconds.Percentile(50));
  m->p99_us = ToMicros(nanoseconds.Percentile(99));
  m->p999_us = ToMicros(nanoseconds.Percentile(99.9));
  m->max_us = ToMicros(nanoseconds.max());
  return {};
}

/// Flushes, and waits until two looks in a row find no work left. Returns when that was.
Result<Clock::time_point> Settle(EngineAdapter& engine) {
  constexpr std::chrono::milliseconds kLookEvery{50};
  constexpr std::chrono::hours kLongest{2};
  if (Status status = engine.Flush(); !status.ok()) return status;
  const Clock::time_point begin = Clock::now();
  std::optional<Clock::time_point> first_look;
  while (Clock::now() - begin < kLongest) {
    const Result<std::optional<Clock::time_point>> rest = engine.AtRestSince();
    if (!rest) return rest.error();
    if (*rest && first_look) return *first_look;
    first_look = *rest;
    std::this_thread::sleep_for(kLookEvery);
  }
  return Status::Busy(fmt::format("compaction has not come to rest within {} hours", kLongest.count()));
}

Status CountLiveEntries(EngineAdapter& engine, Measurement* m) {
  const std::unique_ptr<Cursor> cursor = engine.NewCursor(true);
  for (cursor->SeekToFirst(); cursor->Valid(); cursor->Next()) {
    ++m->live_entries;
    m->live_bytes += static_cast<double>(cursor->key().size() + cursor->value().size());
  }
  return cursor->status();
}

double Difference(std::uint64_t before, std::uint64_t after) { return static_cast<double>(after - before); }

}  // namespace

Result<Measurement> RunWorkload(EngineAdapter& engine, const Workload& workload, const Settings& settings, const std::string& dir) {
  Measurement m;
  const Result<ProcessFigures> before = ReadProcessFigures();
  if (!before) return before.error();
  if (Status status = RunOperations(engine, workload, settings, &m); !status.ok()) return status;
  const Clock::time_point done = Clock::now();
  Result<ProcessFigures> after = ReadProcessFigures();
  if (!after) return after.error();
  m.cpu_us = Difference(before->cpu_micros, after->cpu_micros);
  if (workload.changes_tree()) {
    const std::uint64_t cpu_before = after->cpu_micros;
    const Result<Clock::time_point> rest = Settle(engine);
    if (!rest) return rest.error();
    m.settle_seconds = std::max(0.0, std::chrono::duration<double>(*rest - done).count());
    after = ReadProcessFigures();
    if (!after) return after.error();
    m.settle_cpu_us = Difference(cpu_before, after->cpu_micros);
  }
  m.device_bytes = Difference(before->device_bytes, after->device_bytes);
  m.written_bytes = Difference(before->written_bytes, after->written_bytes);
  m.read_bytes = Difference(before->read_bytes, after->read_bytes);
  m.tree = engine.Describe();
  const Result<DirectoryFigures> directory = MeasureDirectory(dir);
  const Result<MemoryFigures> memory = ReadMemoryFigures();
  if (!directory) return directory.error();
  if (!memory) return memory.error();
  m.directory_bytes = static_cast<double>(directory->bytes);
  m.log_bytes = static_cast<double>(directory->log_bytes);
  m.peak_rss_bytes = static_cast<double>(memory->peak_rss_bytes);
  m.anonymous_bytes = static_cast<double>(memory->anonymous_bytes);
  if (workload.changes_tree()) {
    if (Status status = CountLiveEntries(engine, &m); !status.ok()) return status;
  }
  if (workload.operation == Operation::kCompact) m.operations = m.live_entries;
  return m;
}

}  // namespace lsmkv::bench
