#include "base/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/assert.h"

#if defined(__SANITIZE_ADDRESS__)
#define LSMKV_POISON(address, bytes) ASAN_POISON_MEMORY_REGION(address, bytes)
#else
#define LSMKV_POISON(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace lsmkv {
namespace {

std::atomic<std::uint64_t> g_mapped_bytes{0};   // relaxed: a figure for people

}  // namespace

std::uint64_t Arena::mapped_bytes() { return g_mapped_bytes.load(std::memory_order_relaxed); }

Arena::~Arena() {
  for (const Chunk& chunk : chunks_) {
    LSMKV_UNPOISON(chunk.memory, chunk.bytes);
    if (chunk.mapped) {
      munmap(chunk.memory, chunk.bytes);
      g_mapped_bytes.fetch_sub(chunk.bytes, std::memory_order_relaxed);
    } else {
      std::free(chunk.memory);
    }
  }
}

char* Arena::AllocateElsewhere(std::size_t bytes, std::size_t rounded) {
  if (rounded >= kOwnChunkBytes) {
    char* const piece = AddChunk(rounded);
    LSMKV_UNPOISON(piece, bytes);
    return piece;
  }
  // What is left of the current chunk is given up: less than this piece, so less than a quarter of a full-sized chunk.
  const std::size_t chunk_bytes = std::max(next_chunk_bytes_, rounded);
  next_ = AddChunk(chunk_bytes);
  left_ = chunk_bytes;
  next_chunk_bytes_ = std::min(next_chunk_bytes_ * 2, kLargestChunkBytes);
  char* const piece = next_;
  next_ += rounded;
  left_ -= rounded;
  LSMKV_UNPOISON(piece, bytes);
  return piece;
}

char* Arena::AllocateZeroed(std::size_t bytes, Pages pages) {
  const std::size_t rounded = (bytes + kZeroedAlignment - 1) & ~(kZeroedAlignment - 1);
  zeroed_bytes_.store(zeroed_bytes_.load(std::memory_order_relaxed) + rounded, std::memory_order_relaxed);
  if (rounded >= kMapBytes) return MapChunk(rounded, pages);
  char* const memory = AddChunk(rounded);
  LSMKV_UNPOISON(memory, rounded);
  std::memset(memory, 0, rounded);
  return memory;
}

char* Arena::AddChunk(std::size_t bytes) {
  const std::size_t rounded = (bytes + kZeroedAlignment - 1) & ~(kZeroedAlignment - 1);
  auto* const memory = static_cast<char*>(std::aligned_alloc(kZeroedAlignment, rounded));
  LSMKV_ASSERT(memory != nullptr);
  LSMKV_POISON(memory, rounded);
  chunks_.push_back({memory, rounded, false});
  return memory;
}

char* Arena::MapChunk(std::size_t bytes, Pages pages) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  LSMKV_ASSERT(memory != MAP_FAILED);
  // Huge pages save a TLB miss at each random access, but making one stops its first user for some 0.4 ms: so only
  // here, where somebody has said that now is the time. An error of either call changes nothing but speed.
  if (pages == Pages::kWarm) {
    madvise(memory, bytes, MADV_HUGEPAGE);
    madvise(memory, bytes, MADV_POPULATE_WRITE);
  }
  chunks_.push_back({static_cast<char*>(memory), bytes, true});
  g_mapped_bytes.fetch_add(bytes, std::memory_order_relaxed);
  return static_cast<char*>(memory);
}

}  // namespace lsmkv
