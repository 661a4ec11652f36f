// The part of the scheduler that takes in bundles: where one goes (ingest_plan.h), and what the one who asked is told.
#include "base/assert.h"
#include "base/log.h"
#include "engine/bundle/bundle.h"
#include "engine/compaction/ingest_plan.h"
#include "engine/compaction/merge_room.h"
#include "engine/compaction/scheduler.h"

namespace lsmkv {
namespace {

/// How long an ingest that is written waits for manifests that cannot be.
constexpr std::chrono::seconds kIngestPatience{10};

}  // namespace

Result<Scheduler::IngestOutcome> Scheduler::Ingest(std::shared_ptr<const IncomingRun> run) {
  auto request = std::make_shared<IngestRequest>();
  request->run = std::move(run);
  MutexLock lock(mutex_);
  inbox_.ingests.push_back(request);
  work_.NotifyOne();
  while (!request->done && !stopping_) progress_.Wait(mutex_);
  if (!request->done) return Status::ShuttingDown();
  if (!request->status.ok()) return request->status;
  return request->outcome;
}

void Scheduler::FinishIngest(const IngestPtr& ingest, Status status) {
  if (ingest == nullptr) return;
  MutexLock lock(mutex_);
  ingest->status = std::move(status);
  ingest->done = true;
  progress_.NotifyAll();
}

void Scheduler::FailWaitingIngests(const Status& status) {
  reserved_.reset();
  for (const IngestPtr& ingest : std::exchange(ingests_, {})) FinishIngest(ingest, status);
}

void Scheduler::AbandonIngests() {
  FailWaitingIngests(Status::ShuttingDown());
  // Done, and behind another commit that the disk may refuse for ever.
  for (const auto& [job, result] : merges_to_commit_) FinishIngest(merges_.at(job).ingest, Status::ShuttingDown());
  if (pending_commit_) FinishIngest(std::exchange(pending_commit_->ingest, nullptr), Status::ShuttingDown());
}

void Scheduler::StartIngest() {
  // A manual compaction or a reload that waits for the running merges goes first, or a stream of ingests would keep it waiting.
  if (ingests_.empty() || !manual_.empty() || !reloads_.empty() || merges_.size() > context_.options.compaction_workers) return;
  const IngestPtr ingest = ingests_.front();
  const IncomingRun& run = *ingest->run;
  const VersionPtr version = tree_.Current()->version;
  reserved_.reset();
  const BusyTables busy = Busy();
  const KeySpan span{std::string(run.smallest_key()), std::string(run.largest_key())};
  IngestPlan plan = PlanIngest({*version, context_.options, busy, {span, run.sequence(), run.entries(), run.size_bytes()}});
  if (auto* wait = std::get_if<WaitForJobs>(&plan)) {
    reserved_ = std::move(wait->wanted);
    reserved_->incoming = ingest->run;
    return;
  }
  ingests_.pop_front();
  Merge merge = std::get<Merge>(std::move(plan));
  merge.incoming = ingest->run;
  ingest->outcome.level = merge.target;
  for (const LevelInputs& level : merge.inputs)
    for (const TablePtr& table : level.tables) ingest->outcome.merged_bytes += table->record().size_bytes;
  if (Status room = HasRoomFor(BytesOf(merge)); !room.ok()) return FinishIngest(ingest, WithoutRoom(merge, {}));
  StartMerge(std::move(merge), nullptr, ingest);
}

/// A job of an ingest that failed left no trace; nothing else has to be slowed or left alone because of it.
void Scheduler::TakeFailedIngest(std::uint64_t job, const RunningMerge& running, const Status& status) {
  if (status.code() != StatusCode::kShuttingDown) LogError("ingest", "job {} failed: {}", job, status.message());
  FinishIngest(running.ingest, status.code() == StatusCode::kNoSpace ? WithoutRoom(running.merge, status) : status);
}

/// What it needs, what there is, and what is missing.
Status Scheduler::WithoutRoom(const Merge& merge, const Status& why) const {
  const std::uint64_t needed = BytesOf(merge);
  const std::uint64_t room = RoomForMerge().value_or(0);
  std::string text = fmt::format("{}: an ingest of {} bytes, with what lies around it, needs {} bytes of room; {} are free besides what running "
                                 "compactions and flushes may take", context_.options.dir, merge.incoming->size_bytes(), needed, room);
  if (needed > room) text += fmt::format(": {} are missing", needed - room);
  if (!why.message().empty()) text += fmt::format(" ({})", why.message());
  return Status::NoSpace(text + ". Nothing of it was taken in");
}

/// Whoever asked is not kept waiting for a disk on which no manifest can be written.
void Scheduler::GiveUpStuckIngests() {
  if (commit_backoff_.pause.count() == 0 || context_.clock.Monotonic() - failing_since_ < kIngestPatience) return;
  Status why = error();
  if (why.code() == StatusCode::kNoSpace) {
    why = Status::NoSpace(fmt::format("the ingest is written, but not taken in, since for {} s the disk has had no room for a manifest: {} ({} bytes are free)",
                                      kIngestPatience.count(), why.message(), context_.fs.FreeBytes(context_.options.dir).value_or(0)));
  }
  for (auto done = merges_to_commit_.begin(); done != merges_to_commit_.end();) {
    const auto running = merges_.find(done->first);
    if (running->second.ingest == nullptr) {
      ++done;
      continue;
    }
    std::vector<TablePtr> outputs;
    for (const TableRecord& record : done->second.outputs) outputs.push_back(context_.MakeTable(record));
    DiscardOutputs(outputs);
    FinishIngest(running->second.ingest, why);
    EndMerge(running);
    done = merges_to_commit_.erase(done);
  }
  if (pending_commit_ && pending_commit_->ingest != nullptr) GiveUpStuckCommit(why);
}

void Scheduler::GiveUpStuckCommit(const Status& why) {
  const IngestPtr ingest = std::exchange(pending_commit_->ingest, nullptr);
  if (!manifests_->Withdraw()) {
    pending_commit_->lands_unasked = true;
    return FinishIngest(ingest, Status::Busy(fmt::format("the ingest is not withdrawn any more, and comes as soon as the disk lets "
                                                         "the manifests be written: {}", error().message())));
  }
  std::vector<TablePtr> outputs;
  for (const VersionChange::Added& added : pending_commit_->change.added) outputs.push_back(added.table);
  pending_commit_.reset();
  DiscardOutputs(outputs);
  context_.counters.ingests.fetch_sub(1, std::memory_order_relaxed);
  commit_backoff_ = {};                  // nothing is unfinished; a flush that fails as well says so again
  {
    MutexLock lock(mutex_);
    error_ = {};
  }
  LogWarning("ingest", "given up: {}", why.message());
  FinishIngest(ingest, why);
}

/// Of a job that is not committed: their files, and the blob files that came into being with them, go with their last holder.
void Scheduler::DiscardOutputs(std::span<const TablePtr> tables) {
  const VersionPtr version = tree_.Current()->version;
  for (const TablePtr& table : tables) {
    table->MarkObsolete();
    for (const BlobFilePtr& blob : table->blobs())
      if (!version->blobs().contains(blob->id())) blob->MarkObsolete();
  }
}

/// While the manifests are partly written nobody knows whether it has happened: whoever asked is told when it is sure.
void Scheduler::AnswerIngest(const RunningMerge& running, const Status& status) {
  if (running.ingest == nullptr) return;
  if (!status.ok() && pending_commit_.has_value()) {
    pending_commit_->ingest = running.ingest;
  } else {
    FinishIngest(running.ingest, status);
  }
}

}  // namespace lsmkv
