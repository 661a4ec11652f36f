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

/// Inputs whose file `status` names.
std::set<std::uint64_t> TablesNamed(const Merge& merge, const Status& status) {
  std::set<std::uint64_t> named;
  for (const LevelInputs& level : merge.inputs) {
    for (const TablePtr& table : level.tables)
      if (status.message().find(table->path()) != std::string::npos) named.insert(table->id());
  }
  return named;
}

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
  std::set<std::uint64_t> damaged = TablesNamed(merge, status);
  if (damaged.empty()) damaged = InputIdsOf(merge);
  for (const std::uint64_t id : damaged) unreadable_.AddDamaged(id);
  CountUnreadable();
  MutexLock lock(mutex_);
  damage_ = status;
}

/// False: it was not one of its inputs that could not be read.
bool Scheduler::MarkUnread(const Merge& merge, const Status& status) {
  const std::set<std::uint64_t> unread = TablesNamed(merge, status);
  const microseconds now = context_.clock.Monotonic();
  for (const std::uint64_t id : unread) unreadable_.AddUnread(id, now);
  if (unread.empty()) return false;
  CountUnreadable();
  LogError("compaction", "a table cannot be read, is left alone for a while and then tried again; others go on around it: {}", status.message());
  MutexLock lock(mutex_);
  damage_ = status;
  return true;
}

void Scheduler::CountUnreadable() {
  damaged_count_.store(unreadable_.LeftAlone(context_.clock.Monotonic()).size(), std::memory_order_relaxed);
}

/// A table that was dropped, taken out by hand, or merged after all by who had put its file right.
void Scheduler::ForgetDamageThatIsGone() {
  if (unreadable_.empty()) return;
  const VersionPtr version = tree_.Current()->version;
  std::set<std::uint64_t> there;
  for (std::uint32_t n = 0; n < version->level_count(); ++n) {
    for (const TablePtr& table : version->level(n)) there.insert(table->id());
  }
  if (!unreadable_.KeepOnly(there)) return;
  CountUnreadable();
  LogInfo("compaction", "a table that could not be read is gone{}", unreadable_.empty() ? "; it was the last" : "");
  if (!unreadable_.empty()) return;
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
