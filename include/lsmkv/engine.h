// The storage engine's public face. Everything above src/engine/ sees the engine through include/lsmkv/ only.
//
// A write    Write() assigns sequence numbers, appends to the WAL's buffer and applies to the memtable, all in
//            memory. Commit() hands the buffer to the operating system: after it, kill -9 cannot undo the write.
//            With wal-fsync=always a reply that reveals the write waits until durable_sequence() has reached
//            what Commit() returned; CommitListener tells when.
// A read     sees every Write() that returned before it began. With ReadOptions::memory_only it never waits
//            for the disk: it answers kWouldBlock instead, and the caller repeats it where waiting is allowed.
// Errors     kCorruption names file and offset. After a failed WAL fsync every Write() and Commit() repeats the
//            error (the engine is read-only); kNoSpace passes by itself once there is room. While only the reserve is left
//            on the disk, writes that add data are kNoSpace and others pass (WriteOptions::may_use_reserve).
// Threads    every method may be called from any thread at any time, except destruction.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lsmkv/ingest.h"
#include "lsmkv/iterator.h"
#include "lsmkv/options.h"
#include "lsmkv/scrub.h"
#include "lsmkv/stats.h"
#include "lsmkv/status.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

/// A consistent view: pins the memtables and tables of its moment, so compaction need not know of it.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual SequenceNumber sequence() const = 0;
};

struct UpcomingKey {
  std::string_view key;
  bool read = false;       ///< it will be looked up, not only written: its tables matter, too
};

/// Asked for what the values of a reply take in memory, before that is taken where it can be told. Threads: whoever reads.
class LargeValueGate {
 public:
  virtual ~LargeValueGate() = default;
  /// `bytes` more. False: not now; the read ends with kWouldBlock and may be tried again.
  virtual bool Admit(std::uint64_t bytes) = 0;
};

struct ReadOptions {
  bool memory_only = false;                         ///< kWouldBlock rather than a wait for the disk
  std::shared_ptr<const Snapshot> snapshot;         ///< null: the present
  std::uint64_t now_ms = 0;                         ///< iterators skip what has expired by then; 0: the clock's now
  // Which keys an iterator shows. They are copied. Tables that hold none of them are not opened.
  std::string_view lower_bound;                     ///< the first key it may show
  std::string_view upper_bound;                     ///< the first key it must not; empty: no bound
  std::string_view prefix;                          ///< only keys that begin so; within the bounds, if there are any
  /// Iterators pause after this many deleted or expired entries in a row (Iterator::paused); 0: they look on however long it
  /// takes. For whoever answers somebody: a million tombstones are a tenth of a second and more.
  std::uint64_t max_skipped = 0;
  bool fill_cache = true;                           ///< long scans say false
  LargeValueGate* large_values = nullptr;           ///< for Get(): asked for values that lie in blob files
};

struct WriteOptions {
  /// True: wait while writers are parked (embedded use, tests). False: the caller has asked AdmitWrite().
  bool wait_for_admission = true;
  /// A write that makes room sooner or later (deletions, deadlines): taken also while Options::disk_reserve_bytes are all that
  /// is left, if it is small.
  bool may_use_reserve = false;
};

/// A value that stays where it is (memtable or cached block) until the PinnedValue goes.
class PinnedValue {
 public:
  /// What the pin keeps in memory.
  enum class Keeps : std::uint8_t {
    kView,     ///< memtables and versions, or a block of many values: to be let go soon
    kBlock,    ///< at most about twice the value: may be kept until a slow reader has it
  };
  PinnedValue() = default;
  PinnedValue(std::string_view data, std::uint64_t expire_at_ms, std::shared_ptr<const void> pin, Keeps keeps = Keeps::kView)
      : data_(data), expire_at_ms_(expire_at_ms), keeps_(keeps), pin_(std::move(pin)) {}
  std::string_view data() const { return data_; }
  std::uint64_t expire_at_ms() const { return expire_at_ms_; }   ///< 0: never. Get() returns expired values too.
  /// What to keep of it for as long as one likes, so that data() stays; null: data() must be copied.
  const std::shared_ptr<const void>& block() const { return keeps_ == Keeps::kBlock ? pin_ : kNoBlock; }

 private:
  static inline const std::shared_ptr<const void> kNoBlock;

  std::string_view data_;
  std::uint64_t expire_at_ms_ = 0;
  Keeps keeps_ = Keeps::kView;
  std::shared_ptr<const void> pin_;
};

/// Told, on the WAL's thread, that everything up to `durable` is on disk, or that it never will be.
class CommitListener {
 public:
  virtual ~CommitListener() = default;
  /// Must return at once. `status` not ok: the WAL is broken; batches after `durable` are not safe.
  virtual void OnDurable(SequenceNumber durable, const Status& status) = 0;
  /// A sync of the log has succeeded, and how long it took. Must return at once, too.
  virtual void OnSynced(std::chrono::microseconds /*took*/) {}
};

