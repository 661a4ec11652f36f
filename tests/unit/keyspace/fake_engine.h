// An engine that is a std::map, for tests of what lies above the engine. It can refuse memory-only reads, fail writes and
// syncs, compact at once with its filter, and lose power: what was not synced goes, what compaction dropped stays dropped,
// which is the worst that a disk may do.
#pragma once

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/mutex.h"
#include "lsmkv/engine.h"

namespace lsmkv {

class FakeEngine final : public Engine {
 public:
  struct Value {
    std::string bytes;
    std::uint64_t expire_at_ms = 0;
  };
  using Map = std::map<std::string, std::shared_ptr<const Value>, std::less<>>;

  explicit FakeEngine(const CompactionFilter* filter = nullptr) : filter_(filter) {}

  // ---- what a test turns
  /// One memory-only read in `n` answers kWouldBlock; 0: none.
  std::atomic<unsigned> would_block_one_in{0};
  std::atomic<bool> fail_writes{false};
  std::atomic<bool> fail_writes_for_good{false};   ///< not for want of room
  std::atomic<bool> only_reserve_left{false};      ///< writes that add data fail for want of room
  std::atomic<bool> fail_reads{false};
  std::atomic<bool> fail_syncs{false};
  std::atomic<std::uint64_t> now_ms{1'000'000};
  /// Called when a write can be seen, before Write() returns; and before a Get() of the present has looked.
  std::function<void()> after_write;
  std::function<void()> before_get;
  /// Called in the middle of Sync(), before anything is durable.
  std::function<void()> during_sync;
  /// Ingest(), which a map knows nothing of.
  std::function<Result<IngestReport>(const IngestRequest&)> on_ingest;

  /// Drops for good what the filter calls dead, from the present and from what a power cut would bring back.
  void CompactNow() {
    const MutexLock lock(mutex_);
    auto drop = [&](Map& map) { std::erase_if(map, [&](const auto& entry) { return filter_->IsDead(entry.first); }); };
    frozen_ = nullptr;
    drop(present_);
    drop(durable_);
  }
  void LosePower() {
    const MutexLock lock(mutex_);
    frozen_ = nullptr;
    present_ = durable_;
  }
  /// What an ingest does: a key comes without a sequence number of its own.
  void Insert(std::string_view key, std::string_view value) {
    const MutexLock lock(mutex_);
    frozen_ = nullptr;
    present_[std::string(key)] = std::make_shared<const Value>(Value{std::string(value), 0});
  }
  std::size_t size() const {
    const MutexLock lock(mutex_);
    return present_.size();
  }
  std::uint64_t writes() const { return last_sequence(); }
  /// For a new keyspace over the same disk.
  void SetFilter(const CompactionFilter* filter) { filter_ = filter; }

  // ---- Engine
  Result<SequenceNumber> Write(const WriteBatch& batch, const WriteOptions& options) override {
    if (batch.empty()) return Status::InvalidArgument("empty batch");
    if (fail_writes || (only_reserve_left && !options.may_use_reserve)) return Status::NoSpace("the disk is full");
    if (fail_writes_for_good) return Status::IoError("wal_000001.log: fsync failed");
    Result<SequenceNumber> last = Apply(batch);
    if (after_write) after_write();
    return last;
  }
  Result<SequenceNumber> Apply(const WriteBatch& batch) {
    const MutexLock lock(mutex_);
    frozen_ = nullptr;
    OperationReader reader(batch.operations());
    EntryView entry;
    while (reader.Next(&entry)) {
      ++sequence_;
      if (entry.kind == EntryKind::kTombstone) {
        present_.erase(std::string(entry.key));
      } else {
        const std::uint64_t deadline = entry.kind == EntryKind::kExpiringValue ? entry.expire_at_ms : 0;
        present_[std::string(entry.key)] = std::make_shared<const Value>(Value{std::string(entry.value), deadline});
      }
    }
    if (!reader.status().ok()) return reader.status();
    ++batches;
    return sequence_.load();
  }
  Result<SequenceNumber> Commit() override { return SequenceNumber{0}; }
  Status Sync() override {
    if (during_sync) during_sync();
    if (fail_syncs) return Status::IoError("fsync failed");
    const MutexLock lock(mutex_);
    durable_ = present_;
    return Status::Ok();
  }
  SequenceNumber last_sequence() const override { return sequence_; }
  SequenceNumber durable_sequence() const override { return 0; }
  void AddCommitListener(CommitListener*) override {}
  void RemoveCommitListener(CommitListener*) override {}
  Admission AdmitWrite(std::uint64_t) override { return {}; }
  void OnWritable(std::function<void()> resume) override { resume(); }
  void StallEnds(std::chrono::microseconds) override {}
  Status WriteHealth() const override { return {}; }

