#include "engine/memtable/memtable.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/simulated_thread.h"
#include "engine/iterators/merging_iterator.h"

namespace lsmkv {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr int kSampleTries = 64;

bool IsLive(const MemTableNode* node) { return node != nullptr && node->kind() != EntryKind::kTombstone; }

// Steele, Lea, Flood: "Fast splittable pseudorandom number generators", the mixing function.
std::uint64_t Mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

MemTable::MemTable(const MemTableOptions& options)
    : warm_index_(options.warm_index),
      index_(&arena_, options.expected_entries, warm_index_ ? Arena::Pages::kWarm : Arena::Pages::kLazy) {}

void MemTable::Add(SequenceNumber sequence, const EntryView& entry, std::uint64_t hash) {
  index_.Prefetch(hash);
  AddNode(MemTableNode::Create(&arena_, sequence, entry), hash);
}

void MemTable::AddKept(SequenceNumber sequence, const EntryView& entry, std::uint64_t hash) {
  AddNode(MemTableNode::CreateElsewhere(&arena_, sequence, entry), hash);
}

void MemTable::Keep(std::shared_ptr<const void> memory, std::uint64_t bytes) {
  kept_.push_back(std::move(memory));
  kept_bytes_.store(kept_bytes() + bytes, std::memory_order_relaxed);
}

void MemTable::AddNode(MemTableNode* node, std::uint64_t hash) {
  const SequenceNumber sequence = node->sequence;
  LSMKV_ASSERT(sequence > largest_sequence_.load(std::memory_order_relaxed));      // invariant 1
  LSMKV_INVARIANT(!frozen_.load(std::memory_order_relaxed));
  index_.Publish(hash, node);
  const int change = static_cast<int>(IsLive(node)) - static_cast<int>(IsLive(node->older));
  if (change != 0) {
    live_keys_.store(live_keys_.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(change),
                     std::memory_order_relaxed);
  }
  if (smallest_sequence_.load(std::memory_order_relaxed) == 0) {
    smallest_sequence_.store(sequence, std::memory_order_relaxed);
  }
  largest_sequence_.store(sequence, std::memory_order_relaxed);
  SwitchPoint();
  log_.Append(node);      // last: an entry that is counted can be found
}

void MemTable::Skip(SequenceNumber sequence) {
  LSMKV_ASSERT(sequence > largest_sequence_.load(std::memory_order_relaxed));
  largest_sequence_.store(sequence, std::memory_order_relaxed);
}

std::unique_ptr<InternalIterator> MemTable::NewIterator(SequenceNumber snapshot) const {
  SortedRunList runs = runs_.Cover(log_, snapshot, frozen_.load(std::memory_order_acquire));
  if (runs.size() == 1) return NewRunIterator(std::move(runs.front()), snapshot);
  std::vector<std::unique_ptr<InternalIterator>> children;
  children.reserve(runs.size());
  for (auto& run : runs) children.push_back(NewRunIterator(std::move(run), snapshot));
  return std::make_unique<MergingIterator>(std::move(children));
}

std::optional<std::string> MemTable::SampleKey(std::uint64_t random) const { return SampleKey({}, {}, random); }

std::optional<std::string> MemTable::SampleKey(std::string_view begin, std::string_view end, std::uint64_t random) const {
  const std::uint64_t count = log_.count();
  if (count == 0) return std::nullopt;
  for (int i = 0; i < kSampleTries; ++i) {
    random = Mix(random);
    const std::string_view key = log_.At(random % count)->key();
    if (key >= begin && (end.empty() || key < end)) return std::string(key);
  }
  return SampleRareKey(begin, end, Mix(random));
}

// Each run holds the range's keys side by side, so they can be counted and drawn from without being looked at.
std::optional<std::string> MemTable::SampleRareKey(std::string_view begin, std::string_view end,
                                                   std::uint64_t random) const {
  const SortedRunList runs = runs_.Cover(log_, UINT64_MAX, frozen_.load(std::memory_order_acquire));
  const auto range_in = [&](const SortedRun& run) {
    const std::size_t first = LowerBound(run, begin);
    return std::pair(first, std::max(first, end.empty() ? run.size() : LowerBound(run, end)));
  };
  std::uint64_t total = 0;
  for (const auto& run : runs) {
    const auto [first, last] = range_in(*run);
    total += last - first;
  }
  if (total == 0) return std::nullopt;
  std::uint64_t place = random % total;
  for (const auto& run : runs) {
    const auto [first, last] = range_in(*run);
    if (place < last - first) return std::string((*run)[first + place]->key());
    place -= last - first;
  }
  return std::nullopt;
}

std::uint64_t MemTable::bytes() const {
  // A lazy index's pages appear as keys fall on them, at most one for each key.
  const std::uint64_t touched = warm_index_ ? UINT64_MAX : keys() * kPageBytes;
  const std::uint64_t index_bytes = std::min<std::uint64_t>(arena_.zeroed_bytes(), touched);
  return arena_.used_bytes() + kept_bytes() + log_.count() * sizeof(const MemTableNode*) + index_bytes;
}

}  // namespace lsmkv
