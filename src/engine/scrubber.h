// When everything on disk is read and checked (scrub_pass.h): when somebody asks, and by itself once every scrub_interval.
//
//                    due, and nobody asks                 read to the end
//   idle ───────────────────────────────────► by itself ─────────────────────► idle, due again in an interval
//     │  ▲                                        │ Scrub(): given up
//     │  └────────── read to the end ──────────┐  ▼
//     └──────────────── Scrub() ──────────────► asked for ── Stop() ──► kShuttingDown
//
// One by itself is spread: it reads no faster than a kShareOfInterval-th of the interval demands, on a thread of the lowest
// priorities. One that is asked for keeps to the rate of compactions, with low I/O priority only.
//
// When the last one ended is kept in DIR/scrub.json, so that restarts do not put the next one off for ever. The file is a
// comfort: one that is missing or damaged means "not known", and then the first scrub comes soon after the start.
//
// Threads  Scrub, SetInterval, figures: any. Start, Stop: the engine's.
#pragma once

#include <atomic>
#include <memory>

#include "base/mutex.h"
#include "base/thread_pool.h"
#include "engine/compaction/compaction_rate.h"
#include "engine/scrub_pass.h"

namespace lsmkv {

class Scrubber {
 public:
  /// All outlive it. @param rate  the compactions'. @param flush  for what of the log is damaged.
  Scrubber(EngineContext& context, Wal& wal, ScrubPass::Pinned present, ScrubPass::Flush flush, CompactionRate& rate);
  /// Stops as Stop() does.
  ~Scrubber();
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;

  /// Begins to scrub by itself where there is an interval.
  void Start() LSMKV_EXCLUDES(mutex_);
  /// Ends a scrub that runs, within one read of the disk or the flush of a damaged log, and the thread. Scrub() fails from now on.
  void Stop() LSMKV_EXCLUDES(mutex_);
  /// The same without waiting for the thread.
  void Interrupt() LSMKV_EXCLUDES(mutex_);

  /// As Engine::Scrub says.
  Result<ScrubReport> Scrub() LSMKV_EXCLUDES(mutex_);
  /// 0: never by itself.
  void SetInterval(std::uint64_t interval_ms) LSMKV_EXCLUDES(mutex_);

  struct Figures {
    std::uint64_t completed = 0;       ///< since the start
    std::uint64_t bytes_read = 0;      ///< since the start
    std::uint64_t damage = 0;          ///< found by the last one that was read to the end
    std::uint64_t last_ended_ms = 0;   ///< since 1970; 0: not known
    bool running = false;
  };
  Figures figures() const LSMKV_EXCLUDES(mutex_);

 private:
  static constexpr std::uint64_t kShareOfInterval = 4;
  static constexpr std::uint64_t kLeastRate = 1 << 20;   // bytes a second
  enum class Running : std::uint8_t { kNone, kByItself, kAsked };

  void Load();
  void Save(const ScrubReport& report, std::uint64_t now_ms);
  void Run() LSMKV_EXCLUDES(mutex_);
  void StartThreadLocked() LSMKV_REQUIRES(mutex_);
  std::uint64_t DueInMsLocked() const LSMKV_REQUIRES(mutex_);
  Result<ScrubReport> RunPass(ScrubPass::Pay pay) LSMKV_EXCLUDES(mutex_);
  bool PayAsked(std::uint64_t bytes);
  bool PayByItself(std::uint64_t bytes, std::uint64_t rate, std::chrono::microseconds* paid_until) LSMKV_EXCLUDES(mutex_);

  EngineContext& context_;
  Wal& wal_;
  const ScrubPass::Pinned present_;
  const ScrubPass::Flush flush_;
  CompactionRate& rate_;
  const std::string path_;
  std::unique_ptr<ThreadPool> thread_;                     // the engine's and, under mutex_, SetInterval's
  std::atomic<bool> stopping_{false};                      // set under mutex_; CompactionRate looks at it
  std::atomic<std::uint64_t> bytes_read_{0};               // relaxed: for people

  mutable Mutex mutex_;                                    // a leaf
  CondVar changed_;
  Running running_ LSMKV_GUARDED_BY(mutex_) = Running::kNone;
  bool asked_ LSMKV_GUARDED_BY(mutex_) = false;            // somebody waits for, or runs, one that was asked for
  bool started_ LSMKV_GUARDED_BY(mutex_) = false;
  std::uint64_t interval_ms_ LSMKV_GUARDED_BY(mutex_);
  std::uint64_t opened_ms_ LSMKV_GUARDED_BY(mutex_);
  Figures figures_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
