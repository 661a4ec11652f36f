// Large memory straight from the system: it grows without being copied, since pages change their address and not their place, and what
// was never written to takes none. For buffers of megabytes; the allocator is better at the others.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lsmkv {

/// Owns its memory. Threads: one at a time; giving hundreds of megabytes back takes tens of milliseconds.
class MappedMemory {
 public:
  MappedMemory() = default;
  ~MappedMemory() { Release(); }
  MappedMemory(MappedMemory&& other) noexcept;
  MappedMemory& operator=(MappedMemory&& other) noexcept;

  /// To at least `bytes`, keeping what is there; it may move. Throws std::bad_alloc as an allocator does.
  void Grow(std::size_t bytes);
  void Release();
  char* data() const { return data_; }
  std::size_t size() const { return size_; }
  /// Of all that there is now, for people.
  static std::uint64_t total_bytes();

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace lsmkv
