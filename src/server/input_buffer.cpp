#include "server/input_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/assert.h"

namespace lsmkv {

InputBuffer::~InputBuffer() { Free(); }

char* InputBuffer::Prepare(std::size_t bytes) {
  if (room() >= bytes) return data_ + end_;
  if (begin_ > 0) {
    std::memmove(data_, data_ + begin_, size());
    end_ -= begin_;
    begin_ = 0;
  }
  if (room() < bytes) {
    Grow(std::max(end_ + bytes, capacity_ + capacity_ / 2));
  }
  return data_ + end_;
}

void InputBuffer::Grow(std::size_t capacity) {
  if (capacity < kMapBytes) {
    void* const grown = std::realloc(data_, capacity);
    if (grown == nullptr) throw std::bad_alloc();
    data_ = static_cast<char*>(grown);
    capacity_ = capacity;
    return;
  }
  const bool was_mapped = mapped_.data() != nullptr;
  mapped_.Grow(capacity);
  if (!was_mapped) {
    if (size() > 0) std::memcpy(mapped_.data(), data_, end_);
    std::free(data_);
  }
  data_ = mapped_.data();
  capacity_ = mapped_.size();
}

void InputBuffer::Free() {
  if (mapped_.data() == nullptr) std::free(data_);
  mapped_.Release();
  data_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

MappedMemory InputBuffer::TakeMapped() {
  if (mapped_.data() == nullptr) return {};
  MappedMemory taken = std::move(mapped_);
  const std::string_view rest = unread();
  data_ = nullptr;
  begin_ = end_ = capacity_ = 0;
  if (!rest.empty()) {
    std::memcpy(Prepare(rest.size()), rest.data(), rest.size());
    Received(rest.size());
  }
  return taken;
}

void InputBuffer::Consume(std::size_t bytes) {
  LSMKV_ASSERT(bytes <= size());
  begin_ += bytes;
  if (begin_ == end_) begin_ = end_ = 0;
}

void InputBuffer::Shrink(std::size_t keep_bytes) {
  if (empty() && capacity_ > keep_bytes) Free();
}

}  // namespace lsmkv
