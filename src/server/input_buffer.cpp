#include "server/input_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/assert.h"

namespace lsmkv {

InputBuffer::~InputBuffer() { std::free(data_); }

char* InputBuffer::Prepare(std::size_t bytes) {
  if (room() >= bytes) return data_ + end_;
  if (begin_ > 0) {
    std::memmove(data_, data_ + begin_, size());
    end_ -= begin_;
    begin_ = 0;
  }
  if (room() < bytes) {
    const std::size_t capacity = std::max(end_ + bytes, capacity_ + capacity_ / 2);
    void* const grown = std::realloc(data_, capacity);
    if (grown == nullptr) throw std::bad_alloc();
    data_ = static_cast<char*>(grown);
    capacity_ = capacity;
  }
  return data_ + end_;
}

void InputBuffer::Consume(std::size_t bytes) {
  LSMKV_ASSERT(bytes <= size());
  begin_ += bytes;
  if (begin_ == end_) begin_ = end_ = 0;
}

void InputBuffer::Shrink(std::size_t keep_bytes) {
  if (!empty() || capacity_ <= keep_bytes) return;
  std::free(data_);
  data_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

}  // namespace lsmkv
