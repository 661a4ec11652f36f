#include "engine/compaction/merge_job.h"

#include <algorithm>
#include <memory>

#include "base/mutex.h"
#include "engine/bundle/bundle.h"
#include "engine/compaction/job_memory.h"
#include "engine/compaction/merge_piece.h"
#include "engine/compaction/merge_split.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;

/// The pieces of one merge. The job's own thread and idle workers take them one by one, so that a busy pool never makes a job
/// wait for help: it does what nobody took. A worker that has helped with one piece goes to the end of the queue: who came meanwhile,
/// another job above all, waits for a piece and not for a merge.
class PiecewiseMerge : public std::enable_shared_from_this<PiecewiseMerge> {
 public:
  PiecewiseMerge(EngineContext& context, VersionPtr version, const Merge& merge, std::vector<std::string> cuts, const MergeResources& resources)
      : version_(std::move(version)), merge_(merge) {
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
      KeyBounds bounds = merge.bounds;
      if (i > 0) bounds.begin = cuts[i - 1];
      if (i < cuts.size()) bounds.end = cuts[i];
      pieces_.push_back(std::make_unique<MergePiece>(context, *version_, merge_, std::move(bounds), resources.rate, resources.ingest_point));
    }
  }

  /// Until no piece is left to take.
  void Work() LSMKV_EXCLUDES(mutex_) {
    while (WorkOnOne()) {
    }
  }
  /// As long as pieces are left, one each time that a thread of `pool` is idle.
  void HelpFrom(ThreadPool& pool) {
    pool.Submit([self = shared_from_this(), &pool] {
      if (self->WorkOnOne()) self->HelpFrom(pool);
    });
  }
  /// After Work(): waits for the pieces that others took. The first error among them.
  Status Wait() LSMKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (running_ > 0) done_.Wait(mutex_);
    return status_;
  }
  /// After a Wait() that went well.
  Status CollectInto(JobResult* result) {
    for (const std::unique_ptr<MergePiece>& piece : pieces_) {
      Result<std::vector<TableRecord>> tables = piece->Keep();
      if (!tables) return tables.error();   // those kept already stay behind; the next start removes what nobody names
      result->outputs.insert(result->outputs.end(), std::make_move_iterator(tables->begin()), std::make_move_iterator(tables->end()));
      result->entries_out += piece->entries_out();
      result->expired += piece->expired();
      result->bytes_written += piece->bytes_written();
      result->blob_bytes_moved += piece->blob_bytes_moved();
    }
    return {};
  }
  /// The unfinished tables of a merge that failed go now, not when the last helper has noticed.
  void Discard() LSMKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    pieces_.clear();
  }

 private:
  /// False: none was left to take.
  bool WorkOnOne() LSMKV_EXCLUDES(mutex_) {
    MergePiece* const piece = Take();
    if (piece == nullptr) return false;
    Status status = piece->Run(cancelled_);
    MutexLock lock(mutex_);
    --running_;
    if (!status.ok() && status_.ok()) status_ = std::move(status);
    if (!status_.ok()) cancelled_.store(true, std::memory_order_relaxed);
    done_.NotifyAll();
    return true;
  }
  MergePiece* Take() LSMKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (next_ >= pieces_.size() || !status_.ok()) return nullptr;
    ++running_;
    return pieces_[next_++].get();
  }

  const VersionPtr version_;
  const Merge merge_;
  std::vector<std::unique_ptr<MergePiece>> pieces_;   // each piece: who took it
  std::atomic<bool> cancelled_{false};                // relaxed: a hint
  Mutex mutex_;
  CondVar done_;
  std::size_t next_ LSMKV_GUARDED_BY(mutex_) = 0;
  std::size_t running_ LSMKV_GUARDED_BY(mutex_) = 0;
  Status status_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace

Result<JobResult> RunFlush(EngineContext& context, const MemTable& memtable) {
  const microseconds start = context.clock.Monotonic();
  JobResult result;
  context.tables->RenewRows(memtable);
  constexpr std::uint64_t kSortedRunBytes = 2 * sizeof(void*);   // of an entry: a run, and the one it is merged into
  const JobMemory memory(context, 0, memtable.entries() * kSortedRunBytes + ValueSink::BufferBytes(context.options));
  TableOutput output(context, {.write_bytes = memory.buffers().write_bytes});
  const auto entries = memtable.NewIterator(~SequenceNumber{0});
  for (entries->SeekToFirst(); entries->Valid(); entries->Next()) {
    ++result.entries_in;
    if (IsFiltered(context, entries->entry().key)) continue;
    if (Status status = output.Add(entries->entry()); !status.ok()) return status;
    ++result.entries_out;
  }
  if (!entries->status().ok()) return entries->status();
  if (Status status = output.Finish(); !status.ok()) return status;
  Result<std::vector<TableRecord>> tables = output.Keep();
  if (!tables) return tables.error();
  result.outputs = std::move(*tables);
  result.bytes_written = output.bytes_written();
  context.removal.OnWritten(result.bytes_written);
  result.duration = context.clock.Monotonic() - start;
  return result;
}

Result<JobResult> RunMerge(EngineContext& context, VersionPtr version, const Merge& merge, const MergeResources& resources) {
  const microseconds start = context.clock.Monotonic();
  JobResult result;
  for (const LevelInputs& level : merge.inputs) {
    for (const TablePtr& table : level.tables) {
      result.bytes_read += table->record().size_bytes;
      result.entries_in += table->record().entries;
    }
  }
  if (merge.incoming != nullptr) {
    result.bytes_read += merge.incoming->size_bytes();
    result.entries_in += merge.incoming->entries();
  }
  std::vector<std::string> cuts = SplitMerge(merge, context.options.max_sstable_bytes);
  result.pieces = static_cast<std::uint32_t>(cuts.size() + 1);
  const auto work = std::make_shared<PiecewiseMerge>(context, std::move(version), merge, std::move(cuts), resources);
  const std::size_t useful = std::min<std::size_t>(result.pieces, context.options.compaction_workers);
  for (std::size_t i = 1; i < useful; ++i) work->HelpFrom(resources.helpers);
  work->Work();
  if (Status status = work->Wait(); !status.ok()) {
    work->Discard();
    return status;
  }
  if (Status status = work->CollectInto(&result); !status.ok()) return status;
  result.bytes_read += result.blob_bytes_moved;
  result.duration = context.clock.Monotonic() - start;
  return result;
}

}  // namespace lsmkv
