// Counters and reference counts that every read touches, spread over cache lines so that threads do not fight for one.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/thread_slot.h"

namespace lsmkv {

/// What the filters of all tables did. All orders are relaxed: figures, not hand-overs.
class FilterCounters {
 public:
  struct Totals {
    std::uint64_t checks = 0;
    std::uint64_t negatives = 0;        ///< sections not looked into because their filter said so
    std::uint64_t false_positives = 0;  ///< looked into in vain
  };

  void CountCheck(bool negative) {
    Slot& slot = slots_[ThreadSlot(kSlots)];
    slot.checks.fetch_add(1, std::memory_order_relaxed);
    if (negative) slot.negatives.fetch_add(1, std::memory_order_relaxed);
  }
  void CountFalsePositive() { slots_[ThreadSlot(kSlots)].false_positives.fetch_add(1, std::memory_order_relaxed); }

  Totals totals() const {
    Totals totals;
    for (const Slot& slot : slots_) {
      totals.checks += slot.checks.load(std::memory_order_relaxed);
      totals.negatives += slot.negatives.load(std::memory_order_relaxed);
      totals.false_positives += slot.false_positives.load(std::memory_order_relaxed);
    }
    return totals;
  }

 private:
  static constexpr std::size_t kSlots = 16;
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> checks{0};
    std::atomic<std::uint64_t> negatives{0};
    std::atomic<std::uint64_t> false_positives{0};
  };
  std::array<Slot, kSlots> slots_;
};

}  // namespace lsmkv