/// What a writer does before its next write.
struct Admission {
  enum class Kind : std::uint8_t { kGo, kDelay, kStop } kind = Kind::kGo;
  std::chrono::microseconds delay{0};               ///< kDelay: ask the disk's patience this long, then write
};

class Engine {
 public:
  /// Creates or recovers the tree in `options.dir`. Errors: kBusy (locked by another), kCorruption (named file and
  /// offset, and the option that goes on without it), kIoError, kInvalidArgument (an option out of range).
  static Result<std::unique_ptr<Engine>> Open(const Options& options);
  /// Commits and syncs the WAL, stops the workers (a running compaction is abandoned, nothing is lost).
  virtual ~Engine() = default;

  // ---- writing
  /// Applies `batch` as one. Returns the last sequence number it was given. Empty batches are kInvalidArgument.
  virtual Result<SequenceNumber> Write(const WriteBatch& batch, const WriteOptions& options = {}) = 0;
  /// Batches from this size on are better given to WriteLarge().
  static constexpr std::uint64_t kLargeBatchBytes = 4u << 20;
  /// Write() for a large batch, on a thread that may wait: it is written to the disk and synced before it is applied, so that nobody
  /// else's write waits behind it, and its memory is kept as it is. Of such batches only as much as the memtables may have is in memory
  /// at a time, or one: others wait here for its flush.
  virtual Result<SequenceNumber> WriteLarge(WriteBatch batch, const WriteOptions& options = {}) { return Write(batch, options); }
  /// Of large batches, in memtables.
  virtual std::uint64_t LargeBytesInMemory() const { return 0; }
  /// Hands every batch applied so far to the operating system. Returns the sequence number that must be durable before
  /// replies may leave: 0 unless wal-fsync is always. Cheap when there is nothing to do. Never waits for a sync.
  virtual Result<SequenceNumber> Commit() = 0;
  /// Commit() for a caller that will call one of the two again within a fraction of a millisecond, the last time Commit(): in
  /// always the sync need not begin before, so that it is one for what comes meanwhile.
  virtual Result<SequenceNumber> CommitSoon() { return Commit(); }
  /// Commit and wait until durable, in every mode. Blocks on the disk.
  virtual Status Sync() = 0;
  virtual SequenceNumber last_sequence() const = 0;
  /// How often something else than Write() has changed what is read: an ingest that came to be seen, be it after it was answered kBusy, or a
  /// Reload(). It grows when that is seen. Acquire: who takes it before a snapshot, and finds it the same later, has missed none.
  virtual std::uint64_t content_changes() const = 0;
  virtual SequenceNumber durable_sequence() const = 0;
  virtual void AddCommitListener(CommitListener* listener) = 0;
  virtual void RemoveCommitListener(CommitListener* listener) = 0;
  /// To be asked before each write of about `bytes`. kStop: ask again when the callback given to OnWritable was called.
  virtual Admission AdmitWrite(std::uint64_t bytes) = 0;
  /// Calls `resume` once, from an engine thread, when writers are no longer stopped (or the engine closes).
  virtual void OnWritable(std::function<void()> resume) = 0;
  /// Counts a pause a writer makes because of AdmitWrite, as it begins and as it ends (stall statistics).
  virtual void StallBegins() {}
  virtual void StallEnds(std::chrono::microseconds duration) = 0;
  /// Not ok: why writes are refused at present (broken WAL, full disk). Those that may use the reserve may pass nevertheless.
  virtual Status WriteHealth() const = 0;

  // ---- reading
  /// The newest version of `key`, expired or not; nullopt when it was never written or is deleted.
  virtual Result<std::optional<PinnedValue>> Get(std::string_view key, const ReadOptions& options = {}) = 0;
  /// A hint that Get follows for all of these: asks the operating system for what they have to read, filters and indexes, blocks,
  /// and values in blob files, each for all of them before the first is waited for, so that their reads overlap on the disk. Waits for
  /// nothing if options.memory_only, and asks for less then. Worth it for several keys that are not in memory.
  virtual void WillRead([[maybe_unused]] std::span<const std::string_view> keys, [[maybe_unused]] const ReadOptions& options = {}) {}
  /// A hint that these keys are about to be looked up or written, on this thread: gets what that touches first from main memory into
  /// the processor's caches, for all of them at once, so that they wait for it together. Never reads the disk. Worth it for two or
  /// more; those behind the first kMostWarmed are left out.
  virtual void Warm([[maybe_unused]] std::span<const UpcomingKey> keys) {}
  /// False while all there is fits into the processor's caches.
  virtual bool WarmingPays() const { return false; }
  static constexpr std::size_t kMostWarmed = 8;
  virtual std::unique_ptr<Iterator> NewIterator(const ReadOptions& options = {}) = 0;
  virtual std::shared_ptr<const Snapshot> GetSnapshot() = 0;
  /// Some key in [begin, end) at about the `random`-th place, dead or alive; nullopt when there is none. Reads disk.
  virtual Result<std::optional<std::string>> SampleKey(std::string_view begin, std::string_view end,
                                                       std::uint64_t random) = 0;
  /// Lets go of what this thread's last reads keep pinned. A thread that goes idle calls it.
  virtual void ReleaseThreadView() = 0;
  /// The same if there is something newer by now: a thread that only writes would keep flushed memtables. Cost: one load.
  virtual void ReleaseStaleThreadView() {}

