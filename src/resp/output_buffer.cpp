#include "resp/output_buffer.h"

#include <algorithm>
#include <cstdio>

#include "base/assert.h"

namespace lsmkv::resp {
namespace {

constexpr std::size_t kMinimumBytes = 1024;

}  // namespace

void OutputBuffer::Grow(std::size_t bytes) {
  const std::size_t capacity = std::max({kMinimumBytes, capacity_ * 2, own_size_ + bytes});
  char* const data = static_cast<char*>(std::realloc(data_, capacity));
  if (data == nullptr) {
    std::fprintf(stderr, "out of memory: %zu bytes for replies\n", capacity);
    std::abort();
  }
  data_ = data;
  capacity_ = capacity;
}

void OutputBuffer::Swap(OutputBuffer& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(own_size_, other.own_size_);
  std::swap(capacity_, other.capacity_);
  std::swap(pinned_size_, other.pinned_size_);
  std::swap(kept_size_, other.kept_size_);
  std::swap(pinned_, other.pinned_);
  std::swap(let_go_, other.let_go_);
}

void OutputBuffer::LetGo(Pinned& pinned) {
  if (pinned.pin == nullptr) return;
  kept_size_ -= pinned.bytes.size();
  std::shared_ptr<const void> pin = std::move(pinned.pin);
  if (disposer_ != nullptr) disposer_->Dispose(std::move(pin), pinned.bytes.size());
}

void OutputBuffer::Forget(Pinned& pinned) {
  LetGo(pinned);
  pinned_size_ -= pinned.bytes.size();
}

void OutputBuffer::LetGoUpTo(std::size_t bytes) {
  for (; let_go_ < pinned_.size() && pinned_[let_go_].end() <= bytes; ++let_go_) LetGo(pinned_[let_go_]);
}

void OutputBuffer::AppendPinned(std::string_view bytes, std::shared_ptr<const void> pin) {
  if (bytes.empty()) return;
  LSMKV_ASSERT(pin != nullptr);
  pinned_.push_back({size(), bytes, std::move(pin)});
  pinned_size_ += bytes.size();
  kept_size_ += bytes.size();
}

void OutputBuffer::Append(OutputBuffer&& other) {
  LSMKV_ASSERT(other.let_go_ == 0);
  const std::size_t before = size();
  Append(std::string_view(other.data_, other.own_size_));
  for (Pinned& pinned : other.pinned_) {
    pinned.at += before;
    pinned_.push_back(std::move(pinned));
  }
  pinned_size_ += std::exchange(other.pinned_size_, 0);
  kept_size_ += std::exchange(other.kept_size_, 0);
  other.pinned_.clear();
  other.own_size_ = 0;
}

void OutputBuffer::DropPinnedFrom(std::size_t size) {
  while (!pinned_.empty() && pinned_.back().at >= size) {
    Forget(pinned_.back());
    pinned_.pop_back();
  }
  let_go_ = std::min(let_go_, pinned_.size());
  LSMKV_ASSERT(pinned_.empty() || pinned_.back().end() <= size);
}

std::size_t OutputBuffer::DropFront(std::size_t bytes) {
  std::size_t own = bytes;
  auto first_kept = pinned_.begin();
  for (; first_kept != pinned_.end() && first_kept->at < bytes; ++first_kept) {
    if (first_kept->end() > bytes) {
      own -= bytes - first_kept->at;
      bytes = first_kept->at;
      break;
    }
    own -= first_kept->bytes.size();
    Forget(*first_kept);
  }
  if (bytes == 0) return 0;
  let_go_ -= std::min(let_go_, static_cast<std::size_t>(first_kept - pinned_.begin()));
  pinned_.erase(pinned_.begin(), first_kept);
  for (Pinned& pinned : pinned_) pinned.at -= bytes;
  own_size_ -= own;
  if (own > 0 && own_size_ > 0) std::memmove(data_, data_ + own, own_size_);
  return bytes;
}

void OutputBuffer::Release() {
  for (Pinned& pinned : pinned_) Forget(pinned);
  std::vector<Pinned>().swap(pinned_);
  let_go_ = 0;
  std::free(data_);
  data_ = nullptr;
  own_size_ = capacity_ = 0;
}

std::string_view OutputBuffer::view() const {
  LSMKV_ASSERT(pinned_.empty());
  return {data_, own_size_};
}

std::string_view OutputBuffer::From(std::size_t begin) const {
  if (pinned_.empty()) [[likely]] return std::string_view(data_, own_size_).substr(begin);
  std::string_view first;
  Gather(begin, size(), std::span(&first, 1));
  return first;
}

std::size_t OutputBuffer::Gather(std::size_t begin, std::size_t end, std::span<std::string_view> pieces) const {
  LSMKV_ASSERT(let_go_ == 0 || pinned_[let_go_ - 1].end() <= begin);
  std::size_t count = 0;
  std::size_t pinned_before = pinned_size_ - kept_size_;
  std::size_t at = begin;
  const auto add_own = [&](std::size_t to) {
    if (at < to && count < pieces.size()) pieces[count++] = std::string_view(data_ + (at - pinned_before), to - at);
    at = std::max(at, to);
  };
  for (const Pinned& pinned : std::span(pinned_).subspan(let_go_)) {
    if (pinned.at >= end || count == pieces.size()) break;
    add_own(pinned.at);
    const std::size_t pinned_end = std::min(end, pinned.at + pinned.bytes.size());
    if (at < pinned_end && count < pieces.size()) pieces[count++] = pinned.bytes.substr(at - pinned.at, pinned_end - at);
    at = std::max(at, pinned_end);
    pinned_before += pinned.bytes.size();
  }
  add_own(end);
  return count;
}

}  // namespace lsmkv::resp
