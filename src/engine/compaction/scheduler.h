// The compaction scheduler: one thread that decides what to flush and to compact, hands the work to worker threads, takes
// their results back and is the only writer of manifests. It waits for nothing but manifest writes.
//
//             Wake()                       job                     result
//   writers ─────────► scheduler thread ───────► worker threads ───────────► inbox ─► scheduler thread
//                         │ commit: manifests, then Tree::Install*
//
// One round of the thread: take the inbox, commit finished flushes in the order of their memtables, commit finished
// merges, start what may start, remove files nobody reads, tell admission how much is owed.
//
// Invariants
//   1. Commits happen one after another on this thread; while one cannot be finished (full disk), none begins.
//   2. Memtables are committed oldest first, so wal_floor only moves past what is in tables.
//   3. A table is in at most one running job (busy_).
//   4. A table's or blob file is removed only after the manifests no longer name it, by the janitor's note.
// Failures  a failed flush or commit is repeated with growing pauses and shows in error(); a merge that met corruption is
//           not repeated with the same tables: they stay where they are, readable as far as they are whole, and other merges go on.
// Threads   Wake, Wait*, Compact, Describe: any. Everything under "scheduler thread only": that.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/thread.h"
#include "base/thread_pool.h"
#include "engine/compaction/merge_job.h"
#include "engine/compaction/merge_room.h"
#include "engine/compaction/picker.h"
#include "engine/compaction/unreadable_tables.h"
#include "engine/manifest/history.h"
#include "engine/manifest/manifest_store.h"
#include "engine/version/engine_context.h"
#include "engine/version/super_version.h"

namespace lsmkv {

class Scheduler {
 public:
  struct Hooks {
    /// After each round: how much is owed (levels of the current version, memtables), for write admission.
    std::function<void(bool background_error)> update_pressure;
    /// Memtables up to here are in tables: WAL segments below `wal_floor` may go.
    std::function<void(std::uint64_t wal_floor)> wal_floor_moved;
    /// While writers are held back: how soon the scheduler should look at the pressure again.
    std::function<std::optional<std::chrono::microseconds>()> review_in;
    /// The last sequence number given to a write.
    std::function<SequenceNumber()> last_sequence;
  };

  Scheduler(EngineContext& context, Tree& tree, std::unique_ptr<ManifestStore> manifests, Hooks hooks);
  /// Stops as Stop() does.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void Start();
  /// Abandons running merges, finishes running flushes' files or abandons them; nothing that was acknowledged is lost.
  void Stop() LSMKV_EXCLUDES(mutex_);
  /// What files that are gone still take of the disk (fs/gradual_removal.h): soon. From the scheduler's own thread.
  void GiveBackRemoved();
  /// Frees versions and memtables that no reader holds, and removes the files that went with them. Once it is stopped.
  void RemoveUnread();
  void Wake() LSMKV_EXCLUDES(mutex_);

