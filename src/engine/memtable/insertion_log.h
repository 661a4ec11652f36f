#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include "engine/memtable/node.h"

namespace lsmkv {

/// A memtable's nodes in the order they came, which is sequence order: what sorted runs are made from.
/// Segment k holds 1024 * 2^k pointers, so nothing ever moves and a place is found by arithmetic.
/// Threads  one writer (Append); readers on any thread may At() every index below a count they have loaded.
class InsertionLog {
 public:
  void Append(const MemTableNode* node) {
    if (next_ == end_) AddSegment();
    *next_++ = node;
    // Release: publishes the node (already linked in the index), its place here, and its segment. Pairs with count().
    count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  std::uint64_t count() const { return count_.load(std::memory_order_acquire); }

  const MemTableNode* At(std::uint64_t index) const {
    const auto segment = static_cast<std::size_t>(std::bit_width(index / kFirstSegment + 1) - 1);
    return segments_[segment][index - kFirstSegment * ((std::uint64_t{1} << segment) - 1)];
  }

 private:
  static constexpr std::uint64_t kFirstSegment = 1024;

  void AddSegment() {
    const std::size_t entries = kFirstSegment << segment_count_;
    segments_[segment_count_] = std::make_unique_for_overwrite<const MemTableNode*[]>(entries);
    next_ = segments_[segment_count_].get();
    end_ = next_ + entries;
    ++segment_count_;
  }

  // The writer's; a reader touches only segments that hold an index below the count it has seen.
  const MemTableNode** next_ = nullptr;
  const MemTableNode** end_ = nullptr;
  std::size_t segment_count_ = 0;
  std::array<std::unique_ptr<const MemTableNode*[]>, 40> segments_;
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace lsmkv
