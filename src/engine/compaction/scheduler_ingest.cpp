// The part of the scheduler that takes in bundles: where one goes (ingest_plan.h), and what the one who asked is told.
#include "base/assert.h"
#include "base/log.h"
#include "engine/bundle/bundle.h"
#include "engine/compaction/ingest_plan.h"
#include "engine/compaction/merge_room.h"
#include "engine/compaction/scheduler.h"

namespace lsmkv {

Result<Scheduler::IngestOutcome> Scheduler::Ingest(std::shared_ptr<const IncomingRun> run, bool last_try) {
  auto request = std::make_shared<IngestRequest>();
  request->run = std::move(run);
  request->last_try = last_try;
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
  IngestPlan plan = PlanIngest({*version, context_.options, busy, {span, run.sequence(), run.entries(), run.size_bytes()}, ingest->last_try});
  if (auto* wait = std::get_if<WaitForJobs>(&plan)) {
    reserved_ = std::move(wait->wanted);
    reserved_->incoming = ingest->run;
    return;
  }
  ingests_.pop_front();
  if (std::holds_alternative<NeedsNewPoint>(plan)) {
    ingest->outcome.needs_new_point = true;
    return FinishIngest(ingest, {});
  }
  Merge merge = std::get<Merge>(std::move(plan));
  merge.incoming = ingest->run;
  ingest->outcome.level = merge.target;
  for (const LevelInputs& level : merge.inputs)
    for (const TablePtr& table : level.tables) ingest->outcome.merged_bytes += table->record().size_bytes;
  if (Status room = HasRoomFor(BytesOf(merge)); !room.ok()) return FinishIngest(ingest, room);
  StartMerge(std::move(merge), nullptr, ingest);
}

/// A job of an ingest that failed left no trace; nothing else has to be slowed or left alone because of it.
void Scheduler::TakeFailedIngest(std::uint64_t job, const RunningMerge& running, const Status& status) {
  if (status.code() != StatusCode::kShuttingDown) LogError("ingest", "job {} failed: {}", job, status.message());
  FinishIngest(running.ingest, status);
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
