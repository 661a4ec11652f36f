// An engine that is a std::map (fake_engine.h) and whose commits, syncs and admission do what a test says.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "lsmkv/engine.h"
#include "../keyspace/fake_engine.h"

namespace lsmkv {

class HeldEngine final : public Engine {
 public:
  // ---- what a test turns
  std::atomic<bool> always{false};                  ///< Commit() asks for durability, which comes with Sync*() below
  std::atomic<bool> commit_fails{false};
  std::atomic<Admission::Kind> admission{Admission::Kind::kGo};
  std::atomic<unsigned> commits{0};
  std::atomic<SequenceNumber> sync_wanted{0};       ///< as far as somebody asked for a sync to begin
  std::atomic<bool> hold_compactions{false};
  std::atomic<unsigned> compactions{0};

  void MakeDurable() { Tell(last_sequence(), Status::Ok()); }
  void FailSync() { Tell(durable_.load(), Status::IoError("fsync: the disk is gone")); }
  void MakeWritable() {
    std::vector<std::function<void()>> waiters;
    {
      MutexLock lock(mutex_);
      waiters.swap(waiters_);
    }
    admission = Admission::Kind::kGo;
    for (const auto& waiter : waiters) waiter();
  }
  bool somebody_waits() {
    MutexLock lock(mutex_);
    return !waiters_.empty();
  }
  FakeEngine& map() { return map_; }

  // ---- Engine
  Result<SequenceNumber> Write(const WriteBatch& batch, const WriteOptions& options) override {
    return map_.Write(batch, options);
  }
  Result<SequenceNumber> Commit() override {
    sync_wanted = last_sequence();
    return CommitSoon();
  }
  Result<SequenceNumber> CommitSoon() override {
    ++commits;
    if (commit_fails) return Status::NoSpace("wal_000001.log: no space left");
    return always ? last_sequence() : SequenceNumber{0};
  }
  Status Sync() override { return map_.Sync(); }
  std::uint64_t content_changes() const override { return map_.content_changes(); }
  SequenceNumber last_sequence() const override { return map_.last_sequence(); }
  SequenceNumber durable_sequence() const override { return durable_; }
  void AddCommitListener(CommitListener* listener) override {
    MutexLock lock(mutex_);
    listeners_.push_back(listener);
  }
  void RemoveCommitListener(CommitListener* listener) override {
    MutexLock lock(mutex_);
    std::erase(listeners_, listener);
  }
  Admission AdmitWrite(std::uint64_t) override { return {admission.load(), std::chrono::milliseconds(1)}; }
  void OnWritable(std::function<void()> resume) override {
    MutexLock lock(mutex_);
    waiters_.push_back(std::move(resume));
  }
  void StallEnds(std::chrono::microseconds) override { ++stalls; }
  Status WriteHealth() const override { return Status::Ok(); }
  Result<std::optional<PinnedValue>> Get(std::string_view key, const ReadOptions& options) override {
    return map_.Get(key, options);
  }
  std::unique_ptr<Iterator> NewIterator(const ReadOptions& options) override { return map_.NewIterator(options); }
  std::shared_ptr<const Snapshot> GetSnapshot() override { return map_.GetSnapshot(); }
  Result<std::optional<std::string>> SampleKey(std::string_view begin, std::string_view end, std::uint64_t random) override {
    return map_.SampleKey(begin, end, random);
  }
  void ReleaseThreadView() override {}
  Status Flush() override { return Status::Ok(); }
  Status Compact(std::optional<std::uint32_t>, std::optional<std::uint32_t>) override {
    ++compactions;
    while (hold_compactions) std::this_thread::yield();
    return Status::Ok();
  }
  Status Checkpoint(const std::string&) override { return Status::Ok(); }
  Status RemoveCheckpoint(const std::string&) override { return Status::Ok(); }
  Result<IngestReport> Ingest(const IngestRequest& request) override { return map_.Ingest(request); }
  void ReclaimDeadRanges() override {}
  EngineStats Stats() const override { return {}; }
  Result<std::string> ManifestText(std::uint32_t) const override { return Status::NotFound("no manifest"); }
  const Options& options() const override { return options_; }
  void SetWalFsync(WalFsync) override {}
  void SetMemoryLimits(const MemoryLimits&) override {}

  std::atomic<unsigned> stalls{0};

 private:
  void Tell(SequenceNumber durable, const Status& status) {
    durable_ = durable;
    std::vector<CommitListener*> listeners;
    {
      MutexLock lock(mutex_);
      listeners = listeners_;
    }
    for (CommitListener* const listener : listeners) listener->OnDurable(durable, status);
  }

  FakeEngine map_;
  Options options_;
  std::atomic<SequenceNumber> durable_{0};
  Mutex mutex_;
  std::vector<CommitListener*> listeners_ LSMKV_GUARDED_BY(mutex_);
  std::vector<std::function<void()>> waiters_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
