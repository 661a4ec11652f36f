#include "server/reply_queue.h"

#include <algorithm>

#include "base/assert.h"

namespace lsmkv {
namespace {

// A slow reader's sent prefix is moved away once it is this long and at least half of the buffer: amortised O(1) a byte.
constexpr std::size_t kCompactBytes = 64 << 10;

}  // namespace

void ReplyQueue::Release() {
  if (holds_.empty()) {
    released_ = covered_ = buffer_.size();
  } else {
    Hold(holds_.back().sequence);   // order: not before what is held
  }
  uncovered_replies_ = 0;
}

void ReplyQueue::Hold(SequenceNumber sequence) {
  if (!has_uncovered()) return;
  if (!holds_.empty() && holds_.back().sequence >= sequence) {
    holds_.back().end = buffer_.size();
    holds_.back().replies += uncovered_replies_;
  } else {
    holds_.push_back({sequence, buffer_.size(), uncovered_replies_});
  }
  covered_ = buffer_.size();
  uncovered_replies_ = 0;
}

void ReplyQueue::FailUncovered(std::string_view error) {
  buffer_.Truncate(covered_);
  for (std::uint64_t i = 0; i < uncovered_replies_; ++i) buffer_.Append(error);
  Release();
}

bool ReplyQueue::ReleaseUpTo(SequenceNumber durable) {
  auto first_waiting = holds_.begin();
  while (first_waiting != holds_.end() && first_waiting->sequence <= durable) ++first_waiting;
  if (first_waiting == holds_.begin()) return false;
  released_ = std::prev(first_waiting)->end;
  holds_.erase(holds_.begin(), first_waiting);
  return true;
}

void ReplyQueue::FailHeld(std::string_view error) {
  if (holds_.empty()) return;
  LSMKV_ASSERT(covered_ == buffer_.size());   // between ticks nothing is uncovered
  std::uint64_t replies = 0;
  for (const HeldRange& hold : holds_) replies += hold.replies;
  holds_.clear();
  buffer_.Truncate(released_);
  for (std::uint64_t i = 0; i < replies; ++i) buffer_.Append(error);
  released_ = covered_ = buffer_.size();
}

void ReplyQueue::Sent(std::size_t bytes) {
  sent_ += bytes;
  LSMKV_ASSERT(sent_ <= released_);
  if (sent_ == buffer_.size()) {
    buffer_.Clear();
    sent_ = released_ = covered_ = 0;
    return;
  }
  buffer_.LetGoUpTo(sent_);     // what kept it is of use to others
  if (sent_ >= kCompactBytes && sent_ >= buffer_.size() / 2) DropSentPrefix();
}

void ReplyQueue::DropSentPrefix() {
  const std::size_t dropped = buffer_.DropFront(sent_);
  released_ -= dropped;
  covered_ -= dropped;
  for (HeldRange& hold : holds_) hold.end -= dropped;
  sent_ -= dropped;
}

void ReplyQueue::Shrink(std::size_t keep_bytes) {
  if (buffer_.empty() && buffer_.capacity() > keep_bytes) buffer_.Release();
}

}  // namespace lsmkv
