#include "engine/memtable/sorted_runs.h"

#include <algorithm>
#include <utility>

#include "engine/memtable/key_sort.h"

namespace lsmkv {
namespace {

constexpr std::size_t kPrefetchDistance = 8;

// Neighbours in key order lie anywhere in the arena: without this every step would wait for memory.
void PrefetchNode(const SortedRun& run, std::size_t index) {
  if (index >= run.size()) return;
  const auto* const bytes = reinterpret_cast<const char*>(run[index]);
  __builtin_prefetch(bytes);
  __builtin_prefetch(bytes + 64);
  __builtin_prefetch(bytes + 128);
}

std::shared_ptr<const SortedRun> SortTail(const InsertionLog& log, std::uint64_t begin, std::uint64_t end) {
  SortedRun run;
  run.reserve(end - begin);
  bool has_versions = false;
  for (std::uint64_t i = begin; i < end; ++i) {
    run.push_back(log.At(i));
    has_versions |= run.back()->older != nullptr;
  }
  SortByKey(&run);
  if (has_versions) {
    const auto same_key = [](const MemTableNode* a, const MemTableNode* b) { return a->key() == b->key(); };
    run.erase(std::unique(run.begin(), run.end(), same_key), run.end());     // keeps the first: the newest
  }
  return std::make_shared<const SortedRun>(std::move(run));
}

std::shared_ptr<const SortedRun> Merge(const SortedRun& older, const SortedRun& newer) {
  SortedRun merged;
  merged.reserve(older.size() + newer.size());
  std::size_t o = 0;
  std::size_t n = 0;
  while (o < older.size() && n < newer.size()) {
    const int order = older[o]->key().compare(newer[n]->key());
    merged.push_back(order < 0 ? older[o] : newer[n]);         // equal: the newer one, whose chain has the older
    if (order <= 0) PrefetchNode(older, ++o + kPrefetchDistance);
    if (order >= 0) PrefetchNode(newer, ++n + kPrefetchDistance);
  }
  merged.insert(merged.end(), older.begin() + static_cast<std::ptrdiff_t>(o), older.end());
  merged.insert(merged.end(), newer.begin() + static_cast<std::ptrdiff_t>(n), newer.end());
  return std::make_shared<const SortedRun>(std::move(merged));
}

void MergeNewest(SortedRunList* runs, bool into_one) {
  while (runs->size() >= 2) {
    const SortedRun& older = *(*runs)[runs->size() - 2];
    const SortedRun& newer = *runs->back();
    if (!into_one && newer.size() * 2 < older.size()) return;
    std::shared_ptr<const SortedRun> merged = Merge(older, newer);
    runs->pop_back();
    runs->back() = std::move(merged);
  }
}

class RunIterator final : public InternalIterator {
 public:
  RunIterator(std::shared_ptr<const SortedRun> run, SequenceNumber snapshot)
      : run_(std::move(run)), snapshot_(snapshot), position_(run_->size()) {}

  bool Valid() const override { return position_ < run_->size(); }
  void SeekToFirst() override { SettleAt(0); }
  void Seek(std::string_view target) override { SettleAt(LowerBound(*run_, target)); }
  void SeekToLast() override { SettleBefore(run_->size()); }
  void SeekForPrev(std::string_view target) override {
    std::size_t end = LowerBound(*run_, target);
    if (end < run_->size() && (*run_)[end]->key() == target) ++end;
    SettleBefore(end);
  }
  void Next() override {
    LSMKV_ASSERT(Valid());
    SettleAt(position_ + 1);
  }
  void Prev() override {
    LSMKV_ASSERT(Valid());
    SettleBefore(position_);
  }
  const EntryView& entry() const override { return entry_; }
  Status status() const override { return {}; }

 private:
  // The first key from `position` on that has a version the snapshot sees.
  void SettleAt(std::size_t position) {
    for (position_ = position; position_ < run_->size(); ++position_) {
      PrefetchNode(*run_, position_ + kPrefetchDistance);
      const MemTableNode* const node = (*run_)[position_]->VisibleAt(snapshot_);
      if (node == nullptr) continue;
      entry_ = node->View();
      return;
    }
  }

  // The last key in front of `end` that has one.
  void SettleBefore(std::size_t end) {
    for (position_ = end; position_-- > 0;) {
      PrefetchNode(*run_, position_ - kPrefetchDistance);    // in front of the first: wraps round to behind the last
      const MemTableNode* const node = (*run_)[position_]->VisibleAt(snapshot_);
      if (node == nullptr) continue;
      entry_ = node->View();
      return;
    }
    position_ = run_->size();
  }

  const std::shared_ptr<const SortedRun> run_;
  const SequenceNumber snapshot_;
  std::size_t position_;
  EntryView entry_;
};

}  // namespace

SortedRunList SortedRuns::Cover(const InsertionLog& log, SequenceNumber snapshot, bool into_one) {
  SortedRunList runs;
  if (Covered(log, snapshot, into_one, &runs)) return runs;
  MutexLock sorting(sort_mutex_);
  if (Covered(log, snapshot, into_one, &runs)) return runs;   // somebody else has just done it
  std::uint64_t covered = 0;
  {
    MutexLock lock(mutex_);
    covered = covered_count_;
  }
  const std::uint64_t count = log.count();
  if (count > covered) runs.push_back(SortTail(log, covered, count));
  MergeNewest(&runs, into_one);
  MutexLock lock(mutex_);
  runs_ = runs;
  covered_count_ = count;
  return runs;
}

bool SortedRuns::Covered(const InsertionLog& log, SequenceNumber snapshot, bool into_one, SortedRunList* runs) {
  MutexLock lock(mutex_);
  *runs = runs_;
  if (into_one && runs_.size() > 1) return false;
  // The log is in sequence order, so its last covered entry tells how far the runs reach.
  if (covered_count_ > 0 && log.At(covered_count_ - 1)->sequence >= snapshot) return true;
  return covered_count_ == log.count();
}

std::size_t LowerBound(const SortedRun& run, std::string_view key) {
  const auto first = std::lower_bound(run.begin(), run.end(), key,
                                      [](const MemTableNode* node, std::string_view k) { return node->key() < k; });
  return static_cast<std::size_t>(first - run.begin());
}

std::unique_ptr<InternalIterator> NewRunIterator(std::shared_ptr<const SortedRun> run, SequenceNumber snapshot) {
  return std::make_unique<RunIterator>(std::move(run), snapshot);
}

}  // namespace lsmkv
