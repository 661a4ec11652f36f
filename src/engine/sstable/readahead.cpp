#include "engine/sstable/readahead.h"

#include <algorithm>

namespace lsmkv {

ReadaheadWindow::Pattern ReadaheadWindow::PatternOf(std::uint64_t offset, std::uint64_t size) const {
  if (next_bytes_ == 0) return Pattern::kJump;
  if (offset >= begin_) return offset <= begin_ + filled_ + kSequentialGap ? Pattern::kForward : Pattern::kJump;
  return offset + size + kSequentialGap >= begin_ ? Pattern::kBackward : Pattern::kJump;
}

Result<std::string_view> ReadaheadWindow::Read(std::uint64_t offset, std::uint64_t size) {
  if (!Holds(offset, size)) {
    const Pattern pattern = PatternOf(offset, size);
    if (pattern != Pattern::kJump) backward_ = pattern == Pattern::kBackward;
    next_bytes_ = std::min(max_bytes_, pattern == Pattern::kJump ? kFirstBytes : next_bytes_ * 2);
    const Piece piece = Around(offset, size, next_bytes_);
    if (Status read = Fill(piece.begin, piece.size); !read.ok()) return read;
    if (next_bytes_ == max_bytes_) Announce();
  }
  return buffer_.view().substr(offset - begin_, size);
}

void ReadaheadWindow::WillRead(std::uint64_t offset, std::uint64_t size) const {
  if (Holds(offset, size)) return;
  const Piece piece = Around(offset, size, std::min(max_bytes_, kFirstBytes));
  file_.WillNeed(piece.begin, piece.size);
}

ReadaheadWindow::Piece ReadaheadWindow::Around(std::uint64_t offset, std::uint64_t size, std::uint64_t bytes) const {
  const std::uint64_t asked_end = offset + size;
  const std::uint64_t room = backward_ ? asked_end : end_ > offset ? end_ - offset : 0;
  const std::uint64_t wanted = std::max(size, std::min(bytes, room));
  return {backward_ ? asked_end - wanted : offset, wanted};
}

Status ReadaheadWindow::Fill(std::uint64_t begin, std::uint64_t size) {
  if (buffer_.size() < size) buffer_ = BlockBuffer(size);
  begin_ = begin;
  filled_ = 0;  // should the read fail
  const Status read = file_.Read(begin, size, buffer_.data());
  if (!read.ok()) return read.WithContext("offset " + std::to_string(begin));
  filled_ = size;
  return read;
}

void ReadaheadWindow::Announce() const {
  const std::uint64_t end = begin_ + filled_;
  if (backward_) {
    const std::uint64_t size = std::min(max_bytes_, begin_);
    if (size > 0) file_.WillNeed(begin_ - size, size);
  } else if (end < end_) {
    file_.WillNeed(end, std::min(max_bytes_, end_ - end));
  }
}

}  // namespace lsmkv
