#pragma once

#include <atomic>
#include <cstddef>

namespace lsmkv {

/// Which of `slot_count` cache lines this thread uses for its counters; threads are dealt over them in the order they first ask.
inline std::size_t ThreadSlot(std::size_t slot_count) {
  static std::atomic<std::size_t> next_thread{0};
  static thread_local const std::size_t thread = next_thread.fetch_add(1, std::memory_order_relaxed);
  return thread % slot_count;
}

}  // namespace lsmkv
