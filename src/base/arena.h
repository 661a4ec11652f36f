// Memory that is handed out piece by piece and given back all at once: what a memtable's entries live in.
//
//   chunk := piece*      the first chunk is 64 KiB, each next one twice the last, up to 1 MiB
//   A piece of a quarter of the largest chunk or more gets a chunk of its own, so that it wastes no chunk's tail.
//
// Chunks come from malloc, not from mmap: under steady writing the chunks of a flushed memtable are reused warm, without
// a page fault for every 4 KiB. Zeroed pieces of kMapBytes and more are the exception: they come from mmap, whose pages are
// zero and appear when touched, so that a large and mostly empty table costs what is used of it. `kWarm` makes them appear at
// once, as huge pages where the system gives them: some 0.2 ms a MiB then, and nothing when the memory is used.
//
// Threads  one caller of Allocate* at a time; used_bytes() and zeroed_bytes() from any thread.
// Errors   running out of memory ends the process, as everywhere else.
// Source   LevelDB util/arena.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define LSMKV_UNPOISON(address, bytes) ASAN_UNPOISON_MEMORY_REGION(address, bytes)
#else
#define LSMKV_UNPOISON(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace lsmkv {

class Arena {
 public:
  static constexpr std::size_t kFirstChunkBytes = 64u << 10;
  static constexpr std::size_t kLargestChunkBytes = 1u << 20;
  static constexpr std::size_t kOwnChunkBytes = kLargestChunkBytes / 4;
  static constexpr std::size_t kMapBytes = 256u << 10;
  static constexpr std::size_t kZeroedAlignment = 64;

  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// `bytes` (1 or more) of uninitialised memory, aligned to 8, that lives as long as the arena.
  char* Allocate(std::size_t bytes) {
    const std::size_t rounded = (bytes + 7) & ~std::size_t{7};
    // Relaxed: a figure for statistics and limits; it publishes nothing. One writer, so no read-modify-write.
    used_bytes_.store(used_bytes_.load(std::memory_order_relaxed) + rounded, std::memory_order_relaxed);
    if (rounded > left_) return AllocateElsewhere(bytes, rounded);
    char* const piece = next_;
    next_ += rounded;
    left_ -= rounded;
    LSMKV_UNPOISON(piece, bytes);
    return piece;
  }

  enum class Pages : std::uint8_t { kLazy, kWarm };

  /// The same, zeroed and aligned to kZeroedAlignment. Not counted in used_bytes(): see zeroed_bytes().
  char* AllocateZeroed(std::size_t bytes, Pages pages = Pages::kLazy);

  std::size_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }
  std::size_t zeroed_bytes() const { return zeroed_bytes_.load(std::memory_order_relaxed); }
  /// Of all arenas together: address space taken from mmap, which the allocator's own figures leave out.
  static std::uint64_t mapped_bytes();

 private:
  struct Chunk {
    char* memory;
    std::size_t bytes;
    bool mapped;          // by mmap, else by malloc
  };

  char* AllocateElsewhere(std::size_t bytes, std::size_t rounded);
  char* AddChunk(std::size_t bytes);
  char* MapChunk(std::size_t bytes, Pages pages);

  char* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t next_chunk_bytes_ = kFirstChunkBytes;
  std::vector<Chunk> chunks_;
  std::atomic<std::size_t> used_bytes_{0};
  std::atomic<std::size_t> zeroed_bytes_{0};
};

}  // namespace lsmkv