  /// Until no immutable memtable that exists now is left. The error of a flush that failed meanwhile.
  Status WaitUntilFlushed() LSMKV_EXCLUDES(mutex_);
  /// Merges levels from..target into target, as Engine::Compact says, and waits for the end.
  Status Compact(std::optional<std::uint32_t> from, std::uint32_t target) LSMKV_EXCLUDES(mutex_);
  /// As Engine::Reload says.
  Result<std::string> Reload() LSMKV_EXCLUDES(mutex_);
  struct IngestOutcome {
    std::uint32_t level = 0;
    std::uint64_t merged_bytes = 0;  ///< of tables that were rewritten with it
  };
  /// Brings `run` into the tree and waits for the end. Everything older than its sequence number is in tables, and the number
  /// itself is durable. Errors: nothing was done; kShuttingDown: perhaps; kBusy: it cannot be withdrawn, and comes when the disk lets the
  /// manifests be written.
  Result<IngestOutcome> Ingest(std::shared_ptr<const IncomingRun> run) LSMKV_EXCLUDES(mutex_);
  /// Not ok while flushes or commits fail.
  Status error() const LSMKV_EXCLUDES(mutex_);
  /// Not ok while merges fail, and while nothing can be merged but for damaged tables. A damaged table alone is no error here: others go on.
  Status merge_error() const LSMKV_EXCLUDES(mutex_);
  /// Tables of the tree that a merge could not read, and that are left alone for that.
  std::uint64_t damaged_tables() const { return damaged_count_.load(std::memory_order_relaxed); }
  /// By how many tables and bytes L0 will have fewer when the running merges have ended.
  LevelFigures l0_in_merges() const;
  /// Levels that take part in a running job.
  std::vector<bool> CompactingLevels() const LSMKV_EXCLUDES(mutex_);
  /// The last `count` things that happened to the tree, as lines of JSON (history.h).
  CompactionRate& rate() { return rate_; }
  /// Bytes that the compaction which waits for room on the disk needs; 0: none waits.
  std::uint64_t bytes_wanted() const { return bytes_wanted_.load(std::memory_order_relaxed); }
  std::vector<std::string> History(std::size_t count) const { return history_.Last(count); }
  HistoryLog::Totals HistoryTotals() const { return history_.totals(); }

 private:
  struct FlushDone {
    const MemTable* memtable;
    Result<JobResult> result;
  };
  struct MergeDone {
    std::uint64_t job;
    Result<JobResult> result;
  };
  struct ManualRequest {
    std::optional<std::uint32_t> from;
    std::uint32_t target;
    bool done = false;
    Status status;
  };
  using ManualPtr = std::shared_ptr<ManualRequest>;
  struct Reloaded;                 // scheduler_reload.cpp: what a reload has read
  struct ReloadRequest {
    std::optional<Result<std::string>> answer;
  };
  using ReloadPtr = std::shared_ptr<ReloadRequest>;
  struct IngestRequest {
    std::shared_ptr<const IncomingRun> run;
    bool done = false;
    Status status;
    IngestOutcome outcome;
  };
  using IngestPtr = std::shared_ptr<IngestRequest>;
  struct Inbox {
    std::vector<FlushDone> flushes;
    std::vector<MergeDone> merges;
    std::vector<ManualPtr> manual;
    std::vector<ReloadPtr> reloads;
    std::shared_ptr<Reloaded> reloaded;
    bool empty() const {
      return flushes.empty() && merges.empty() && manual.empty() && reloads.empty() && reloaded == nullptr && ingests.empty();
    }
    std::vector<IngestPtr> ingests;
  };
  struct RunningMerge {
    Merge merge;
    ManualPtr manual;             // null: the picker's, or an ingest
    IngestPtr ingest;             // null: not one
    ThreadPool* pool = nullptr;                      ///< whose thread runs it
    std::uint64_t room_bytes = 0;   // RoomForMerge() when it began
  };
  using RunningMerges = std::map<std::uint64_t, RunningMerge>;

