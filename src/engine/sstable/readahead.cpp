#include "engine/sstable/readahead.h"

#include <algorithm>

namespace lsmkv {

Result<std::string_view> ReadaheadWindow::Read(std::uint64_t offset, std::uint64_t size) {
  if (!Holds(offset, size)) {
    const std::uint64_t end = begin_ + filled_;
    const bool sequential = next_bytes_ != 0 && offset >= begin_ && offset <= end + kSequentialGap;
    next_bytes_ = std::min(max_bytes_, sequential ? next_bytes_ * 2 : kFirstBytes);
    const std::uint64_t wanted = std::max(size, std::min(next_bytes_, end_ > offset ? end_ - offset : 0));
    if (buffer_.size() < wanted) buffer_ = BlockBuffer(wanted);
    begin_ = offset;
    filled_ = 0;  // should the read fail
    const Status read = file_.Read(offset, wanted, buffer_.data());
    if (!read.ok()) return read.WithContext("offset " + std::to_string(offset));
    filled_ = wanted;
    if (next_bytes_ == max_bytes_ && offset + wanted < end_) {
      file_.WillNeed(offset + wanted, std::min(max_bytes_, end_ - offset - wanted));
    }
  }
  return buffer_.view().substr(offset - begin_, size);
}

}  // namespace lsmkv
