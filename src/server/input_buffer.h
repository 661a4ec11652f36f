// What a session has received and not yet run: one contiguous buffer, so that arguments are views into it.
//
//   | consumed | unread ... | room |
//   0          begin_       end_   capacity_
//
// Reads append at end_. The buffer moves its bytes only in Prepare(), which its session calls only while no command is
// suspended: views into it stay valid until then. From kMapBytes on the memory is mapped: a large argument arrives without being copied
// again and again, and its memory can be given to another thread to free.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/mapped_memory.h"

namespace lsmkv {

class InputBuffer {
 public:
  InputBuffer() = default;
  ~InputBuffer();
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  /// Room for at least `bytes` at the end; moves the unread bytes to the front first if that is what it takes.
  char* Prepare(std::size_t bytes);
  std::size_t room() const { return capacity_ - end_; }
  void Received(std::size_t bytes) { end_ += bytes; }

  std::string_view unread() const { return {data_ + begin_, end_ - begin_}; }
  void Consume(std::size_t bytes);
  bool empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  std::size_t capacity() const { return capacity_; }
  bool mapped() const { return mapped_.data() != nullptr; }
  /// Its memory, when that is mapped; what is unread goes to a small buffer of its own. Views into it stay valid as long as that.
  MappedMemory TakeMapped();
  /// Gives memory back when nothing is unread and it is more than `keep_bytes`.
  void Shrink(std::size_t keep_bytes);

 private:
  static constexpr std::size_t kMapBytes = 1 << 20;

  void Grow(std::size_t capacity);
  void Free();

  MappedMemory mapped_;           // empty: data_ is the allocator's
  char* data_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace lsmkv