  // ---- scheduler thread only
  void Run();
  std::optional<Inbox> WaitForWork() LSMKV_EXCLUDES(mutex_);
  std::chrono::microseconds Pause() const;
  void StartFlushes();
  void CommitFlushes();
  Status CommitFlush(const Memory& oldest, std::uint64_t wal_floor, JobResult result);
  void TakeMerge(MergeDone done);
  void CommitMerges();
  void EndMerge(RunningMerges::iterator running);
  Status CommitMerge(const RunningMerge& running, const JobResult& result);
  void CountMerge(const RunningMerge& running, const JobResult& result);
  void StartCompactions();
  void NothingToStart(bool some_wait_for_room) LSMKV_EXCLUDES(mutex_);
  void StartManual();
  void StartMerge(Merge merge, ManualPtr manual, IngestPtr ingest = nullptr) LSMKV_EXCLUDES(mutex_);
  Status CommitMove(const TrivialMove& move);
  Status CommitDrop(const Drop& drop);
  std::set<std::uint64_t> NewerThanIngest(const Drop& drop) const;
  /// Manifests first, then the new version for readers. On an error nothing has changed for readers.
  Status Commit(VersionEdit edit, const VersionChange& change, const MemTable* flushed, HistoryEvent event);
  bool FinishPendingCommit();
  void Failed(const char* what, const Status& status) LSMKV_EXCLUDES(mutex_);
  void Succeeded() LSMKV_EXCLUDES(mutex_);
  void MergeFailed(const Status& status) LSMKV_EXCLUDES(mutex_);
  void ForgetMergeFailure(std::string_view why) LSMKV_EXCLUDES(mutex_);
  void MarkDamaged(const Merge& merge, const Status& status) LSMKV_EXCLUDES(mutex_);
  void CountUnreadable();
  bool MarkUnread(const Merge& merge, const Status& status) LSMKV_EXCLUDES(mutex_);
  void ForgetDamageThatIsGone() LSMKV_EXCLUDES(mutex_);
  bool MayCommit() const { return !pending_commit_ && !reload_reading_ && !manifests_->unfinished(); }
  bool MayStartMerge() const;
  ThreadPool& PoolOf(const RunningMerge& merge);
  static bool RelievesL0(const RunningMerge& running);
  static LevelFigures TakenFromL0(const Merge& merge);
  // scheduler_room.cpp
  std::optional<std::uint64_t> RoomForMerge() const;
  /// kNoSpace, with figures, when the disk could not take so much beside what is there and what others may write.
  Status HasRoomFor(std::uint64_t bytes) const;
  Result<CompactionPlan> PlanWithinRoom(const PickerInput& input, const Merge& merge);
  std::optional<CompactionPlan> OneOfL0WithinRoom(const PickerInput& input, const Merge& merge);
  Result<Merge> FitToDisk(const Merge& merge);
  std::optional<Merge> GatherWithinRoom(const PickerInput& input, const Merge& merge) const;
  void LacksRoom(const Merge& merge, const Status& status) LSMKV_EXCLUDES(mutex_);
  void FinishManual(const ManualPtr& manual, Status status) LSMKV_EXCLUDES(mutex_);
  // scheduler_ingest.cpp
  void StartIngest();
  void AbandonIngests() LSMKV_EXCLUDES(mutex_);
  void TakeFailedIngest(std::uint64_t job, const RunningMerge& running, const Status& status);
  void AnswerIngest(const RunningMerge& running, const Status& status);
  void GiveUpStuckIngests() LSMKV_EXCLUDES(mutex_);
  void GiveUpStuckCommit(const Status& why) LSMKV_EXCLUDES(mutex_);
  void DiscardOutputs(std::span<const TablePtr> tables);
  Status WithoutRoom(const Merge& merge, const Status& why) const;
  void FinishIngest(const IngestPtr& ingest, Status status) LSMKV_EXCLUDES(mutex_);
  void FailWaitingIngests(const Status& status) LSMKV_EXCLUDES(mutex_);
  void StartRemoving();
  void RemoveFiles(const std::vector<FileJanitor::Discarded>& files);
  std::uint64_t MostKeptRemoved() const;
  std::chrono::microseconds FillingLeft() const;
  bool IsFilling() const { return !flushes_.empty() || FillingLeft().count() > 0; }
  void PublishCompactingLevels() LSMKV_EXCLUDES(mutex_);
  BusyTables Busy() const;
  // scheduler_reload.cpp
  void StartReload();
  Status ReadAgain(Reloaded* reloaded) const;        // on a worker
  void TakeReload(Reloaded& reloaded) LSMKV_EXCLUDES(mutex_);
  Result<std::string> Adopt(Reloaded& reloaded);
  void FinishReload(Result<std::string> answer) LSMKV_EXCLUDES(mutex_);

