// Puts the parts of the engine together: one write path, one read path, upkeep handed to the scheduler.
//
//   Write ─► [write_mutex_] Wal::Append, MemTable::Add, publish visible_ ─► maybe rotate ─► Scheduler::Wake
//   Commit ─► Wal::Commit                                                    (no lock of ours)
//   Get ─► visible_, Tree::View ─► memtables ─► L0 ─► L1 ─► ...              (no lock)
//
// Invariants
//   1. Under write_mutex_ a batch is appended to the WAL's buffer and to the active memtable, in the same order everywhere;
//      visible_ moves past a batch only when all of it is in the memtable. So a reader sees a batch whole or not at all.
//   2. A memtable holds whole WAL segments: both are rotated together.
//   3. visible_ is read before the view: a view taken later holds everything up to it.
// Lock order  large_mutex_ (whose turn it is to write a large batch; held over the disk, by threads that may wait), write_mutex_, then the leaves inside Wal, Tree, Scheduler and WriteAdmission.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "engine/admission.h"
#include "engine/compaction/scheduler.h"
#include "engine/disk_reserve.h"
#include "engine/scrubber.h"
#include "engine/version/engine_context.h"
#include "engine/version/super_version.h"
#include "engine/wal/wal.h"
#include "lsmkv/engine.h"

namespace lsmkv {

struct RecoveredState;   // open.cpp

class EngineImpl final : public Engine {
 public:
  static Result<std::unique_ptr<Engine>> Open(const Options& options);
  ~EngineImpl() override;

  Result<SequenceNumber> Write(const WriteBatch& batch, const WriteOptions& options) override;
  Result<SequenceNumber> WriteLarge(WriteBatch batch, const WriteOptions& options) override
      LSMKV_EXCLUDES(large_mutex_, write_mutex_);
  std::uint64_t LargeBytesInMemory() const override;
  Result<SequenceNumber> Commit() override { return Commit(false); }
  Result<SequenceNumber> CommitSoon() override { return Commit(true); }
  Status Sync() override { return wal_->Sync(); }
  std::uint64_t content_changes() const override { return context_.counters.content_changes.load(std::memory_order_acquire); }
  SequenceNumber last_sequence() const override { return visible_.load(std::memory_order_acquire); }
  SequenceNumber durable_sequence() const override { return wal_->durable_sequence(); }
  void AddCommitListener(CommitListener* listener) override { wal_->AddListener(listener); }
  void RemoveCommitListener(CommitListener* listener) override { wal_->RemoveListener(listener); }
  Admission AdmitWrite(std::uint64_t bytes) override { return admission_.Admit(bytes); }
  void OnWritable(std::function<void()> resume) override { admission_.OnWritable(std::move(resume)); }
  void StallBegins() override { admission_.StallBegins(); }
  void StallEnds(std::chrono::microseconds duration) override { admission_.StallEnds(duration); }
  Status WriteHealth() const override;

  Result<std::optional<PinnedValue>> Get(std::string_view key, const ReadOptions& options) override;
  void WillRead(std::span<const std::string_view> keys, const ReadOptions& options) override;
  bool WarmingPays() const override;
  void Warm(std::span<const UpcomingKey> keys) override;
  std::unique_ptr<Iterator> NewIterator(const ReadOptions& options) override;
  std::shared_ptr<const Snapshot> GetSnapshot() override;
  Result<std::optional<std::string>> SampleKey(std::string_view begin, std::string_view end, std::uint64_t random) override;
  void ReleaseThreadView() override { tree_->ReleaseThreadView(); }
  void ReleaseStaleThreadView() override { tree_->ReleaseStaleThreadView(); }

  Status Flush() override;
  Status Compact(std::optional<std::uint32_t> from, std::optional<std::uint32_t> target) override;
  Status Checkpoint(const std::string& dir) override LSMKV_EXCLUDES(write_mutex_, checkpoint_mutex_);
  Status RemoveCheckpoint(const std::string& dir) override LSMKV_EXCLUDES(checkpoint_mutex_);
  Result<IngestReport> Ingest(const IngestRequest& request) override LSMKV_EXCLUDES(write_mutex_);
  void ReclaimDeadRanges() override { scheduler_->Wake(); }
  Result<std::string> Reload() override { return scheduler_->Reload(); }
  Result<ScrubReport> Scrub() override { return scrubber_->Scrub(); }
  void PrepareToClose() override;

  EngineStats Stats() const override;
  Result<std::string> ManifestText(std::uint32_t level) const override;
  std::vector<std::string> History(std::size_t count) const override { return scheduler_->History(count); }
  const Options& options() const override { return context_.options; }
  void SetWalFsync(WalFsync mode) override { wal_->SetMode(mode); }
  void SetScrubInterval(std::uint64_t interval_ms) override { scrubber_->SetInterval(interval_ms); }
  void SetDiskReserve(std::uint64_t bytes) override {
    reserve_.SetWanted(bytes);
    scheduler_->Wake();
  }
  void SetMemoryLimits(const MemoryLimits& limits) override;

 private:
  Result<SequenceNumber> Commit(bool soon);
  struct View {                       // what one read uses
    SuperVersionPtr super_version;
    SequenceNumber sequence;
  };
  struct PinnedSnapshot;

