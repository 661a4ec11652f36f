// The part of the scheduler that remembers what failed, until it succeeds again.
#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "engine/compaction/scheduler.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;

constexpr microseconds kFirstBackoff{100'000};
constexpr microseconds kLongestBackoff{2'000'000};

}  // namespace

void Scheduler::Backoff::Fail(microseconds now) {
  pause = std::clamp(pause * 2, kFirstBackoff, kLongestBackoff);
  until = now + pause;
}

void Scheduler::Failed(const char* what, const Status& status) {
  if (commit_backoff_.pause.count() == 0) failing_since_ = context_.clock.Monotonic();
  commit_backoff_.Fail(context_.clock.Monotonic());
  bool is_new = false;
  {
    MutexLock lock(mutex_);
    is_new = error_.message() != status.message();
    error_ = status;
    ++failures_;
  }
  // Who asks is told, not kept waiting; a merge that is done is committed later all the same.
  for (const ManualPtr& manual : std::exchange(manual_, {})) FinishManual(manual, status);
  for (const auto& [job, result] : merges_to_commit_) FinishManual(std::exchange(merges_.at(job).manual, nullptr), status);
  LSMKV_ASSERT(!reload_reading_);              // nothing is committed meanwhile
  while (!reloads_.empty()) FinishReload(status);
  FailWaitingIngests(status);
  if (is_new) LogError("compaction", "{} failed, will be tried again: {}", what, status.message());
}

void Scheduler::Succeeded() {
  if (commit_backoff_.pause.count() == 0) return;
  commit_backoff_ = {};
  {
    MutexLock lock(mutex_);
    error_ = {};
  }
  LogInfo("compaction", "flushes and manifest writes succeed again");
}

void Scheduler::MergeFailed(const Status& status) {
  merge_backoff_.Fail(context_.clock.Monotonic());
  bool is_new = false;
  {
    MutexLock lock(mutex_);
    is_new = merge_error_.code() != status.code();
    merge_error_ = status;
  }
  if (is_new) LogError("compaction", "no compaction, will be tried again: {}", status.message());
}

void Scheduler::ForgetMergeFailure(std::string_view why) {
  if (merge_backoff_.pause.count() == 0) return;
  merge_backoff_ = {};
  bytes_wanted_.store(0, std::memory_order_relaxed);
  {
    MutexLock lock(mutex_);
    merge_error_ = {};
  }
  LogInfo("compaction", "{}", why);
}

/// The message names the file; when it does not, all inputs are left alone.
void Scheduler::MarkDamaged(const Merge& merge, const Status& status) {
  std::set<std::uint64_t> all;
  std::set<std::uint64_t> named;
  for (const LevelInputs& level : merge.inputs) {
    for (const TablePtr& table : level.tables) {
      all.insert(table->id());
      if (status.message().find(table->path()) != std::string::npos) named.insert(table->id());
    }
  }
  damaged_tables_.merge(named.empty() ? all : named);
  damaged_count_.store(damaged_tables_.size(), std::memory_order_relaxed);
  MutexLock lock(mutex_);
  damage_ = status;
}

/// A table that was dropped, taken out by hand, or merged after all by who had put its file right.
void Scheduler::ForgetDamageThatIsGone() {
  if (damaged_tables_.empty()) return;
  const VersionPtr version = tree_.Current()->version;
  std::set<std::uint64_t> left;
  for (std::uint32_t n = 0; n < version->level_count(); ++n) {
    for (const TablePtr& table : version->level(n))
      if (damaged_tables_.contains(table->id())) left.insert(table->id());
  }
  if (left.size() == damaged_tables_.size()) return;
  damaged_tables_ = std::move(left);
  damaged_count_.store(damaged_tables_.size(), std::memory_order_relaxed);
  LogInfo("compaction", "a damaged table is gone, {} are left", damaged_tables_.size());
  if (!damaged_tables_.empty()) return;
  MutexLock lock(mutex_);
  damage_ = {};
  damage_blocks_ = false;
}

void Scheduler::FinishManual(const ManualPtr& manual, Status status) {
  if (manual == nullptr) return;
  MutexLock lock(mutex_);
  manual->status = std::move(status);
  manual->done = true;
  progress_.NotifyAll();
}

}  // namespace lsmkv