  EngineContext& context_;
  Tree& tree_;
  const Hooks hooks_;
  std::unique_ptr<ManifestStore> manifests_;         // scheduler thread only; a reload puts another in its place
  HistoryLog history_;
  CompactionRate rate_;
  ThreadPool flush_pool_;
  ThreadPool merge_pool_;                            // a thread for each of compaction_workers: jobs, and pieces of large ones
  ThreadPool spare_pool_;                            // the thread of L0's job (MayStartMerge); helpers have no part in it
  ThreadPool gather_pool_;                           // one thread too, for its merges within itself
  ThreadPool removal_pool_;
  Thread thread_;

  // Scheduler thread only.
  std::map<const MemTable*, std::optional<Result<JobResult>>> flushes_;   // started; empty while running
  RunningMerges merges_;
  std::vector<std::pair<std::uint64_t, JobResult>> merges_to_commit_;
  std::uint64_t next_job_ = 1;
  std::deque<ManualPtr> manual_;
  std::deque<ReloadPtr> reloads_;
  bool reload_reading_ = false;                      // a worker reads the manifests: nothing is committed meanwhile
  std::deque<IngestPtr> ingests_;                    // not started yet
  std::optional<Merge> reserved_;                    // what the first of them waits for: no new job takes any of it
  struct PendingCommit {
    VersionChange change;
    const MemTable* flushed;
    std::optional<std::uint64_t> wal_floor;
    HistoryEvent event;
    IngestPtr ingest = nullptr;                      // to be told when it is over
    bool lands_unasked = false;                      // an ingest's, whose asker has been told to wait no longer
  };
  std::optional<PendingCommit> pending_commit_;      // its manifests are partly written; resumed before anything else
  std::vector<MergeSteps> steps_;                    // of merges that are done in steps for want of room
  GaveUp gave_up_;
  UnreadableTables unreadable_;
  struct Backoff {
    std::chrono::microseconds pause{0};              // 0: the last try went well
    std::chrono::microseconds until{0};
    void Fail(std::chrono::microseconds now);
  };
  Backoff commit_backoff_;                           // flushes and commits
  std::chrono::microseconds failing_since_{0};       // they, without a success in between
  Backoff merge_backoff_;
  std::chrono::microseconds last_flush_;             // when its commit began
  bool picked_while_filling_ = false;                // so that L0 may have been left to grow, and is to be looked at when that ends
  std::chrono::microseconds flush_interval_{};       // between that and the one before
  bool purge_again_ = false;
  std::uint64_t kept_bytes_ = 0;                     // of removed files, when it was last looked at
  std::chrono::microseconds kept_review_{0};
  std::atomic<std::uint64_t> bytes_wanted_{0};       // relaxed, as the next: for people
  std::atomic<std::uint64_t> damaged_count_{0};      // of unreadable_, those that are left alone
  std::atomic<std::uint64_t> l0_tables_in_merges_{0};      // relaxed, as the next: how hard writers are held back
  std::atomic<std::uint64_t> l0_bytes_in_merges_{0};

  mutable Mutex mutex_;                              // a leaf
  CondVar work_;
  CondVar progress_;
  Inbox inbox_ LSMKV_GUARDED_BY(mutex_);
  bool woken_ LSMKV_GUARDED_BY(mutex_) = false;
  bool stopping_ LSMKV_GUARDED_BY(mutex_) = false;
  Status error_ LSMKV_GUARDED_BY(mutex_);
  Status merge_error_ LSMKV_GUARDED_BY(mutex_);                   // of the last try; over when one succeeds, or none is wanted any more
  Status damage_ LSMKV_GUARDED_BY(mutex_);                        // what the last of unreadable_ was found by
  bool damage_blocks_ LSMKV_GUARDED_BY(mutex_) = false;           // no merge runs, and without those that are left alone there is none to start
  std::uint64_t failures_ LSMKV_GUARDED_BY(mutex_) = 0;           // of flushes and commits
  std::vector<bool> compacting_levels_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