  explicit EngineImpl(const Options& options)
      : context_(options), admission_(context_.clock), reserve_(context_.fs, options.dir, options.disk_reserve_bytes, context_.clock) {}

  // open.cpp
  Status Start();
  Result<RecoveredState> Recover();
  Status RecoverWal(RecoveredState* state);
  void NoteWhereLogBegins(ManifestStore& manifests, SequenceNumber flushed_sequence);
  void RemoveOrphans(const std::vector<std::string>& files);
  void StartScheduler(std::unique_ptr<ManifestStore> manifests);
  void LogLimits() const;
  void SaveMemtablesOfBrokenWal() LSMKV_EXCLUDES(write_mutex_);

  // write_large.cpp
  Status MakeRoomForLarge(std::uint64_t bytes) LSMKV_REQUIRES(large_mutex_) LSMKV_EXCLUDES(write_mutex_);

  // write.cpp
  Status MayWrite(const WriteBatch& batch, const WriteOptions& options);
  Status WhyRefused(std::uint64_t batch_bytes, bool may_use_reserve);
  void WaitAsAdmissionSays(const Admission& admission);
  bool IsFull(const MemTable& memtable) const;
  bool TryRotateLocked() LSMKV_REQUIRES(write_mutex_);
  bool MemtablesFull(const SuperVersion& now) const;
  void RotateIfFullLocked() LSMKV_REQUIRES(write_mutex_);
  Status RotateForFlush() LSMKV_EXCLUDES(write_mutex_);
  Status WaitForRotation();
  std::uint64_t MemtableByteLimit() const;
  Status UpkeepHealth() const;
  void UpdatePressure(bool background_error);
  void ReviewDiskSpace() LSMKV_EXCLUDES(write_mutex_);
  bool FlushIsWanted(bool reserve_is_used_up);
  double MemtableFill(const SuperVersion& now) const;
  std::uint64_t OwnBytes(const SuperVersion& now) const;
  void LogPressure(double debt, bool stopped, const SuperVersion& now);
  void AdaptCompactionRate(const Version& version);
  std::optional<std::chrono::microseconds> PressureReview() const;

  // ingest.cpp
  Result<SequenceNumber> TakePoint() LSMKV_EXCLUDES(write_mutex_);
  Result<std::optional<SequenceNumber>> TakePointOf(const IngestRequest& request, std::string_view bundle_prefix, IngestPlace* place)
      LSMKV_EXCLUDES(write_mutex_);

  // upkeep.cpp
  Result<VersionPtr> VersionOfOneMoment();
  Status WriteCheckpoint(const Version& version, const std::string& dir);

  // read.cpp
  struct KeyAndHash {
    std::string_view key;
    std::uint64_t hash = 0;
  };
  static void WarmTables(const Version& version, std::span<const KeyAndHash> keys);
  View ViewFor(const ReadOptions& options) const;
  View ConsistentView() const;
  /// And may therefore be gone from the tables.
  bool MayHaveExpired(std::uint64_t expire_at_ms) const;
  Result<std::optional<PinnedValue>> TimedGetFromTables(const SuperVersionPtr& view, std::string_view key, std::uint64_t hash,
                                                        const ReadOptions& options) const;
  /// found->found: whether there is one. Errors: Table::Get's.
  static Status FindInTables(const Version& version, std::string_view key, std::uint64_t hash, ReadMode mode, TableGetResult* found);
  Result<std::optional<PinnedValue>> GetFromTables(const SuperVersionPtr& view, std::string_view key, std::uint64_t hash,
                                                   const ReadOptions& options) const;

  EngineContext context_;
  WriteAdmission admission_;
  DiskReserve reserve_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Tree> tree_;
  std::unique_ptr<Wal> wal_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<Scrubber> scrubber_;               // after the scheduler, whose rate it keeps to
  Mutex checkpoint_mutex_;                           // one is made or removed at a time: before write_mutex_, and held over disk work
  std::atomic<bool> ingesting_{false};               // one at a time
  mutable LatencyWindow foreground_;                 // of commits, of syncs they wait for, and of reads that may touch the disk
  std::chrono::microseconds next_adaption_{0};       // the scheduler's, as are the next three
  std::chrono::microseconds next_wanted_flush_{0};
  std::chrono::microseconds pressure_logged_at_{0};
  std::string_view logged_pressure_ = "free";
  std::atomic<bool> refuse_writes_{false};           // relaxed; set by UpdatePressure, explained by UpkeepHealth
  std::atomic<bool> merges_stuck_{false};            // relaxed; why: L0 is full and merges fail, and nothing else is wrong
  std::atomic<bool> some_refused_{false};            // relaxed; the same, or little room is left: writers look closer
  std::atomic<SequenceNumber> visible_{0};           // release by Write, acquire by readers

  Mutex large_mutex_;
  Mutex write_mutex_;
  Memory active_ LSMKV_GUARDED_BY(write_mutex_);     // the tree's active memtable, without asking the tree
  SequenceNumber last_sequence_ LSMKV_GUARDED_BY(write_mutex_) = 0;
};

}  // namespace lsmkv
