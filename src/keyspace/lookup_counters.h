// How often reads found their keys: INFO's keyspace_hits and keyspace_misses.
// Threads  any; each counts on one of a few cache lines of its own.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/thread_slot.h"

namespace lsmkv {

class LookupCounters {
 public:
  struct Totals {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
  };

  void Count(std::uint64_t hits, std::uint64_t misses) {
    Slot& slot = slots_[ThreadSlot(kSlots)];
    if (hits > 0) slot.hits.fetch_add(hits, std::memory_order_relaxed);
    if (misses > 0) slot.misses.fetch_add(misses, std::memory_order_relaxed);
  }
  Totals totals() const {
    Totals totals;
    for (const Slot& slot : slots_) {
      totals.hits += slot.hits.load(std::memory_order_relaxed);
      totals.misses += slot.misses.load(std::memory_order_relaxed);
    }
    return totals;
  }

 private:
  static constexpr std::size_t kSlots = 16;
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> hits{0};     // relaxed: figures, not hand-overs
    std::atomic<std::uint64_t> misses{0};
  };
  std::array<Slot, kSlots> slots_;
};

}  // namespace lsmkv
