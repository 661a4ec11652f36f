#include "base/mapped_memory.h"

#include <sys/mman.h>

#include <atomic>
#include <new>
#include <utility>

namespace lsmkv {
namespace {

constexpr std::size_t kRoundTo = 64 << 10;
std::atomic<std::uint64_t> g_total_bytes{0};   // relaxed: a figure for people

}  // namespace

std::uint64_t MappedMemory::total_bytes() { return g_total_bytes.load(std::memory_order_relaxed); }

MappedMemory::MappedMemory(MappedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedMemory::Grow(std::size_t bytes) {
  const std::size_t rounded = (bytes + kRoundTo - 1) / kRoundTo * kRoundTo;
  if (rounded < bytes) throw std::bad_alloc();
  if (rounded <= size_) return;
  void* const memory = data_ == nullptr ? ::mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                        : ::mremap(data_, size_, rounded, MREMAP_MAYMOVE);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  g_total_bytes.fetch_add(rounded - size_, std::memory_order_relaxed);
  data_ = static_cast<char*>(memory);
  size_ = rounded;
}

void MappedMemory::Release() {
  if (data_ == nullptr) return;
  ::munmap(data_, size_);
  g_total_bytes.fetch_sub(size_, std::memory_order_relaxed);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace lsmkv
