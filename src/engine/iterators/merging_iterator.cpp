#include "engine/iterators/merging_iterator.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace lsmkv {
namespace {

constexpr std::size_t kNobody = SIZE_MAX;

std::uint64_t PrefixAfter(std::string_view key, std::size_t skip) {
  std::uint64_t prefix = 0;
  std::memcpy(&prefix, key.data() + skip, std::min(sizeof(prefix), key.size() - skip));
  return __builtin_bswap64(prefix);
}

std::size_t CommonBytes(std::string_view a, std::string_view b) {
  const std::size_t size = std::min(a.size(), b.size());
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.begin() + size, b.begin()).first - a.begin());
}

}  // namespace

MergingIterator::MergingIterator(std::vector<std::unique_ptr<InternalIterator>> sources) {
  sources_.reserve(sources.size());
  for (auto& source : sources) {
    sources_.emplace_back();
    source->TellBeforeWait(this);
    sources_.back().iterator = std::move(source);
  }
  tree_.resize(std::max<std::size_t>(sources_.size(), 1));
}

template <typename SeekSource>
void MergingIterator::SeekAll(bool backward, const SeekPlace* place, const SeekSource& seek) {
  status_ = Status();
  backward_ = backward;
  seek_ = {place};
  for (Source& source : sources_) {
    ++seek_.next;
    seek(&source);
    Fetch(&source);
  }
  seek_.place = nullptr;
  Rebuild();
}

void MergingIterator::BeforeWait(SeekStage stage) {
  const SeekPlace* const place = std::exchange(seek_.place, nullptr);   // who is asked below may wait, and would tell, too
  if (place == nullptr) return;
  const auto ask = [&](SeekStage what) {
    for (std::size_t i = seek_.next; i < sources_.size(); ++i) sources_[i].iterator->WillSeek(*place, what);
  };
  if (!std::exchange(seek_.indexes_asked, true)) ask(SeekStage::kIndex);
  if (stage == SeekStage::kBlock) return ask(SeekStage::kBlock);
  seek_.place = place;
}

void MergingIterator::SeekToFirst() {
  const SeekPlace place{};
  SeekAll(false, &place, [](Source* source) { source->iterator->SeekToFirst(); });
}

void MergingIterator::Seek(std::string_view target) {
  const SeekPlace place{.key = target};
  SeekAll(false, &place, [target](Source* source) { source->iterator->Seek(target); });
}

void MergingIterator::SeekToLast() {
  const SeekPlace place{.backward = true};
  SeekAll(true, &place, [](Source* source) { source->iterator->SeekToLast(); });
}

void MergingIterator::SeekForPrev(std::string_view target) {
  const SeekPlace place{.backward = true, .key = target};
  SeekAll(true, &place, [target](Source* source) { source->iterator->SeekForPrev(target); });
}

void MergingIterator::Next() {
  LSMKV_ASSERT(valid_);
  if (backward_) return Turn();
  Step();
}

void MergingIterator::Prev() {
  LSMKV_ASSERT(valid_);
  if (!backward_) return Turn();
  Step();
}

// By invariant 3. A source at its end has no key at or behind the current one: the nearest on the other side is its outermost.
void MergingIterator::Turn() {
  if (backward_) {
    SeekAll(false, nullptr, [](Source* s) { s->valid ? s->iterator->Next() : s->iterator->SeekToFirst(); });
  } else {
    SeekAll(true, nullptr, [](Source* s) { s->valid ? s->iterator->Prev() : s->iterator->SeekToLast(); });
  }
}

void MergingIterator::Step() {
  if (sources_.size() == 1) return AdvanceWinner();
  last_key_.assign(sources_[winner()].key);      // the source's own bytes go when it moves
  AdvanceWinner();
  while (valid_ && sources_[winner()].key == last_key_) {
    ++skipped_;
    AdvanceWinner();
  }
}

void MergingIterator::AdvanceWinner() {
  Source& source = sources_[winner()];
  if (backward_) {
    source.iterator->Prev();
  } else {
    source.iterator->Next();
  }
  Fetch(&source);
  const bool in_common = !source.valid || source.key.starts_with(common_);
  if (!in_common || --steps_to_rebase_ == 0) return Rebuild();
  if (source.valid) source.prefix = PrefixOf(source.key);
  Replay(winner());
  valid_ = status_.ok() && sources_[winner()].valid;
}

std::uint64_t MergingIterator::PrefixOf(std::string_view key) const {
  const std::uint64_t prefix = PrefixAfter(key, common_.size());
  return backward_ ? ~prefix : prefix;
}

// Takes over what the source stands on now. Its prefix is the caller's to set.
void MergingIterator::Fetch(Source* source) {
  source->valid = source->iterator->Valid();
  if (source->valid) {
    const EntryView& entry = source->iterator->entry();
    source->key = entry.key;
    source->sequence = entry.sequence;
    return;
  }
  source->prefix = UINT64_MAX;      // loses to every other, at the latest in detail
  if (Status failure = source->iterator->status(); !failure.ok() && status_.ok()) status_ = std::move(failure);
}

bool MergingIterator::BeatsInDetail(std::size_t a, std::size_t b) const {
  const Source& x = sources_[a];
  const Source& y = sources_[b];
  if (!x.valid || !y.valid) return x.valid;
  const int order = x.key.substr(common_.size()).compare(y.key.substr(common_.size()));
  if (order != 0) return (order < 0) != backward_;
  if (x.sequence != y.sequence) return x.sequence > y.sequence;
  return a < b;
}

// Plays the matches from a source's leaf to the root. While the tree is being built the first to reach a place waits there.
void MergingIterator::Replay(std::size_t source) {
  std::size_t leader = source;
  for (std::size_t place = (source + sources_.size()) / 2; place > 0; place /= 2) {
    if (tree_[place] == kNobody) {
      tree_[place] = leader;
      return;
    }
    if (Beats(tree_[place], leader)) std::swap(tree_[place], leader);
  }
  tree_[0] = leader;
}

void MergingIterator::Rebuild() {
  steps_to_rebase_ = kRebaseInterval;
  valid_ = false;
  if (!status_.ok() || sources_.empty()) return;
  MeasureCommon();
  for (Source& source : sources_) {
    if (source.valid) source.prefix = PrefixOf(source.key);
  }
  std::fill(tree_.begin(), tree_.end(), kNobody);
  for (std::size_t i = 0; i < sources_.size(); ++i) Replay(i);
  valid_ = sources_[winner()].valid;
}

void MergingIterator::MeasureCommon() {
  bool first = true;
  for (const Source& source : sources_) {
    if (!source.valid) continue;
    if (first) common_.assign(source.key);
    common_.resize(CommonBytes(common_, source.key));
    first = false;
  }
  if (first) common_.clear();
}

}  // namespace lsmkv