  // ---- upkeep; each blocks until done, callable from several threads at once
  /// Everything written so far into L0 tables.
  virtual Status Flush() = 0;
  /// Levels from..target-1 and target merged into `target`. Without `target`: into the deepest level that has data (at
  /// least 1). Without `from`: all levels, the deeper than target included.
  virtual Status Compact(std::optional<std::uint32_t> from = {}, std::optional<std::uint32_t> target = {}) = 0;
  /// A consistent copy of the tree in `dir` (which must not exist) by hard links; opens like any data directory.
  virtual Status Checkpoint(const std::string& dir) = 0;
  /// Removes one. What a crash in the middle leaves is named `dir`.tmp, so that no part of a copy is taken for one. kNotFound: there is none.
  virtual Status RemoveCheckpoint(const std::string& dir) = 0;
  /// Takes in a bundle, all of it at one moment among the writes, IngestReport::sequence: newer than every Write() that returned before the call,
  /// older than those that come after that moment, which it fixes as it begins (they win). Readers see all of it from some moment before the
  /// return on, and nothing before that. Reads, writes and compactions go on. Durable when it returns.
  /// Errors   kBusy: another ingest runs, or is still to be seen. kNotFound, kCorruption, kUnsupported: the bundle, by file. kNoSpace, with figures. After
  ///          these the tree is as if it had not been asked; but kShuttingDown and a kBusy that says so, on a disk without room for manifests: it comes.
  /// Cost     reads the bundle once, writes it once; where its keys are among the tree's, the tables of some levels with it.
  virtual Result<IngestReport> Ingest(const IngestRequest& request) = 0;
  /// Asks the scheduler to look for tables whose whole range the compaction filter calls dead.
  virtual void ReclaimDeadRanges() = 0;
  /// Reads the manifests again, after something else than this engine has changed them: checks them and every table that is
  /// new, then shows readers the new tree at once. On an error (named) the present tree stays. Says what has changed.
  virtual Result<std::string> Reload() { return Status::Unsupported("reload"); }
  /// Reads all manifests, tables and blob files from the disk, past the block cache, and of the write-ahead log what is known to be
  /// durable, and checks every byte. Damage is in the report and in the log, not in the status; where it is in the write-ahead log, what
  /// that holds is flushed (as Flush() does). Reads, writes and compactions go on; it keeps to the rate of compactions and
  /// stands back for everybody else's disk accesses. A scrub that runs by itself gives way to it.
  /// Errors   kBusy: another one that was asked for runs. kShuttingDown: the engine closes.
  virtual Result<ScrubReport> Scrub() { return Status::Unsupported("scrub"); }
  /// Ends running and waiting compactions and scrubs early (kShuttingDown), so that who waits for one can be joined before the
  /// engine is destroyed. Flushes, reads and writes go on.
  virtual void PrepareToClose() {}

  // ---- looking
  virtual EngineStats Stats() const = 0;
  /// The manifest of `level` as it stands on disk; kNotFound when the level has none.
  virtual Result<std::string> ManifestText(std::uint32_t level) const = 0;
  /// The last `count` flushes, compactions, moves, drops, ... as lines of JSON, the oldest of them first.
  virtual std::vector<std::string> History([[maybe_unused]] std::size_t count) const { return {}; }
  virtual const Options& options() const = 0;

  // ---- changes at run time (CONFIG SET)
  virtual void SetWalFsync(WalFsync mode) = 0;
  /// How often everything is scrubbed without being asked, slowly; 0: never.
  virtual void SetScrubInterval([[maybe_unused]] std::uint64_t interval_ms) {}
  /// Options::disk_reserve_bytes from now on: the disk is looked at at once, and writes are refused or taken again by what is found.
  virtual void SetDiskReserve([[maybe_unused]] std::uint64_t bytes) {}
  /// Smaller limits are kept as memtables are flushed, blocks evicted and tables closed.
  virtual void SetMemoryLimits(const MemoryLimits& limits) = 0;
};

}  // namespace lsmkv