  Result<std::optional<PinnedValue>> Get(std::string_view key, const ReadOptions& options) override {
    const unsigned one_in = would_block_one_in;
    if (fail_reads) return Status::IoError("sst/1: input/output error");
    if (options.memory_only && one_in > 0 && reads_++ % one_in == 0) return Status::WouldBlock();
    const auto find = [&](const Map& map) {
      const auto found = map.find(key);
      return found == map.end() ? nullptr : found->second;
    };
    std::shared_ptr<const Value> value;
    if (options.snapshot != nullptr) {
      value = find(*static_cast<const FakeSnapshot&>(*options.snapshot).map);
    } else {
      if (before_get) before_get();
      const MutexLock lock(mutex_);
      value = find(present_);
    }
    if (value == nullptr) return std::optional<PinnedValue>();
    const std::string_view bytes = value->bytes;
    const std::uint64_t deadline = value->expire_at_ms;
    return std::optional<PinnedValue>(std::in_place, bytes, deadline, std::move(value));
  }
  std::unique_ptr<Iterator> NewIterator(const ReadOptions& options) override {
    FrozenMap map;
    if (options.snapshot != nullptr) {
      map = static_cast<const FakeSnapshot&>(*options.snapshot).map;
    } else {
      const MutexLock lock(mutex_);
      map = FrozenLocked();
    }
    ++iterators_made;
    LSMKV_ASSERT(options.prefix.empty());   // not in this fake
    return std::make_unique<MapIterator>(std::move(map), std::string(options.lower_bound), std::string(options.upper_bound),
                                         options.max_skipped, options.now_ms != 0 ? options.now_ms : now_ms.load());
  }
  std::shared_ptr<const Snapshot> GetSnapshot() override {
    const MutexLock lock(mutex_);
    return std::make_shared<FakeSnapshot>(FrozenLocked(), sequence_);
  }
  Result<std::optional<std::string>> SampleKey(std::string_view begin, std::string_view end, std::uint64_t random) override {
    const MutexLock lock(mutex_);
    const auto first = present_.lower_bound(begin);
    const auto last = present_.lower_bound(end);
    const auto count = static_cast<std::uint64_t>(std::distance(first, last));
    if (count == 0) return std::optional<std::string>();
    return std::optional<std::string>(std::next(first, static_cast<std::ptrdiff_t>(random % count))->first);
  }
  void ReleaseThreadView() override {}
  Status Flush() override { return {}; }
  Result<std::string> Reload() override { return std::string(); }
  Status Compact(std::optional<std::uint32_t>, std::optional<std::uint32_t>) override { return {}; }
  Status Checkpoint(const std::string&) override { return {}; }
  Status RemoveCheckpoint(const std::string&) override { return {}; }
  Result<IngestReport> Ingest(const IngestRequest& request) override {
    if (!on_ingest) return Status::NotFound("no such bundle");
    Result<IngestReport> report = on_ingest(request);
    ++changes;
    return report;
  }
  void ReclaimDeadRanges() override { ++reclaims; }
  EngineStats Stats() const override { return {}; }
  Result<std::string> ManifestText(std::uint32_t) const override { return Status::NotFound("no manifest"); }
  const Options& options() const override { return options_; }
  void SetWalFsync(WalFsync) override {}
  void SetMemoryLimits(const MemoryLimits&) override {}

