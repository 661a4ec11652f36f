#include "resp/parser.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/numbers.h"
#include "base/words.h"
#include "resp/quick_number.h"

namespace lsmkv::resp {
namespace {

constexpr std::size_t kUnauthenticatedArgs = 10;
constexpr std::size_t kUnauthenticatedBulkBytes = 16 * 1024;
constexpr std::size_t kNowhere = std::string_view::npos;

constexpr std::size_t kQuickArgs = 1024;

}  // namespace

// The way of nearly every command: an array that is there whole, read in one pass without touching the parser's state. False,
// and nothing done, for everything else; the states then take it from its start.
bool Parser::QuickCommand(std::string_view buffer, ArgVector& args, std::size_t* consumed) const {
  if (buffer.empty() || buffer[0] != '*' || !limits_.authenticated) return false;
  const char* const end = buffer.data() + buffer.size();
  std::size_t count = 0;
  const char* at = QuickNumber(buffer.data() + 1, end, &count);
  if (at == nullptr || count == 0 || count > std::min(kQuickArgs, limits_.max_args)) return false;
  args.resize(count);
  std::string_view* const arg = args.data();
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t bytes = 0;
    if (at == end || *at != '$' || (at = QuickNumber(at + 1, end, &bytes)) == nullptr) return false;
    if (bytes > limits_.max_bulk_bytes || static_cast<std::size_t>(end - at) < bytes + kLineEndBytes) return false;
    arg[i] = std::string_view(at, bytes);
    at += bytes + kLineEndBytes;
  }
  *consumed = static_cast<std::size_t>(at - buffer.data());
  return true;
}

ParseStatus Parser::Next(std::string_view buffer, ArgVector& args, std::size_t* consumed, std::string* error) {
  if (state_ == State::kIdle && QuickCommand(buffer, args, consumed)) return ParseStatus::kComplete;
  args.clear();
  *consumed = 0;
  Step step = Step::kAgain;
  while (step == Step::kAgain) step = Advance(buffer, args);   // each turn takes bytes, so the buffer bounds it
  if (step == Step::kError) {
    args.clear();
    *error = error_;
    return ParseStatus::kError;
  }
  if (step == Step::kNeedMore) {
    if (state_ == State::kIdle) {
      *consumed = position_;       // blank lines and empty arrays
      position_ = scanned_ = 0;
    }
    return ParseStatus::kNeedMore;
  }
  *consumed = position_;
  position_ = scanned_ = 0;
  state_ = State::kIdle;
  return ParseStatus::kComplete;
}

Parser::Step Parser::Advance(std::string_view buffer, ArgVector& args) {
  switch (state_) {
    case State::kIdle:
      if (position_ >= buffer.size()) return NeedMore(buffer, position_ + 1);
      scanned_ = position_;
      state_ = buffer[position_] == '*' ? State::kMultibulkHeader : State::kInline;
      return Step::kAgain;
    case State::kMultibulkHeader:
      return ReadMultibulkHeader(buffer);
    case State::kBulkHeader:
    case State::kBulkBody:
      return ReadBulks(buffer, args);
    case State::kInline:
      return ReadInline(buffer, args);
    case State::kBroken:
      return Step::kError;
  }
  return Step::kError;
}

Parser::Step Parser::ReadMultibulkHeader(std::string_view buffer) {
  std::string_view digits;
  std::size_t next = 0;
  const Step step = ReadHeaderLine(buffer, "Protocol error: too big mbulk count string", &digits, &next);
  if (step != Step::kDone) return step;
  const std::optional<std::int64_t> number = ParseInt64(digits);
  if (!number) return Fail("Protocol error: invalid multibulk length");
  const std::size_t count = *number > 0 ? static_cast<std::size_t>(*number) : 0;   // *-1 is as empty as *0
  if (count > limits_.max_args) return Fail("Protocol error: invalid multibulk length");
  if (count > kUnauthenticatedArgs && !limits_.authenticated) return Fail("Protocol error: unauthenticated multibulk length");
  position_ = scanned_ = next;
  state_ = count == 0 ? State::kIdle : State::kBulkHeader;
  missing_args_ = count;
  return Step::kAgain;
}

Parser::Step Parser::ReadBulks(std::string_view buffer, ArgVector& args) {
  const bool resumed = !progress_.empty();
  while (missing_args_ > 0) {
    if (state_ == State::kBulkHeader) {
      const Step step = ReadBulkHeader(buffer);
      if (step == Step::kNeedMore) SaveProgress(buffer, args);
      if (step != Step::kDone) return step;
    }
    if (buffer.size() - position_ < bulk_bytes_ + kLineEndBytes) {
      SaveProgress(buffer, args);
      return NeedMore(buffer, position_ + bulk_bytes_ + kLineEndBytes);
    }
    args.push_back(buffer.substr(position_, bulk_bytes_));
    position_ += bulk_bytes_ + kLineEndBytes;
    scanned_ = position_;
    state_ = State::kBulkHeader;
    --missing_args_;
  }
  if (resumed) {
    SaveProgress(buffer, args);
    RestoreProgress(buffer, args);
  }
  return Step::kDone;
}

