// What an allocation really takes: allocators round up to size classes, of which jemalloc has four between one power of two
// and the next. Budgets count by this, so that many small blocks do not take a tenth more than they were counted for.
// Source   jemalloc's manual, "size classes".
#pragma once

#include <bit>
#include <cstdint>

namespace lsmkv {

constexpr std::uint64_t SizeClassBytes(std::uint64_t bytes) {
  constexpr std::uint64_t kQuantum = 16;
  if (bytes <= 8 * kQuantum) return (bytes + kQuantum - 1) / kQuantum * kQuantum;
  const std::uint64_t step = std::bit_floor(bytes - 1) / 4;
  return (bytes + step - 1) / step * step;
}

}  // namespace lsmkv