  std::uint64_t content_changes() const override { return changes; }

  std::atomic<std::uint64_t> changes{0};
  std::atomic<int> reclaims{0};
  std::atomic<int> batches{0};
  std::atomic<int> iterators_made{0};

 private:
  using FrozenMap = std::shared_ptr<const Map>;
  /// The present as it stands; copied at most once between two writes.
  const FrozenMap& FrozenLocked() LSMKV_REQUIRES(mutex_) {
    if (frozen_ == nullptr) frozen_ = std::make_shared<const Map>(present_);
    return frozen_;
  }

  struct FakeSnapshot final : Snapshot {
    FakeSnapshot(FrozenMap m, SequenceNumber s) : map(std::move(m)), at(s) {}
    SequenceNumber sequence() const override { return at; }
    FrozenMap map;
    SequenceNumber at;
  };

  class MapIterator final : public Iterator {
   public:
    MapIterator(FrozenMap map, const std::string& lower_bound, const std::string& upper_bound,
                std::uint64_t max_skipped, std::uint64_t now)
        : map_(std::move(map)), begin_(map_->lower_bound(lower_bound)),
          end_(upper_bound.empty() ? map_->end() : map_->lower_bound(std::max(lower_bound, upper_bound))), max_skipped_(max_skipped),
          now_(now), at_(end_) {}
    bool Valid() const override { return at_ != end_ && !paused_; }
    bool paused() const override { return paused_; }
    std::string_view position() const override { return at_->first; }
    void SeekToFirst() override { SettleAt(begin_); }
    void SeekToLast() override { SettleBefore(end_); }
    void Seek(std::string_view target) override { SettleAt(Inside(map_->lower_bound(target))); }
    void SeekForPrev(std::string_view target) override { SettleBefore(Inside(map_->upper_bound(target))); }
    void Next() override { SettleAt(std::next(at_)); }
    void Prev() override { SettleBefore(at_); }
    std::string_view key() const override { return at_->first; }
    std::string_view value() const override { return at_->second->bytes; }
    std::uint64_t expire_at_ms() const override { return at_->second->expire_at_ms; }
    std::uint64_t examined() const override { return examined_; }
    Status status() const override { return {}; }

   private:
    Map::const_iterator Inside(Map::const_iterator at) const {
      if (at == map_->end() || (end_ != map_->end() && at->first >= end_->first)) return end_;
      return begin_ == map_->end() || at->first < begin_->first ? begin_ : at;
    }
    bool EndsHere(std::uint64_t* skipped) {
      ++examined_;
      const bool live = !HasExpired(at_->second->expire_at_ms, now_);
      paused_ = !live && ++*skipped == max_skipped_;
      return live || paused_;
    }
    void SettleAt(Map::const_iterator at) {
      paused_ = false;
      std::uint64_t skipped = 0;
      for (at_ = at; at_ != end_ && !EndsHere(&skipped); ++at_) {
      }
    }
    void SettleBefore(Map::const_iterator at) {
      paused_ = false;
      std::uint64_t skipped = 0;
      for (at_ = at; at_ != begin_;) {
        --at_;
        if (EndsHere(&skipped)) return;
      }
      at_ = end_;
    }
    const FrozenMap map_;
    const Map::const_iterator begin_;
    const Map::const_iterator end_;
    const std::uint64_t max_skipped_;
    const std::uint64_t now_;
    Map::const_iterator at_;
    bool paused_ = false;
    std::uint64_t examined_ = 0;
  };

  const CompactionFilter* filter_;
  const Options options_;
  std::atomic<SequenceNumber> sequence_{0};
  std::atomic<unsigned> reads_{0};
  mutable Mutex mutex_;
  Map present_ LSMKV_GUARDED_BY(mutex_);
  Map durable_ LSMKV_GUARDED_BY(mutex_);
  FrozenMap frozen_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