Parser::Step Parser::ReadBulkHeader(std::string_view buffer) {
  std::string_view digits;
  std::size_t next = 0;
  const Step step = ReadHeaderLine(buffer, "Protocol error: too big bulk count string", &digits, &next);
  if (step != Step::kDone) return step;
  if (buffer[position_] != '$') {
    std::string message = "Protocol error: expected '$', got '";
    message += buffer[position_];
    return Fail(message + "'");
  }
  const std::optional<std::int64_t> number = ParseInt64(digits);
  if (!number || *number < 0) return Fail("Protocol error: invalid bulk length");
  const auto bytes = static_cast<std::size_t>(*number);
  if (bytes > limits_.max_bulk_bytes) return Fail("Protocol error: invalid bulk length");
  if (bytes > kUnauthenticatedBulkBytes && !limits_.authenticated) return Fail("Protocol error: unauthenticated bulk length");
  position_ = scanned_ = next;
  bulk_bytes_ = bytes;
  state_ = State::kBulkBody;
  return Step::kDone;
}

// The line that begins at position_, without its first byte and its CR LF. kDone, kNeedMore or kError.
Parser::Step Parser::ReadHeaderLine(std::string_view buffer, const char* too_big, std::string_view* digits, std::size_t* next) {
  const std::size_t end = buffer.find('\r', scanned_);
  // Also of a line that is there whole: whether it is too long must not depend on how it was cut on its way.
  if (std::min(end, buffer.size()) - position_ > limits_.max_inline_bytes) return Fail(too_big);
  if (end == kNowhere) {
    scanned_ = buffer.size();
    return NeedMore(buffer, buffer.size() + kLineEndBytes);
  }
  scanned_ = end;
  if (end + kLineEndBytes > buffer.size()) return NeedMore(buffer, end + kLineEndBytes);
  *digits = buffer.substr(std::min(position_ + 1, end), end - std::min(position_ + 1, end));
  *next = end + kLineEndBytes;
  return Step::kDone;
}

Parser::Step Parser::ReadInline(std::string_view buffer, ArgVector& args) {
  const std::size_t newline = buffer.find('\n', scanned_);
  if (std::min(newline, buffer.size()) - position_ > limits_.max_inline_bytes) return Fail("Protocol error: too big inline request");
  if (newline == kNowhere) {
    scanned_ = buffer.size();
    return NeedMore(buffer, buffer.size() + 1);
  }
  std::string_view line = buffer.substr(position_, newline - position_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!SplitInline(line, args)) return Fail("Protocol error: unbalanced quotes in request");
  position_ = scanned_ = newline + 1;
  state_ = State::kIdle;
  return args.empty() ? Step::kAgain : Step::kDone;
}

bool Parser::SplitInline(std::string_view line, ArgVector& args) {
  WordSplitter splitter(line);
  // A string that moves as the vector grows may carry its bytes inside itself, so views into them are taken at the end.
  unescaped_count_ = 0;
  std::string_view plain;
  for (;;) {
    if (unescaped_count_ == unescaped_.size()) unescaped_.emplace_back();
    switch (splitter.Next(&plain, &unescaped_[unescaped_count_])) {
      case WordSplitter::Found::kPlain:
        args.push_back(plain);
        break;
      case WordSplitter::Found::kUnescaped:
        args.emplace_back();          // null marks the place of the next unescaped string
        ++unescaped_count_;
        break;
      case WordSplitter::Found::kEnd: {
        std::size_t used = 0;
        for (std::string_view& arg : args) {
          if (arg.data() == nullptr) arg = unescaped_[used++];
        }
        return true;
      }
      case WordSplitter::Found::kUnbalanced:
        return false;
    }
  }
}

Parser::Step Parser::NeedMore(std::string_view buffer, std::size_t target) {
  wanted_ = std::max<std::size_t>(1, target - std::min(target, buffer.size()));
  return Step::kNeedMore;
}

Parser::Step Parser::Fail(std::string message) {
  error_ = std::move(message);
  state_ = State::kBroken;
  return Step::kError;
}

void Parser::SaveProgress(std::string_view buffer, ArgVector& args) {
  for (const std::string_view arg : args) {
    progress_.push_back({static_cast<std::size_t>(arg.data() - buffer.data()), arg.size()});
  }
  args.clear();
}

void Parser::RestoreProgress(std::string_view buffer, ArgVector& args) {
  for (const Extent& extent : progress_) args.push_back(buffer.substr(extent.offset, extent.bytes));
  progress_.clear();
  if (progress_.capacity() > 1024) progress_.shrink_to_fit();
}

}  // namespace lsmkv::resp
